"""The strangest pictures: those without neighbours, copies being no company; of a set of one kind none stands out."""

import numpy as np
import pytest

from thawline.vet.space import Space
from thawline.vet.strange import strangest, unscaled_space


def space_with(num, outsiders, *, seed=0):
    """Return a cloud of pictures of one kind, with some that lie elsewhere, each alone, at the end."""
    rng = np.random.default_rng(seed)
    cloud = np.eye(1, 24)[0] + 0.15 * rng.normal(size=(num, 24))
    apart = -np.eye(24)[1 : outsiders + 1] - 0.5 * np.eye(1, 24)
    x = np.concatenate([cloud, apart])
    return Space((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))


def test_what_has_no_neighbour_stands_out():
    found = strangest(space_with(60, 2), np.arange(62))
    assert {one.row for one in found if one.stands_out} == {60, 61}
    assert [one.row in {60, 61} for one in found[:3]] == [True, True, False]
    assert len(found) == 8
    assert found[0].likeness <= found[1].likeness < found[2].likeness


def test_of_one_kind_hardly_anything_stands_out():
    flagged = [sum(one.stands_out for one in strangest(space_with(100, 0, seed=s), np.arange(100))) for s in range(10)]
    assert sum(flagged) <= 10


def test_a_copy_is_no_company():
    space = space_with(60, 1)
    doubled = Space(np.concatenate([space.x, space.x[-1:]]))
    copies = np.array([*range(61), 60])
    first = strangest(doubled, copies)[0]
    assert (first.row, first.stands_out) == (60, True)
    assert first.nearest not in {60, 61}


def test_equal_pictures_and_few_ones_are_fine():
    same = Space(np.ones((10, 1), dtype=np.float32))
    assert [one.stands_out for one in strangest(same, np.arange(10))] == [False] * 8
    for num in range(1, 6):
        found = strangest(space_with(num, 0), np.arange(num))
        assert len(found) == (0 if num < 3 else num)
        assert all(np.isfinite(one.likeness) and one.nearest >= 0 for one in found)


def test_there_is_a_most():
    assert len(strangest(space_with(60, 10), np.arange(70), most=4)) == 4


@pytest.mark.parametrize("seed", range(3))
def test_the_same_pictures_are_as_strange_every_time(seed):
    assert strangest(space_with(30, 1, seed=seed), np.arange(31)) == strangest(
        space_with(30, 1, seed=seed), np.arange(31)
    )


def test_a_few_odd_ones_of_a_kind_are_no_company():
    rng = np.random.default_rng(0)
    x = np.eye(2, 24)[np.r_[[0] * 100, [1] * 4]] + 0.1 * rng.normal(size=(104, 24))
    space = Space((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
    assert {one.row for one in strangest(space, np.arange(104)) if one.stands_out} == {100, 101, 102, 103}


def test_raw_features_are_rooted_and_neither_centred_nor_scaled():
    space = unscaled_space(np.array([[9.0, 16.0], [0.0, 0.0], [4.0, -4.0]], dtype=np.float16))
    assert space.x == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0.5**0.5, -(0.5**0.5)]]), abs=1e-6)
