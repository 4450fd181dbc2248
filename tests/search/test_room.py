"""What memory holds is ranked whole; what it does not, on a sample."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.split import make_split
from thawline.search import room as module
from thawline.search.room import holds, ranked_split, room_of

SPEC = SimpleNamespace(
    cuts=tuple(("block", 100) for _ in range(8)),
    poolings=("mean", "std"),
    widths={(cut, pooling): 100 for cut in range(8) for pooling in ("mean", "std")},
)
"""The widest candidate reads six cuts, from a quarter up, by two poolings: 1,200 columns."""


@pytest.fixture(scope="module")
def pictures():
    samples = tuple(Sample(f"{row}", row % 4, f"{row:064x}", None, row, None) for row in range(5000))
    return Dataset(None, ("a", "b", "c", "d"), samples, ())


def ranked(dataset, room, **facts):
    split = make_split(dataset, num_folds=3, num_repeats=1)
    return split, ranked_split(dataset, split, specs=[SPEC], num_views=1, room=room, **facts)


def test_room_is_half_of_what_is_free_or_what_a_person_allows(monkeypatch):
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=6 << 30))
    assert room_of(None) == 3 << 30
    assert room_of(0.5) == 1 << 29


def test_features_and_what_is_made_of_them_count():
    assert holds(4 * 1000 * 2 * 1280, num_rows=1000, num_columns=1280)
    assert not holds(4 * 1000 * 2 * 1280 - 1, num_rows=1000, num_columns=1280)
    assert holds(4 * 1000 * (5000 + 2048), num_rows=1000, num_columns=5000)


def test_what_memory_holds_is_ranked_whole(pictures):
    split, sample = ranked(pictures, 4000 * 4 * (2 * 1200 + 2 * 20 * 4))
    assert sample is split


def test_what_it_does_not_hold_is_ranked_on_as_many_as_it_holds(pictures, monkeypatch):
    monkeypatch.setattr(module, "num_workers", lambda: 2)
    of_row = 4 * (2 * 1200 + 2 * len(module.candidate_features(SPEC)) * 4)
    split, sample = ranked(pictures, 3000 * of_row)
    assert 3000 <= len(sample.pool) <= 3012
    assert np.array_equal(sample.test, split.test)
    for num_workers, fewer in ((2, 3000), (8, 1000)):
        monkeypatch.setattr(module, "num_workers", lambda count=num_workers: count)
        monkeypatch.setattr(module, "FEWEST", 1)
        assert len(ranked(pictures, 3000 * of_row)[1].pool) < 1.2 * fewer


def test_never_on_fewer_than_tell_anything_nor_on_more_than_tell_all(pictures):
    assert len(ranked(pictures, 1)[1].pool) == pytest.approx(module.FEWEST, abs=12)
    assert len(ranked(pictures, 1 << 20, most=300)[1].pool) == pytest.approx(300, abs=12)
