"""Threads take turns at an accelerator's lanes; through buffers of a lane come the numbers that come without."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.features.lanes import Lanes
from thawline.features.network import load_backbone
from thawline.features.reader import FeatureReader

RUNTIME = Runtime("cpu", "float32", 4)
BATCHES = np.random.default_rng(0).integers(0, 256, (12, 4, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def reader():
    return FeatureReader(
        load_backbone("test_efficientnet", pretrained=False, size_px=32), RUNTIME, [(2, "mean")], "float32"
    )


def test_a_cpu_has_one_lane_for_everybody_and_copies_nothing():
    lanes = Lanes("cpu")
    with lanes.turn() as first, lanes.turn() as second:
        assert first is second
        assert first.put(BATCHES[0]).data_ptr() == BATCHES[0].ctypes.data


def test_rows_that_pass_through_buffers_are_the_same_rows(reader):
    expected = [reader.read(batch) for batch in BATCHES]
    reader.lanes = Lanes("cpu", num_lanes=2)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(reader.read, BATCHES))
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_what_was_taken_stays_when_the_buffer_is_used_again():
    lanes = Lanes("cpu", num_lanes=1)
    with lanes.turn() as lane:
        first = lane.take(lane.put(BATCHES[0]))
    with lanes.turn() as lane:
        lane.take(lane.put(BATCHES[1]))
        assert lane.put(BATCHES[2][:1]).shape == (1, 32, 32, 3)  # another shape gets another buffer
    assert np.array_equal(first, BATCHES[0])


def test_a_buffer_may_be_filled_in_inference_mode_and_again_outside():
    lanes = Lanes("cpu", num_lanes=1)
    with torch.inference_mode(), lanes.turn() as lane:
        lane.take(lane.put(BATCHES[0]).float())
    with lanes.turn() as lane:
        assert np.array_equal(lane.take(lane.put(BATCHES[1]).float()), BATCHES[1].astype(np.float32))


def test_no_more_threads_compute_than_there_are_lanes():
    lanes, inside, most, guard = Lanes("cpu", num_lanes=2), 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work(_: int) -> None:
        nonlocal inside, most
        with lanes.turn():
            with guard:
                inside += 1
                most = max(most, inside)
            both.wait()
            with guard:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert most == 2


def test_a_lane_comes_back_when_what_it_was_taken_for_fails():
    lanes = Lanes("cpu", num_lanes=1)
    with pytest.raises(ValueError, match="no picture"), lanes.turn():
        raise ValueError("no picture")
    with lanes.turn() as lane:
        assert lane.is_staged


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_rows_of_cuda_are_those_of_the_cpu(reader):
    there = FeatureReader(reader.network, Runtime("cuda", "float32", 4), [(2, "mean")], "float32")
    with ThreadPoolExecutor(4) as pool:
        for one, batch in zip(pool.map(there.read, BATCHES), BATCHES, strict=True):
            np.testing.assert_allclose(one, reader.read(batch), rtol=1e-4, atol=1e-5)


def test_a_pickle_opens_lanes_of_its_own():
    again = pickle.loads(pickle.dumps(Lanes("cpu", num_lanes=2)))
    with again.turn() as first, again.turn() as second:
        assert first is not second
        assert first.is_staged
