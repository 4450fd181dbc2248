"""`Space`: which pictures are alike, and how alike."""

import numpy as np
import pytest

from thawline.core.types import InputSpec
from thawline.features.bank import BankSpec, open_bank
from thawline.features.segment import write_segment
from thawline.vet.space import Space, space_of

CORNERS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], dtype=np.float32)


def test_the_most_alike_come_first_and_a_picture_is_not_its_own_neighbour():
    places, alike = Space(CORNERS).nearest(np.array([0, 3]), np.arange(4), k=2)
    assert places.tolist() == [[1, 2], [2, 1]]
    assert alike == pytest.approx(np.array([[0.8, 0.0], [0.0, -0.8]]), abs=1e-6)


def test_only_pictures_that_may_be_found_are():
    places, _ = Space(CORNERS).nearest(np.array([0]), np.array([2, 3]), k=1)
    assert places.tolist() == [[2]]


@pytest.mark.parametrize(("among", "expected"), [([], [-1, -1]), ([0], [-1, -1]), ([0, 2], [2, -1])])
def test_where_there_are_too_few_others_the_last_places_are_empty(among, expected):
    places, alike = Space(CORNERS).nearest(np.array([0]), np.array(among, dtype=np.int64), k=2)
    assert places[0].tolist() == expected
    assert alike[0][places[0] == -1].tolist() == [0.0] * expected.count(-1)


def test_parts_give_what_the_whole_gives(monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    space = Space(x / np.linalg.norm(x, axis=1, keepdims=True))
    whole = space.nearest(np.arange(50), np.arange(50), k=3)
    monkeypatch.setattr("thawline.vet.space.SIMILARITIES", 100)
    parts = space.nearest(np.arange(50), np.arange(50), k=3)
    assert (whole[0] == parts[0]).all()
    assert parts[1] == pytest.approx(whole[1], abs=1e-6)


def bank_of(tmp_path, count=300):
    """Return an open bank of drawn rows in three clusters, and their hashes."""
    pixels, blocks = InputSpec(8, (0.5,) * 3, (0.5,) * 3), ((0, "mean", 12),)
    spec = BankSpec("net", "0" * 64, pixels, ("plain",), "float32", "float32", (("m", 12),), ("mean",), blocks)
    digests = np.random.default_rng(1).integers(0, 256, (count, 32), dtype=np.uint8)
    rng = np.random.default_rng(0)
    rows = (5 * rng.normal(size=(3, 12))[np.arange(count) % 3] + rng.normal(size=(count, 12))).astype(np.float32)
    directory = open_bank(tmp_path, spec).directory
    write_segment(tmp_path, directory, digests=digests, rows=rows[:, None])
    return open_bank(tmp_path, spec), [digest.tobytes().hex() for digest in digests]


def test_places_that_are_read_when_asked_for_are_those_that_memory_holds(tmp_path, monkeypatch):
    bank, hashes = bank_of(tmp_path)
    held = space_of(bank, hashes, blocks=[(0, "mean")])
    read = space_of(bank, hashes, blocks=[(0, "mean")], is_held=False)
    assert (len(read.x), read.x.shape, repr(read)) == (300, held.x.shape, repr(held))
    monkeypatch.setattr("thawline.vet.space.ROWS_AT_ONCE", 7)
    some = np.array([5, 250, 17] * 5)
    np.testing.assert_allclose(read.x[some] @ read.x[some].T, held.x[some] @ held.x[some].T, atol=1e-4)
    np.testing.assert_allclose((read.x[:] ** 2).sum(axis=1), 1, rtol=1e-5)
    asked = np.arange(20)
    assert np.array_equal(read.nearest(asked, np.arange(300), k=1)[0], held.nearest(asked, np.arange(300), k=1)[0])


def test_of_places_that_memory_does_not_hold_some_are_searched(tmp_path, monkeypatch):
    bank, hashes = bank_of(tmp_path)
    monkeypatch.setattr("thawline.vet.space.MOST_AMONG", 40)
    read, held = (space_of(bank, hashes, blocks=[(0, "mean")], is_held=is_held) for is_held in (False, True))
    searched = [np.unique(space.nearest(np.arange(300), np.arange(300), k=3)[0]) for space in (read, held)]
    assert len(searched[0]) <= 40 < len(searched[1])
