"""What lies next to a file: small pictures without anything else in them, and where each lies."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

import thawline
from thawline.core.errors import DataError, StoreError, UsageError
from thawline.core.owned import read_marker
from thawline.data.dataset import Sample
from thawline.use.exports.carried_pictures import carried_pictures, thumbnail
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.hub_upload import files_for_hub
from thawline.use.exports.measured import measure_apart
from thawline.use.exports.write_export import write_export
from thawline.use.neighbours import THUMBNAIL_PX, neighbours_beside, neighbours_path
from thawline.use.onnx_model import open_onnx


def test_a_thumbnail_is_upright_whole_and_has_no_metadata():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"
    buffer = io.BytesIO()
    Image.new("RGB", (400, 100), "red").save(buffer, "JPEG", exif=exif)
    small = thumbnail(buffer.getvalue())
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("JPEG", (THUMBNAIL_PX // 4, THUMBNAIL_PX))
        assert not image.getexif()
    assert b"where I live" in buffer.getvalue()
    assert b"where I live" not in small


def test_pictures_that_changed_are_told(drawn_model, picture):
    class Changed:
        def read(self):
            return picture(1)

    sample = Sample("a.jpg", 0, "0" * 64, None, 0, Changed())
    with pytest.raises(DataError, match=r"a\.jpg"):
        carried_pictures(drawn_model, [sample, sample])


def test_forms_without_room_for_them_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--to timm has no room for training pictures\. It goes with onnx and"):
        thawline.export_all(tmp_path, ["onnx", "timm"], with_neighbours=True)


@pytest.mark.slow
def test_a_picture_that_was_learnt_is_its_own_nearest(placed_run, picture):
    file = placed_run / "exports" / "model-tensor.onnx"
    model = open_onnx(file)
    known = neighbours_beside(file, model.facts)
    assert len(known.labels) == 18
    for seed in range(18):
        first = known.nearest(model.answers_to([model.prepare(picture(seed))[0]]).places[0])[0]
        assert first.similarity > 0.99
        assert (first.thumbnail, first.label) == (thumbnail(picture(seed)), seed % 3)
    written = {"exports/model-tensor.onnx", "exports/model-tensor.neighbours"}
    assert read_marker(placed_run).files.keys() == written


@pytest.mark.slow
def test_a_whole_file_says_the_same_places_and_nothing_of_them_is_pushed(placed_source, picture, tmp_path):
    done = write_export(placed_source, "onnx", place=tmp_path / "whole.onnx")
    assert done.num_neighbours == 18
    model = open_onnx(done.path)
    known = neighbours_beside(done.path, model.facts)
    batch = [model.prepare(picture(seed))[0] for seed in (3, 5)]
    large = (np.repeat(np.repeat(batch[1][0], 2, axis=0), 2, axis=1),)
    places = model.answers_to([batch[0], large, batch[1]]).places
    assert [known.nearest(place)[0].thumbnail for place in places[[0, 2]]] == [thumbnail(picture(s)) for s in (3, 5)]
    sent = files_for_hub(placed_source.bundle, done.path, kind="onnx")
    assert set(sent) == {"README.md", "model.onnx"}
    assert not any(each in content for content in sent.values() for each in known.thumbnails)


@pytest.mark.slow
def test_verifying_finds_damage_and_needs_no_pictures(placed_run, tmp_path):
    file = tmp_path / "model.onnx"
    shutil.copy(placed_run / "exports" / "model-tensor.onnx", file)
    assert measure_apart(file)["passed"]
    neighbours_path(file).write_bytes(b"damaged")
    found = measure_apart(file)
    assert not found["passed"]
    assert "model.neighbours: its content is not what" in found["words"]


@pytest.mark.slow
def test_an_export_without_them_takes_older_ones_away_and_nothing_else(placed_run, placed_source, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(placed_run, run)
    file = run / "exports" / "model-tensor.onnx"
    plain = ExportSource(placed_source.bundle)
    neighbours_path(file).write_bytes(b"somebody's")
    before = file.read_bytes()
    for source in (plain, placed_source):
        with pytest.raises(StoreError, match=r"model-tensor\.neighbours stands there and is not a file as"):
            write_export(source, "onnx-tensor", place=file)
    assert file.read_bytes() == before
    shutil.copy(neighbours_path(placed_run / "exports" / "model-tensor.onnx"), neighbours_path(file))
    assert write_export(plain, "onnx-tensor", place=file).num_neighbours == 0
    assert not neighbours_path(file).exists()
    assert "exports/model-tensor.neighbours" not in read_marker(run).files
    assert open_onnx(file).facts.place is None
