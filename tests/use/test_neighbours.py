"""Training pictures next to a file come back as they were written, belong to that file alone, and the nearest lead."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from thawline.core.errors import BundleError
from thawline.use.neighbours import MAGIC, Neighbours, is_neighbours_file, neighbours_beside, neighbours_path
from thawline.use.onnx_facts import PlaceFacts
from thawline.use.onnx_model import open_onnx


@pytest.fixture
def known():
    places = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    return Neighbours(places, np.array([0, 1, 2]), [b"one", b"", b"three"])


@pytest.fixture
def facts(drawn_onnx, known):
    place = PlaceFacts(size=2, neighbours_sha256=known.sha256)
    return open_onnx(drawn_onnx).facts.model_copy(update={"place": place})


@pytest.fixture
def export(tmp_path, known):
    neighbours_path(tmp_path / "a.onnx").write_bytes(known.content)
    return tmp_path / "a.onnx"


def test_the_most_alike_come_first(known):
    found = known.nearest(np.array([0, 1], dtype=np.float32), k=2)
    assert [(each.label, each.thumbnail) for each in found] == [(1, b""), (2, b"three")]
    assert [each.similarity for each in found] == pytest.approx([1, 0.8])
    assert len(known.nearest(np.array([1, 0], dtype=np.float32))) == 3


def test_they_come_back_as_they_were_written(known, facts, export):
    back = neighbours_beside(export, facts)
    np.testing.assert_array_equal(back.places, known.places)
    assert back.labels.tolist() == [0, 1, 2]
    assert back.thumbnails == [b"one", b"", b"three"]
    assert is_neighbours_file(neighbours_path(export))
    assert Neighbours(known.places, known.labels, known.thumbnails).content == known.content


def test_a_file_without_them_needs_none(drawn_onnx, tmp_path):
    assert neighbours_beside(tmp_path / "a.onnx", open_onnx(drawn_onnx).facts) is None


def test_what_is_damaged_or_of_another_file_or_gone_is_told_in_a_sentence(known, facts, export):
    path = neighbours_path(export)
    damaged = bytearray(known.content)
    damaged[60] ^= 1
    path.write_bytes(damaged)
    assert not is_neighbours_file(path)
    with pytest.raises(BundleError, match=r"a\.neighbours: its content is not what .* damaged\. Export again"):
        neighbours_beside(export, facts)
    path.write_bytes(Neighbours(known.places, known.labels, [b"1", b"2", b"3"]).content)
    with pytest.raises(BundleError, match=r"it belongs to another export than a\.onnx\. Export again"):
        neighbours_beside(export, facts)
    path.unlink()
    with pytest.raises(BundleError, match="it is not there"):
        neighbours_beside(export, facts)
    path.mkdir()
    assert not is_neighbours_file(path)
    with pytest.raises(BundleError, match="cannot be read: no file"):
        neighbours_beside(export, facts)


@pytest.mark.parametrize("labels", [[0, 1, 3], [0, -1, 2], [0, 1]])
def test_what_does_not_fit_the_model_is_refused(facts, export, known, labels):
    strange = Neighbours(known.places, np.array(labels), known.thumbnails)
    neighbours_path(export).write_bytes(strange.content)
    place = PlaceFacts(size=2, neighbours_sha256=strange.sha256)
    with pytest.raises(BundleError, match=r"what it holds does not fit a\.onnx"):
        neighbours_beside(export, facts.model_copy(update={"place": place}))


def test_sealed_bytes_that_are_something_else_are_refused(facts, export):
    content = MAGIC + b"no tensors"
    content += hashlib.sha256(content).digest()
    neighbours_path(export).write_bytes(content)
    place = PlaceFacts(size=2, neighbours_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(BundleError, match="does not fit"):
        neighbours_beside(export, facts.model_copy(update={"place": place}))


def test_a_link_or_a_file_that_is_too_large_is_not_read(monkeypatch, facts, export, tmp_path):
    monkeypatch.setattr("thawline.use.neighbours.MAX_BYTES", 10)
    with pytest.raises(BundleError, match="more than the 10 that it can have"):
        neighbours_beside(export, facts)
    monkeypatch.undo()
    shutil.move(neighbours_path(export), tmp_path / "else")
    neighbours_path(export).symlink_to(tmp_path / "else")
    assert not is_neighbours_file(neighbours_path(export))
