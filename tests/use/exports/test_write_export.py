"""A form of a model is put in its place only after it was proved; what is not ours stays."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.core.owned import Marker, read_marker, write_marker
from thawline.use.answer import Answer
from thawline.use.exports import write_export as module
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import GoldenSet, read_golden, write_golden
from thawline.use.exports.kinds import ExportKind
from thawline.use.exports.open_export import Opened
from thawline.use.exports.sealed_folder import seal_folder
from thawline.use.exports.write_export import write_export
from thawline.use.onnx_facts import sealed
from thawline.use.onnx_model import OnnxModel


@pytest.fixture
def source(drawn_model, drawn_onnx, monkeypatch):
    """Return the small model, whose tensor file is written by a copy: the exporter takes its time."""
    content = drawn_onnx.read_bytes()
    monkeypatch.setitem(module.WRITERS, "onnx-tensor", lambda source, place: place.write_bytes(content))
    return ExportSource(drawn_model)


@pytest.fixture
def shifted(monkeypatch):
    """Return what moves the answers of every opened file."""

    def move(shift):
        sound = OnnxModel.answers

        def answers(self, *pixels):
            answer = sound(self, *pixels)
            return Answer(answer.probabilities + np.array(shift, np.float32), answer.outside)

        monkeypatch.setattr(OnnxModel, "answers", answers)

    return move


def test_what_was_written_is_told_with_its_largest_difference(source, shifted, drawn_onnx, tmp_path):
    shifted((0.00005, 0, 0))
    done = write_export(source, "onnx-tensor", place=tmp_path / "new" / "model.onnx")
    assert done.path.read_bytes() == drawn_onnx.read_bytes()
    assert (done.kind, done.size_bytes, done.num_golden) == ("onnx-tensor", drawn_onnx.stat().st_size, 3)
    assert done.max_difference == pytest.approx(0.00005, abs=1e-5)
    assert done.agreement == 1


def test_a_model_that_answers_otherwise_is_refused_and_the_older_file_stays(source, shifted, tmp_path):
    target = tmp_path / "model.onnx"
    target.write_bytes(sealed(b"older"))
    shifted((0.01, -0.01, 0))
    with pytest.raises(
        BundleError,
        match=r"export --to onnx-tensor: it does not answer as .*: of 3 golden pictures golden/\d\.jpg is the worst: "
        r"its answer differs by 0\.01 \(0\.0001 is allowed\).*Nothing was written",
    ):
        write_export(source, "onnx-tensor", place=target)
    assert target.read_bytes() == sealed(b"older")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("change", [lambda data: b"mine", lambda data: data[:-1], lambda data: b"\0" + data[1:]])
def test_a_file_that_no_export_wrote_is_not_replaced(source, tmp_path, change):
    target = tmp_path / "model.onnx"
    target.write_bytes(change(sealed(b"older")))
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"stands there and is not a file as `thawline export` writes it"):
        write_export(source, "onnx-tensor", place=target)
    assert target.read_bytes() == before
    (tmp_path / "link.onnx").symlink_to(target)
    target.write_bytes(sealed(b"older"))
    with pytest.raises(StoreError, match=r"link\.onnx stands there"):
        write_export(source, "onnx-tensor", place=tmp_path / "link.onnx")


def test_a_folder_cannot_be_the_file(source, tmp_path):
    with pytest.raises(UsageError, match=r"is a folder; a file is required\. Name it, such as .*model-tensor\.onnx"):
        write_export(source, "onnx-tensor", place=tmp_path)


def marked_run(drawn_model, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(drawn_model.directory, run / "model")
    write_marker(run, Marker("run", {"command": "fit"}))
    return run


def test_an_export_in_a_run_is_noted_as_ours(source, drawn_model, tmp_path):
    run = marked_run(drawn_model, tmp_path)
    for _ in range(2):
        write_export(source, "onnx-tensor", place=run / "exports" / "model-tensor.onnx")
        marker = read_marker(run)
        assert list(marker.files) == ["exports/model-tensor.onnx"]
        ((written,),) = marker.files.values()
        assert written.size_bytes == (run / "exports" / "model-tensor.onnx").stat().st_size
    write_export(source, "onnx-tensor", place=tmp_path / "elsewhere.onnx")
    assert list(read_marker(run).files) == ["exports/model-tensor.onnx"]


def test_a_folder_is_replaced_whole_and_noted_file_by_file(source, drawn_model, drawn_onnx, tmp_path, monkeypatch):
    run = marked_run(drawn_model, tmp_path)
    names = ["one.txt", "two.txt"]

    def write(source, place):
        place.mkdir()
        for name in names:
            (place / name).write_text(name)
        golden = {"kind": "onnx-tensor", "manifest_seal": "0" * 64, "allowed": 1e-4, "least_agreement": 1.0}
        write_golden(place, GoldenSet(pictures=list(source.golden), **golden))
        seal_folder(place, kind="folder", facts=source.facts(whole=False))

    kind = ExportKind("folder", "folder", (), "export", "a folder")
    model = module.opened(drawn_onnx)
    monkeypatch.setitem(module.WRITERS, "folder", write)
    monkeypatch.setattr(
        module, "opened", lambda path, **_: Opened("folder", model.model, model.facts, read_golden(path))
    )
    place = run / "exports" / "folder"
    done = write_export(source, kind, place=place)
    assert done.size_bytes == sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    names.remove("two.txt")
    write_export(source, kind, place=place)
    found = {path.relative_to(run).as_posix() for path in place.rglob("*") if path.is_file()}
    assert set(read_marker(run).files) == found
    assert "exports/folder/two.txt" not in found
    (place / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not a folder as `thawline export` writes it"):
        write_export(source, kind, place=place)
    assert (place / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_model_trained_in_bfloat16_is_exported_in_float32(make_model, tmp_path):
    bundle = make_model(tmp_path / "model", name="efficientnet_lite0", dtype="bfloat16")
    source = ExportSource(bundle)
    done = write_export(source, "onnx-tensor", place=tmp_path / "model.onnx")
    assert done.max_difference <= 1e-4
    recorded = [picture.probabilities for picture in bundle.manifest.golden]
    own = [picture.probabilities for picture in source.golden]
    assert 0 < np.abs(np.subtract(recorded, own)).max() <= 0.02
