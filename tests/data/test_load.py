"""Batches come in order, decoded ahead by a bounded window, and notice pictures that changed."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.data.check import check
from thawline.data.images import prepare
from thawline.data.load import batches, map_ordered

SPEC = InputSpec(size_px=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def pictures(make_folder):
    root = make_folder(
        {f"{name}/{number:02}": 100 * at + number for at, name in enumerate("ab") for number in range(6)}
    )
    return root, check(root)[0]


def test_batches_are_in_order_and_the_last_may_be_smaller(pictures):
    root, dataset = pictures
    seen = list(batches(dataset, SPEC, batch_size=5))
    assert [index.tolist() for index, _ in seen] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert [pixels.shape for _, pixels in seen] == [(5, 16, 16, 3), (5, 16, 16, 3), (2, 16, 16, 3)]
    everything = np.concatenate([pixels for _, pixels in seen])
    expected = np.stack([prepare((root / sample.path).read_bytes(), SPEC) for sample in dataset.samples])
    assert everything.dtype == np.uint8
    assert (everything == expected).all()


def test_indices_choose_and_order_and_the_batch_size_changes_nothing(pictures):
    _, dataset = pictures
    wanted = np.array([7, 2, 2, 11], dtype=np.int64)
    one = np.concatenate([pixels for _, pixels in batches(dataset, SPEC, indices=wanted, batch_size=1)])
    three = np.concatenate(
        [pixels for _, pixels in batches(dataset, SPEC, indices=wanted, batch_size=3, num_threads=1)]
    )
    whole = np.concatenate([pixels for _, pixels in batches(dataset, SPEC)])
    assert (one == three).all()
    assert (one == whole[wanted]).all()
    assert list(batches(dataset, SPEC, indices=wanted[:0])) == []


def test_a_picture_that_vanished_or_changed_is_named(pictures):
    root, dataset = pictures
    (root / "a/03").unlink()
    with pytest.raises(DataError, match=r"read: a/03: missing.*run again"):
        list(batches(dataset, SPEC))
    (root / "a/03").write_bytes((root / "a/02").read_bytes())
    with pytest.raises(DataError, match="a/03 has changed since it was checked"):
        list(batches(dataset, SPEC))


def test_no_more_than_the_window_is_in_flight():
    lock = threading.Lock()
    started = []

    def work(item: int) -> int:
        with lock:
            started.append(item)
        return item * item

    results = map_ordered(work, range(100), num_threads=4, ahead=8)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(started) <= 9
    assert list(results) == [item * item for item in range(1, 100)]


def test_results_keep_their_order_when_early_items_are_slow():
    def work(item: int) -> int:
        time.sleep(0.02 if item % 5 == 0 else 0)
        return item

    assert list(map_ordered(work, range(20), num_threads=4, ahead=6)) == list(range(20))


def test_leaving_early_stops_the_threads():
    before = threading.active_count()
    results = map_ordered(lambda item: item, range(1000), num_threads=3)
    next(results)
    results.close()
    assert threading.active_count() == before
