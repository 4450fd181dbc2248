"""Both engines find autograd's gradients; parts, threads and lack of memory change none of them."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.train.batches import Batch, Pictures
from thawline.train.engine import is_out_of_memory, open_engine
from thawline.train.new_head import new_head
from thawline.train.objective import Objective
from thawline.train.phases import phases
from thawline.train.plan import parse_plan
from thawline.train.thawed import Thawed, working_copy

CLASS_WEIGHTS = np.array([0.5, 1.5, 1.0], np.float32)
PLACE = (2, 5)
FULL = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.fixture
def rows(learnable, network):
    spec = network("test_resnet").backbone.input
    return Pictures(learnable, np.arange(36), spec, Runtime("cpu", "float32", 8), augment="none", seed=0)


@pytest.fixture
def batch():
    samples = np.random.default_rng(0).permutation(36)[:21]
    return Batch(samples, np.roll(samples, 1), share=0.7)


@pytest.fixture
def make_thawed(network):
    """Return a function from a plan to a thawed network whose head is no longer zero."""

    def make(plan="last 2 blocks", name="test_resnet", *, keeps_norms=False):
        copy = working_copy(network(name), keeps_norms=keeps_norms)
        layers = phases(parse_plan(plan), copy, epochs=1)[0].layers
        head = new_head(copy, 3)
        torch.nn.init.normal_(head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
        return Thawed(copy, None, layers, head)

    return make


@pytest.fixture
def objective(learnable):
    return Objective(learnable.labels, CLASS_WEIGHTS, label_smoothing=0.1)


def gradients_of(thawed, objective, batch, rows, *, whole=False, dtype="float32", notes=None, **options):
    """Return the sums and gradients of one step."""
    note = (notes if notes is not None else []).append
    runtime = Runtime("cpu", dtype, 8)
    with open_engine(thawed, objective, runtime=runtime, keeps_norms=whole, note=note, **options) as engine:
        sums = engine.gradients(batch, rows, place=PLACE, scale=1 / len(batch))
    found = {name: weight.grad.clone() for name, weight in thawed.trained().items()}
    for weight in thawed.trained().values():
        weight.grad = None
    return sums, found


def assert_close(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    largest = max(float(tensor.abs().max()) for tensor in expected.values())
    assert largest > 0
    for name, tensor in expected.items():  # behind a norm whose scale starts at zero there is nothing but rounding
        scale = max(float(tensor.abs().max()), 1e-3 * largest)
        assert float((found[name] - tensor).abs().max()) <= tolerance * scale, name


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("plan", ["all", "last 2 blocks", "head"])
def test_gradients_are_those_of_the_mean_weighted_loss(make_thawed, objective, batch, rows, plan, whole):
    thawed = make_thawed(plan)
    sums, found = gradients_of(thawed, objective, batch, rows, whole=whole)
    x = torch.lerp(rows.read(batch.partners, None), rows.read(batch.samples, None), 0.7)
    logits = thawed(x)
    of_labels = [
        torch.nn.functional.cross_entropy(
            logits, torch.from_numpy(objective.labels[of]), reduction="none", label_smoothing=0.1
        )
        * torch.from_numpy(CLASS_WEIGHTS[objective.labels[of]])
        for of in (batch.samples, batch.partners)
    ]
    losses = 0.7 * of_labels[0] + 0.3 * of_labels[1]
    expected = torch.autograd.grad(losses.mean(), list(thawed.trained().values()))
    assert_close(found, dict(zip(thawed.trained(), expected, strict=True)), 1e-4)
    assert sums.loss == pytest.approx(float(losses.detach().sum()), rel=1e-5)
    assert sums.right == int((logits.argmax(1).numpy() == objective.labels[batch.samples]).sum())
    assert sums.count == 21


@pytest.mark.parametrize(("name", "tolerance"), [("test_resnet", 1e-4), ("mobilenetv3_small_050", 1e-3)])
def test_streams_and_whole_batches_find_the_same(make_thawed, objective, batch, rows, name, tolerance):
    thawed = make_thawed("last 50 %", name)
    streams = gradients_of(thawed, objective, batch, rows)
    whole = gradients_of(thawed, objective, batch, rows, whole=True)
    assert_close(streams[1], whole[1], tolerance)
    assert streams[0].loss == pytest.approx(whole[0].loss, rel=1e-4)


def test_bfloat16_finds_them_roughly(make_thawed, objective, batch, learnable, network):
    spec, thawed = network("test_resnet").backbone.input, make_thawed("last 2 blocks")
    rows = {
        dtype: Pictures(learnable, np.arange(36), spec, Runtime("cpu", dtype, 8), augment="none", seed=0)
        for dtype in ("float32", "bfloat16")
    }
    exact = gradients_of(thawed, objective, batch, rows["float32"])[1]
    for whole in (False, True):
        read = rows["float32" if whole else "bfloat16"]
        found = gradients_of(thawed, objective, batch, read, whole=whole, dtype="bfloat16")[1]
        assert all(tensor.dtype == torch.float32 for tensor in found.values())
        assert_close(found, exact, 0.1)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_parts_change_nothing(make_thawed, objective, batch, rows, whole, dropout):
    thawed, objective = make_thawed(), replace(objective, dropout=dropout)
    once = gradients_of(thawed, objective, batch, rows, whole=whole)
    parts = gradients_of(thawed, objective, batch, rows, whole=whole, accumulate=4)
    assert_close(parts[1], once[1], 1e-4)
    assert parts[0].loss == pytest.approx(once[0].loss, rel=1e-5)


def test_two_halves_add_up_to_the_whole(make_thawed, objective, batch, rows):
    """What processes do, each with its share; dropout included."""
    thawed, objective = make_thawed(), replace(objective, dropout=0.5)
    expected = gradients_of(thawed, objective, batch, rows)[1]
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=False) as engine:
        for rank in range(2):
            engine.gradients(batch.part(np.arange(rank, 21, 2)), rows, place=PLACE, scale=1 / 21)
    assert_close({name: weight.grad for name, weight in thawed.trained().items()}, expected, 1e-4)


class Unsteady:
    """Rows whose reading takes a random time."""

    def __init__(self, rows):
        self.rows, self.random = rows, np.random.default_rng()

    def read(self, samples, epoch):
        time.sleep(float(self.random.random()) * 0.01)
        return self.rows.read(samples, epoch)


def test_bits_do_not_depend_on_the_timing_of_threads(make_thawed, objective, rows, monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "3")
    thawed, samples = make_thawed("all"), np.random.default_rng(1).permutation(36)
    batch = Batch(samples, samples)
    expected = gradients_of(thawed, objective, batch, rows)
    for _ in range(5):
        sums, found = gradients_of(thawed, objective, batch, Unsteady(rows))
        assert sums == expected[0]
        assert_equal(found, expected[1])


def full_above(limit, monkeypatch):
    """Let the memory run out where more than `limit` pictures go through in training."""
    forward = Thawed.forward

    def limited(self, h, keep=None):
        if torch.is_grad_enabled() and len(h) > limit:
            raise RuntimeError(FULL)
        return forward(self, h, keep)

    monkeypatch.setattr(Thawed, "forward", limited)


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (False, "tune: memory ran out; pictures now go through in parts of 2, with the same result"),
        (True, "tune: memory ran out; a step is now split into 8 parts"),
    ],
)
def test_where_memory_runs_out_parts_are_halved(make_thawed, objective, batch, rows, monkeypatch, whole, said):
    thawed, notes = make_thawed(), []
    expected = gradients_of(thawed, objective, batch, rows, whole=whole)
    full_above(3, monkeypatch)
    sums, found = gradients_of(thawed, objective, batch, rows, whole=whole, notes=notes)
    assert notes[-1] == said
    assert_close(found, expected[1], 1e-4)
    assert sums.loss == pytest.approx(expected[0].loss, rel=1e-5)
    assert sums.right == expected[0].right


def test_a_stream_that_is_still_at_work_when_another_runs_out_of_memory_leaves_no_trace(
    make_thawed, objective, batch, rows, monkeypatch
):
    monkeypatch.setenv("THAWLINE_THREADS", "2")
    thawed = make_thawed()
    expected = gradients_of(thawed, objective, batch, rows, accumulate=6)[1]  # parts of 4, as halved ones will be
    forward, calls, other = Thawed.forward, itertools.count(), threading.Event()

    def fails_once(self, h, keep=None):
        if next(calls) == 0:
            other.wait(600)
            raise RuntimeError(FULL)
        other.set()
        if len(h) == 8:
            time.sleep(0.1)  # of the parts before they were halved
        return forward(self, h, keep)

    monkeypatch.setattr(Thawed, "forward", fails_once)
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=False) as engine:
        for _ in range(2):
            engine.gradients(batch, rows, place=PLACE, scale=1 / len(batch))
            assert_equal({name: weight.grad for name, weight in thawed.trained().items()}, expected)
            for weight in thawed.trained().values():
                weight.grad = None
            time.sleep(0.2)


@pytest.mark.parametrize("whole", [False, True])
def test_a_picture_that_does_not_fit_alone_and_other_errors_come_through(
    make_thawed, objective, batch, rows, monkeypatch, whole
):
    full_above(0, monkeypatch)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        gradients_of(make_thawed(), objective, batch, rows, whole=whole)
    monkeypatch.setattr(Thawed, "forward", lambda self, h, keep=None: h.view(7, 7, 7))
    with pytest.raises(RuntimeError, match="is invalid for input of size"):
        gradients_of(make_thawed(), objective, batch, rows, whole=whole)


def test_what_counts_as_lack_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError(FULL))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


@pytest.mark.parametrize("whole", [False, True])
def test_answers_come_in_the_order_of_the_rows(make_thawed, objective, rows, whole):
    thawed, samples = make_thawed(), np.array([30, 2, 17, 2, *range(20)])
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=whole) as engine:
        found = engine.logits(samples, Unsteady(rows))
        none = engine.logits(samples[:0], rows)
    with torch.no_grad():
        expected = thawed(rows.read(samples, None)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert none.shape == (0, 3)


@pytest.mark.parametrize("whole", [False, True])
def test_an_empty_share_adds_nothing(make_thawed, objective, batch, rows, whole):
    """Where there are more processes than pictures in the last batch."""
    thawed = make_thawed()
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=whole) as engine:
        sums = engine.gradients(batch.part(np.arange(0)), rows, place=PLACE, scale=1 / 2)
    assert (sums.loss, sums.right, sums.count) == (0, 0, 0)
    assert all(not weight.grad.any() for weight in thawed.trained().values())


def test_replicas_follow_the_weights_when_told(make_thawed, objective, rows):
    thawed, samples = make_thawed(), np.arange(9)
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=False) as engine:
        before = engine.logits(samples, rows)
        with torch.no_grad():
            thawed.head.bias += 1
        engine.refresh()
        np.testing.assert_allclose(engine.logits(samples, rows), before + 1, rtol=1e-4, atol=1e-5)


def test_norms_that_learn_do_so_in_training_only(make_thawed, objective, batch, rows):
    thawed = make_thawed("all", keeps_norms=True)
    buffers = {name: buffer.clone() for name, buffer in thawed.model.named_buffers()}
    with open_engine(thawed, objective, runtime=Runtime("cpu", "float32", 8), keeps_norms=True) as engine:
        engine.logits(batch.samples, rows)
        assert_equal(dict(thawed.model.named_buffers()), buffers)
        engine.gradients(batch, rows, place=PLACE, scale=1.0)
        moved = dict(thawed.model.named_buffers())
    assert all(not torch.equal(moved[name], buffer) for name, buffer in buffers.items())


def test_the_number_of_threads_is_afterwards_what_it_was(make_thawed, objective, batch, rows):
    threads = torch.get_num_threads()
    gradients_of(make_thawed(), objective, batch, rows)
    assert torch.get_num_threads() == threads
    assert not any(thread.name.startswith("streams") for thread in threading.enumerate())
