"""A run or a model folder becomes a file that is served: made once, by another process, and never half-written."""

from __future__ import annotations

import shutil

import pytest

from thawline.core.errors import BundleError, UsageError
from thawline.use.onnx_model import open_onnx
from thawline.use.service import ready_export as module
from thawline.use.service.ready_export import servable


@pytest.fixture
def run(drawn_model, tmp_path):
    """Return the folder of a run: nothing of it but its model matters."""
    shutil.copytree(drawn_model.directory, tmp_path / "run" / "model")
    return tmp_path / "run"


def test_a_run_is_exported_once_and_found_again(run, drawn_model):
    notes = []
    with servable(run, note=notes.append) as place:
        assert place.onnx == run / "exports" / "model-tensor.onnx"
        assert open_onnx(place.onnx).facts.manifest_seal == drawn_model.manifest.seal
        assert (place.run, place.folder) == (run, run / "model")
    assert notes == [f"{run} is not exported yet: writing {run / 'exports' / 'model-tensor.onnx'}, once"]
    for named in (run, run / "model"):
        with servable(named, note=notes.append) as again:
            assert again.onnx == place.onnx
    assert len(notes) == 1


def test_a_file_is_served_as_it_is(drawn_onnx):
    with servable(drawn_onnx, note=pytest.fail) as place:
        assert (place.onnx, place.folder) == (drawn_onnx, None)


@pytest.mark.slow
def test_where_nothing_can_be_written_the_file_is_a_temporary_one(run, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    with servable(run, note=str) as place:
        assert run not in place.onnx.parents
        assert place.onnx.is_file()
    assert not place.onnx.exists()
    assert [path.name for path in run.iterdir()] == ["model"]


def test_what_cannot_be_exported_is_a_sentence_and_leaves_nothing(run):
    (run / "model" / "manifest.json").write_text(
        (run / "model" / "manifest.json").read_text().replace("drawn", "other")
    )
    with (
        pytest.raises(BundleError, match=rf"^serve {run}: .*manifest\.json is not what was written"),
        servable(run, note=str),
    ):
        pass
    assert not list(run.rglob("*.onnx"))


def test_where_the_exporter_is_missing_it_is_named(run, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "torch" else object())
    reason = r"holds no exported file yet, and making one needs torch\. Run `thawline export"
    with pytest.raises(UsageError, match=reason), servable(run, note=str):
        pass


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(BundleError, match="neither a run"), servable(tmp_path, note=str):
        pass
