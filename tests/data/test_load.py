"""Pictures that changed are noticed; work comes back in order, done ahead by a bounded window."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.data.check import check
from thawline.data.images import prepare, prepare_with_remarks
from thawline.data.load import load_pixels, map_ordered, prepare_each

SPEC = InputSpec(size_px=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def pictures(make_folder):
    root = make_folder(
        {f"{name}/{number:02}": 100 * at + number for at, name in enumerate("ab") for number in range(6)}
    )
    return root, check(root)[0]


def test_pixels_are_those_of_the_decoder(pictures):
    root, dataset = pictures
    for sample in dataset.samples:
        pixels = load_pixels(sample, SPEC)
        assert pixels.shape == (16, 16, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == prepare((root / sample.path).read_bytes(), SPEC)).all()


def test_a_picture_that_vanished_or_changed_is_named(pictures):
    root, dataset = pictures
    sample = next(sample for sample in dataset.samples if sample.path == "a/03")
    (root / "a/03").unlink()
    with pytest.raises(DataError, match=r"read: a/03: missing.*run again"):
        load_pixels(sample, SPEC)
    (root / "a/03").write_bytes((root / "a/02").read_bytes())
    with pytest.raises(DataError, match="a/03 has changed since it was checked"):
        load_pixels(sample, SPEC)


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


def test_a_picture_is_prepared_in_every_way_and_its_oddities_are_told_once(pictures):
    root, _ = pictures
    data = (root / "a/03").read_bytes()
    larger = replace(SPEC, size_px=24)
    (small, large), remarks = prepare_each(data, (SPEC, larger))
    assert (small == prepare(data, SPEC)).all()
    assert (large == prepare(data, larger)).all()
    assert remarks == prepare_with_remarks(data, SPEC)[1]
