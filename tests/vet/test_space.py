"""`Space`: which pictures are alike, and how alike."""

import numpy as np
import pytest

from thawline.vet.space import Space

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
