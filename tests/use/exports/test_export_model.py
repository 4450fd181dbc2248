"""The verb finds the model, and a place for its forms."""

from __future__ import annotations

import shutil

import pytest

import thawline
from thawline.core.errors import UsageError
from thawline.use.exports import write_export as module
from thawline.use.exports.kinds import ExportKind


@pytest.fixture
def run(drawn_model, drawn_onnx, tmp_path, monkeypatch):
    """Return the folder of a run; its tensor file is written by a copy: the exporter takes its time."""
    content = drawn_onnx.read_bytes()
    monkeypatch.setitem(module.WRITERS, "onnx-tensor", lambda source, place: place.write_bytes(content))
    shutil.copytree(drawn_model.directory, tmp_path / "run" / "model")
    return tmp_path / "run"


def test_exports_lie_in_the_run_unless_another_place_is_named(run, tmp_path):
    place = run / "exports" / "model-tensor.onnx"
    assert thawline.export(run, "onnx-tensor").path == place
    assert thawline.export(run / "model", "onnx-tensor").path == place.resolve()
    assert thawline.export(thawline.load(run), "onnx-tensor").path == place.resolve()
    assert thawline.export(run, "onnx-tensor", out=tmp_path / "one.onnx").path == tmp_path / "one.onnx"
    (both,) = thawline.export_all(run, ["onnx-tensor", "onnx-tensor"], out=str(tmp_path / "two.onnx"))
    assert both.path == tmp_path / "two.onnx"
    with pytest.raises(UsageError, match="it is exported already"):
        thawline.export(place)


def test_several_forms_share_a_folder(run, whole_onnx, tmp_path, monkeypatch):
    content = whole_onnx.read_bytes()
    monkeypatch.setitem(module.WRITERS, "onnx", lambda source, place: place.write_bytes(content))
    done = thawline.export_all(run, ["onnx", "onnx-tensor"], out=tmp_path / "both")
    assert [each.path for each in done] == [tmp_path / "both" / "model.onnx", tmp_path / "both" / "model-tensor.onnx"]


def test_what_can_be_refused_is_refused_before_a_model_is_loaded(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"--to runs/x\.onnx is not known\. Choose from onnx, onnx-int8, onnx-tensor"):
        thawline.export(tmp_path, "runs/x.onnx")
    monkeypatch.setattr(ExportKind, "missing", ("onnxscript",))
    with pytest.raises(UsageError, match=r"onnxscript is needed and not installed"):
        thawline.export(tmp_path)
