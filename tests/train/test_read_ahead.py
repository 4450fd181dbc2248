"""What is read ahead is what is read when asked for; what was not foreseen is read all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.core.types import InputSpec
from thawline.train import loop
from thawline.train.batches import Batch, Pictures
from thawline.train.loop import train
from thawline.train.processes import Processes
from thawline.train.read_ahead import ReadAhead, reading_ahead

RUNTIME = Runtime("cpu", "float32", 4)
SAMPLES = np.arange(12)
ALONE = Processes()


class Second:
    """The second of two processes, as reading ahead sees it."""

    def share(self, rows, *, together):
        return rows[1::2]


SPEC = InputSpec(size_px=32, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def rows(drawn):
    return Pictures(drawn(12), SAMPLES, SPEC, RUNTIME, augment="flip", seed=3)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as threads:
        yield threads


def test_the_same_pictures_come_in_any_number_of_reads(rows, pool):
    reads = [SAMPLES[at : at + 3] for at in range(0, 12, 3)]
    ahead = ReadAhead(rows, iter(reads), epoch=1, pool=pool)
    for samples in reads:
        assert torch.equal(ahead.read(samples, 1), rows.read(samples, 1))


def test_what_was_not_foreseen_is_read_when_it_is_asked_for(rows, pool):
    ahead = ReadAhead(rows, [SAMPLES[:3], SAMPLES[3:6]], epoch=1, pool=pool)
    assert torch.equal(ahead.read(SAMPLES[6:8], 1), rows.read(SAMPLES[6:8], 1))
    assert torch.equal(ahead.read(SAMPLES[:3], None), rows.read(SAMPLES[:3], None))
    assert torch.equal(ahead.read(SAMPLES[:3], 1), rows.read(SAMPLES[:3], 1))
    assert torch.equal(ahead.read(SAMPLES[9:], 1), rows.read(SAMPLES[9:], 1))


def test_only_so_many_batches_are_read_before_they_are_asked_for(rows, pool, monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "2")
    taken = []
    reads = (taken.append(at) or SAMPLES[at : at + 1] for at in range(12))
    ahead = ReadAhead(rows, reads, epoch=0, pool=pool)
    assert taken == [0, 1, 2, 3]
    ahead.read(SAMPLES[:1], 0)
    assert taken == [0, 1, 2, 3, 4]
    ahead.close()
    assert torch.equal(ahead.read(SAMPLES[1:2], 0), rows.read(SAMPLES[1:2], 0))


def test_blended_batches_are_foreseen_with_their_partners(rows):
    batches = [Batch(SAMPLES[:3], SAMPLES[3:6], 0.25), Batch(SAMPLES[6:8], SAMPLES[6:8])]
    expected = [batch.inputs(rows, 0)[0] for batch in batches]
    with reading_ahead(rows, batches, epoch=0, device="meta", processes=ALONE) as ahead:
        assert isinstance(ahead, ReadAhead)
        assert all(torch.equal(batch.inputs(ahead, 0)[0], x) for batch, x in zip(batches, expected, strict=True))
        assert not ahead._ahead


def test_a_cpu_reads_in_its_streams(rows):
    with reading_ahead(rows, [], epoch=0, device="cpu", processes=ALONE) as same:
        assert same is rows


def test_of_several_processes_each_reads_its_own_part(rows):
    with reading_ahead(rows, [Batch(SAMPLES, SAMPLES)], epoch=0, device="meta", processes=Second()) as ahead:
        assert torch.equal(ahead.read(SAMPLES[1::2], 0), rows.read(SAMPLES[1::2], 0))
        assert not ahead._ahead


def test_a_training_run_that_reads_ahead_ends_with_the_same_bytes(make_job, monkeypatch):
    job, made = make_job("all", augment="flip", mixup=0.2), []
    expected = train(job)

    def as_on_a_device(rows, batches, *, epoch, device, processes):
        made.append(epoch)
        return reading_ahead(rows, batches, epoch=epoch, device="meta", processes=processes)

    monkeypatch.setattr(loop, "reading_ahead", as_on_a_device)
    found = train(job)
    assert made == [0, 1, 2]
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items())
