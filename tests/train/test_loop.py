"""A training run learns, repeats itself to the byte, goes on after an interruption, and touches nothing frozen."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from typing import ClassVar

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from thawline.core.errors import StoreError, TrainingError
from thawline.core.options import Options
from thawline.core.progress import SilentProgress
from thawline.core.runtime import Runtime
from thawline.data.images import prepare
from thawline.features.network import load_backbone
from thawline.features.pooling import pooled
from thawline.features.reader import to_input
from thawline.train.allowance import Allowance
from thawline.train.checkpoint import Checkpoints
from thawline.train.job import set_aside
from thawline.train.loop import train
from thawline.train.new_head import HEAD_BIAS, HEAD_WEIGHT
from thawline.train.objective import Objective
from thawline.train.thawed import Thawed, working_copy, write_back

FULL = "DefaultCPUAllocator: can't allocate memory: you tried to allocate"
SCRATCH = "simple_cnn from nothing"


class Noted(SilentProgress):
    """Remembers what was said."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


class StopError(Exception):
    """An interruption."""


class Stopping(Noted):
    """Interrupts the training at its second step, before that is written down."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    @contextmanager
    def stage(self, name, total=None, *, unit="pictures"):
        calls = itertools.count()

        def advance(done):
            self.steps += name.startswith("tune") and next(calls) > 0  # the first one tells where the training stands
            if self.steps == 2:
                raise StopError

        yield advance


class Recorder(Checkpoints):
    """Writes down the tensors of every state that is saved."""

    seen: ClassVar[list[dict[str, torch.Tensor]]] = []

    def save(self, step, state):
        self.seen.append({name: tensor.clone() for name, tensor in state.tensors.items()})


def scratch_job(make_job, **options):
    return make_job(SCRATCH, backbone="simple_cnn", **options)


def assert_same(found, expected):
    """Both training runs have the same bytes and the same curve."""
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name
    for one, other in zip(astuple(found.curve), astuple(expected.curve), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.learning_rate == expected.learning_rate
    assert found.finder == expected.finder


def assert_close(found, expected, tolerance):
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        worst = float((found.tensors[name] - tensor).abs().max())
        assert worst <= tolerance * max(1.0, float(tensor.abs().max())), name
    np.testing.assert_allclose(found.curve.train_loss, expected.curve.train_loss, rtol=tolerance)


def differ(found, expected):
    """The training runs made other tensors, or tensors of other names or shapes."""
    return found.tensors.keys() != expected.tensors.keys() or any(
        not torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items()
    )


def loss_of(job, trained, rows):
    """Return the loss on some rows of the network that the training leads to, in the original's own layers."""
    network = write_back(job.network, trained.tensors, plan="", keeps_norms=job.plan.from_nothing)
    spec, samples = network.backbone.input, [job.context.dataset.samples[row] for row in rows]
    x = to_input(
        np.stack([prepare(sample.source.read(), spec) for sample in samples]), spec, runtime=job.context.runtime
    )
    cut, pooling = job.block
    with torch.no_grad():
        h = network.prefix(x, cut)
        features = pooled(h, [pooling], num_prefix_tokens=network.num_prefix_tokens)[pooling]
        logits = torch.from_numpy(trained.head.logits(features.numpy()))
    return float(F.cross_entropy(logits, torch.from_numpy(job.context.dataset.labels[rows])))


@pytest.mark.parametrize(
    ("plan", "backbone", "rate"),
    [
        (SCRATCH, "simple_cnn", 3e-3),
        ("all", "test_resnet", 5e-3),
        ("last 2 blocks", "test_resnet", 5e-3),
        ("last 50 %", "test_resnet", 5e-3),
        ("head", "test_resnet", 0.1),
        ("head, 1 block cut", "test_resnet", 0.1),
        ("head", "dla34", 0.03),
        ("head, 2 blocks cut", "test_vit", 0.1),
        ("gradual last 2 blocks", "test_resnet", 5e-3),
        ("last 2 blocks", "test_vit", 5e-3),
    ],
)
def test_what_can_be_learnt_is_learnt(make_job, plan, backbone, rate):
    job = make_job(plan, backbone=backbone, learning_rate=rate, epochs=8)
    heard = []
    trained = train(job, news=lambda epoch, values: heard.append((epoch, values)))
    curve = trained.curve
    assert curve.train_loss[-1] < 0.5 * curve.train_loss[0]
    assert curve.train_accuracy[-1] > 0.9
    assert curve.validation_accuracy[-1] > 0.85
    assert curve.validation_loss[-1] == pytest.approx(loss_of(job, trained, job.held_out), rel=0.02, abs=0.003)
    assert [epoch for epoch, _ in heard] == list(range(1, 9))
    assert [values["train_loss"] for _, values in heard] == list(curve.train_loss)
    assert curve.learning_rate[0] == pytest.approx(rate, rel=0.1)
    assert curve.learning_rate[-1] < 0.2 * rate or "gradual" in plan
    assert trained.seconds > 0


def test_pretrained_weights_learn_on_in_bfloat16(learnable, make_job):
    job = make_job("last 2 blocks", runtime=Runtime("cpu", "bfloat16", 8), learning_rate=1e-3, epochs=5)
    trained = train(replace(job, network=load_backbone(size_px=64)))
    assert trained.curve.train_loss[-1] < 0.3
    assert trained.curve.validation_accuracy[-1] > 0.85


def test_where_the_head_comes_first_the_training_starts_from_it(make_job):
    job = make_job("head, then last 2 blocks", learning_rate=1e-6, epochs=1)
    solved = train(make_job("head", learning_rate=0.1, epochs=8))
    trained = train(replace(job, start=solved.head.folded()))
    assert trained.curve.train_accuracy[0] > 0.9
    assert torch.allclose(trained.tensors[HEAD_WEIGHT], solved.tensors[HEAD_WEIGHT], atol=1e-4)
    assert torch.allclose(trained.tensors[HEAD_BIAS], solved.tensors[HEAD_BIAS], atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing": 0.1},
        {"mixup": 0.4},
        {"cutmix": 1.0},
        {"mixup": 0.4, "cutmix": 1.0},
        {"dropout": 0.5},
        {"hidden": 16},
        {"watch": True},
        {"l2_sp": 0.01},
        {"ema": 0.9},
        {"augment": "trivial"},
        {"sampling": "balanced"},
        {"layer_decay": 0.5},
        {"schedule": "one-cycle"},
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"optimizer": "adam"},
        {"clip_norm": 0.01},
        {"keep": "best"},
    ],
    ids=str,
)
def test_the_same_seed_gives_the_same_bytes_and_every_option_matters(make_job, monkeypatch, options):
    monkeypatch.setenv("THAWLINE_THREADS", "2")
    job = make_job("last 2 blocks", epochs=2, **options)
    trained = train(job)
    assert_same(train(job), trained)
    other = make_job("last 2 blocks", epochs=2, seed=0 if options else 1)
    assert differ(train(other), trained)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": 16},
        {"hidden": 16, "dropout": 0.5},
        {"dropout": 0.5},
        {"mixup": 0.4},
        {"cutmix": 1.0},
        {"augment": "flip"},
        {"label_smoothing": 0.1},
        {"sampling": "balanced"},
        {"ema": 0.9},
        {"weight_decay": 5.0},
        {"optimizer": "sgd", "learning_rate": 0.05},
    ],
    ids=str,
)
def test_a_head_alone_repeats_itself_and_every_option_matters_to_it(make_job, options):
    plan = "head, 1 block cut"
    trained = train(make_job(plan, **options))
    assert_same(train(make_job(plan, **options)), trained)
    base = {"hidden": 16} if len(options) > 1 and "hidden" in options else {}
    assert differ(train(make_job(plan, **base) if options else make_job("head, 2 blocks cut")), trained)


def test_networks_from_nothing_repeat_themselves_too(make_job):
    for options in ({}, {"dropout": 0.5, "mixup": 0.4, "augment": "flip"}):
        job = scratch_job(make_job, **options)
        assert_same(train(job), train(job))


def test_a_last_batch_of_one_picture_teaches_norms_nothing_and_does_no_harm(make_job):
    """On maps of one position: norms cannot learn from a single number."""
    trained = train(make_job("test_efficientnet from nothing", backbone="test_efficientnet", batch_size=13))
    assert trained.curve.train_loss[-1] < trained.curve.train_loss[0]


@pytest.mark.parametrize("plan", ["last 2 blocks", "gradual last 2 blocks"])
def test_a_cached_prefix_and_a_live_one_lead_to_the_same(make_job, changed, plan, tmp_path):
    noted, options = Noted(), {"optimizer": "sgd", "learning_rate": 0.05}
    cached = train(make_job(plan, **options))
    live = make_job(plan, disk_budget="1kB", **options)
    live = train(changed(live, options=Options(cache_dir=tmp_path / "empty"), progress=noted))
    assert_close(live, cached, 5e-3)  # what is stored is rounded to float16
    assert any(note.startswith("prefix: not cached") for note in noted.notes)
    assert cached.curve.train_loss != live.curve.train_loss


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"mixup": 0.4}], ids=str)
def test_a_step_worked_off_in_parts_is_the_same_step(make_job, options):
    options |= {"optimizer": "sgd", "learning_rate": 0.05}
    expected = train(make_job("last 2 blocks", **options))
    assert_close(train(make_job("last 2 blocks", accumulate=4, **options)), expected, 1e-4)


@pytest.mark.parametrize("plan", ["last 2 blocks", "all"])
def test_where_memory_runs_out_the_result_is_the_same(make_job, changed, monkeypatch, plan):
    options = {"optimizer": "sgd", "learning_rate": 0.05}
    expected, noted, forward = train(make_job(plan, **options)), Noted(), Thawed.forward

    def limited(self, h, keep=None):
        if torch.is_grad_enabled() and len(h) > 2:
            raise RuntimeError(FULL)
        return forward(self, h, keep)

    monkeypatch.setattr(Thawed, "forward", limited)
    assert_close(train(changed(make_job(plan, **options), progress=noted)), expected, 1e-4)
    said = "tune: memory ran out; pictures now go through in parts of {}, with the same result"
    assert noted.notes == [said.format(4), said.format(2)]


def test_the_running_mean_is_what_predicts(make_job, tmp_path):
    job = make_job("last 2 blocks", ema=0.8, checkpoint_every="0s")
    Recorder.seen.clear()
    trained = train(job, checkpoints=Recorder(tmp_path, {}))
    assert len(Recorder.seen) == 3 * 4
    for step, (before, after) in enumerate(itertools.pairwise(Recorder.seen), start=1):
        decay = min(0.8, (1 + step) / (10 + step))
        for name in trained.tensors:
            expected = torch.lerp(after[f"weights/{name}"], before[f"mean/{name}"], decay)
            assert torch.allclose(after[f"mean/{name}"], expected, rtol=1e-4, atol=1e-6), name
    assert all(torch.equal(tensor, Recorder.seen[-1][f"mean/{name}"]) for name, tensor in trained.tensors.items())
    assert not torch.equal(trained.tensors[HEAD_WEIGHT], Recorder.seen[-1][f"weights/{HEAD_WEIGHT}"])
    assert trained.curve.validation_loss[-1] == pytest.approx(loss_of(job, trained, job.held_out), rel=0.02)


@pytest.fixture
def unlearnable(learnable, changed):
    """Return a function that gives a job labels without any relation to the pictures: the watched loss soon rises."""
    labels = np.random.default_rng(3).integers(0, 3, len(learnable))
    samples = [replace(sample, label=int(label)) for sample, label in zip(learnable.samples, labels, strict=True)]
    return lambda job: changed(job, dataset=replace(learnable, samples=tuple(samples)))


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        ("last 2 blocks", {"keep": "best", "learning_rate": 0.02}),
        ("last 2 blocks", {"keep": "best", "ema": 0.8, "learning_rate": 0.02}),
        ("last 2 blocks", {"patience": 2}),
        ("gradual last 2 blocks", {"keep": "best", "learning_rate": 0.05}),
        (SCRATCH, {"keep": "best"}),
    ],
    ids=str,
)
def test_the_best_epoch_is_kept(make_job, unlearnable, plan, options):
    job = make_job(
        plan, backbone="simple_cnn" if plan == SCRATCH else "test_resnet", epochs=8, schedule="constant", **options
    )
    job = unlearnable(job)
    trained, watched = train(job), set_aside(job.context.dataset, job.train, seed=job.context.seed)[1]
    losses = trained.curve.validation_loss
    assert min(losses) < losses[-1]
    assert loss_of(job, trained, watched) == pytest.approx(min(losses), rel=0.02)


def test_patience_ends_a_training_that_gets_no_better(make_job, unlearnable):
    losses = train(unlearnable(make_job("all", epochs=30, patience=3, schedule="constant"))).curve.validation_loss
    assert len(losses) < 30
    assert len(losses) == int(np.argmin(losses)) + 1 + 3


def test_a_plateau_lowers_the_step_size(make_job, unlearnable):
    curve = train(unlearnable(make_job("all", epochs=16, schedule="plateau", warmup=0))).curve
    rates = np.array(curve.learning_rate)
    assert rates[0] == 5e-3
    falls = np.flatnonzero(np.diff(rates)) + 1
    assert len(falls) >= 1
    np.testing.assert_allclose(rates[falls] / rates[falls - 1], 0.3)
    best = int(np.argmin(curve.validation_loss[: falls[0]]))
    assert falls[0] >= best + 3  # only where it has stalled


@pytest.mark.parametrize("options", [{"keep": "best"}, {"patience": 2}, {"schedule": "plateau"}], ids=str)
def test_held_out_rows_decide_nothing(make_job, changed, unlearnable, options):
    job = unlearnable(make_job("last 2 blocks", epochs=6, **options))
    expected = train(job)
    samples = list(job.context.dataset.samples)
    for row in job.held_out:
        samples[row] = replace(samples[row], label=(samples[row].label + 1) % 3)
    scrambled = changed(job, dataset=replace(job.context.dataset, samples=tuple(samples)))
    assert_same(train(scrambled), expected)
    assert_same(train(replace(job, held_out=job.held_out[:0])), expected)


def test_nothing_is_held_out_of_the_last_training(make_job):
    trained = train(replace(make_job("last 2 blocks"), held_out=np.empty(0, dtype=np.int64)))
    assert np.isnan(trained.curve.validation_loss).all()
    assert trained.curve.train_loss[-1] < trained.curve.train_loss[0]


def test_class_weights_weigh_the_loss(make_job):
    weights = np.array([0.2, 0.7, 2.1], np.float32)
    job = replace(make_job("head", epochs=1, warmup=0.1, batch_size=27), class_weights=weights)
    trained = train(job)
    of_rows = weights[job.context.dataset.labels[job.train]]
    assert trained.curve.train_loss[0] == pytest.approx(np.log(3) * of_rows.mean(), rel=1e-5)
    assert trained.tensors[HEAD_BIAS].argmax() == 2  # a head that knew nothing leans towards what counts most


def test_weights_are_held_where_they_started(make_job):
    def moved(l2_sp):
        job = make_job("last 2 blocks", optimizer="sgd", learning_rate=0.05, weight_decay=0.0, l2_sp=l2_sp)
        start = dict(working_copy(job.network, keeps_norms=False).model.named_parameters())
        found = train(job).tensors
        return sum(float((found[name] - start[name]).square().sum()) for name in found if name in start)

    free, held = moved(0.0), moved(5.0)
    assert 0 < held < 0.7 * free


@pytest.mark.parametrize(
    "plan", ["last 2 blocks", "last 20 %", "head", "head, 2 blocks cut", "gradual last 2 blocks", SCRATCH]
)
def test_what_is_frozen_stays_frozen_to_the_last_bit(make_job, plan):
    job = scratch_job(make_job, ema=0.9) if plan == SCRATCH else make_job(plan, ema=0.9, keep="best")
    before = {name: tensor.clone() for name, tensor in job.network.model.state_dict().items()}
    modes = [module.training for module in job.network.model.modules()]
    trained = train(job)
    after = job.network.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not any(parameter.requires_grad for parameter in job.network.model.parameters())
    assert [module.training for module in job.network.model.modules()] == modes
    tuned = write_back(job.network, trained.tensors, plan=plan, keeps_norms=job.plan.from_nothing)
    moved = {name for name, tensor in tuned.model.state_dict().items() if not torch.equal(tensor, before[name])}
    if plan == SCRATCH:
        assert any(name.endswith("running_mean") for name in moved)
        return
    cut = job.network.backbone.cut_removing(2).index
    frozen = {id(module) for _, step in tuned.prefix_modules(cut) for module in step.modules()}
    below = {name for name, module in tuned.model.named_modules() if id(module) in frozen}
    assert below
    assert not [name for name in moved if name.rpartition(".")[0] in below]
    assert bool(moved) == (job.plan.kind != "frozen")


def test_a_loss_that_is_no_number_stops_and_says_where(make_job, monkeypatch, tmp_path):
    loss, calls = Objective.loss, itertools.count()
    monkeypatch.setattr(
        Objective, "loss", lambda *given, **share: loss(*given, **share) * (np.nan if next(calls) >= 5 else 1)
    )
    job = make_job("last 2 blocks", checkpoint_every="0s")
    checkpoints = Checkpoints(tmp_path / "run", job.identity())
    with pytest.raises(TrainingError) as caught:
        train(job, checkpoints=checkpoints)
    said = str(caught.value)
    assert said.startswith("tune: test_resnet · last 2 blocks: the loss is nan at epoch 2, step 2, on ")
    assert said.count(".png") == 5
    assert "and 3 more. " in said
    assert f"The last good checkpoint is {checkpoints.newest_path()}. Lower --learning-rate (it was 0.005), or" in said
    assert checkpoints.latest().facts["position"]["steps"] == 5
    calls = itertools.count(5)
    with pytest.raises(TrainingError, match=r"epoch 1, step 1, .* No checkpoint was written yet\."):
        train(make_job("last 2 blocks"))


RESUMED = {
    "from nothing": (SCRATCH, {"epochs": 2, "augment": "flip", "dropout": 0.2}),
    "partial": ("last 2 blocks", {"ema": 0.8, "keep": "best", "augment": "flip"}),
    "live prefix": ("last 2 blocks", {"epochs": 2, "disk_budget": "1kB", "augment": "trivial", "mixup": 0.4}),
    "gradual": ("gradual last 2 blocks", {"epochs": 4, "ema": 0.8, "keep": "best", "layer_decay": 0.7}),
    "momentum": ("all", {"optimizer": "sgd", "learning_rate": 0.05, "l2_sp": 0.01, "clip_norm": None}),
    "plateau": ("head", {"schedule": "plateau", "epochs": 6, "patience": 4}),
    "cut": ("head, 2 blocks cut", {"epochs": 4, "augment": "flip", "dropout": 0.5, "mixup": 0.4, "ema": 0.8}),
    "hidden": ("head, 1 block cut", {"epochs": 4, "hidden": 16, "dropout": 0.5, "keep": "best"}),
    "hidden, thawed": ("last 2 blocks", {"epochs": 2, "hidden": 16, "dropout": 0.5}),
    "float16": ("last 2 blocks", {"epochs": 2, "learning_rate": 1e-3}),
    "range test": ("last 2 blocks", {"learning_rate": None, "find_rate": True, "epochs": 2}),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_training_interrupted_at_every_step_ends_with_the_same_bytes(make_job, changed, tmp_path, name):
    plan, options = RESUMED[name]
    backbone = "simple_cnn" if plan == SCRATCH else "test_resnet"
    runtime = Runtime("cpu", "float16" if name == "float16" else "float32", 8)
    job = make_job(plan, backbone=backbone, runtime=runtime, checkpoint_every="0s", **options)
    if name == "float16":  # gradients that overflow, so that their scale is lowered on the way
        job = replace(job, class_weights=np.full(3, 3000, np.float32))
    expected = train(job)
    checkpoints, stops = Checkpoints(tmp_path / "run", job.identity()), 0
    while True:
        stopping = Stopping()
        try:
            resumed = train(changed(job, progress=stopping), checkpoints=checkpoints)
            break
        except StopError:
            stops += 1
        assert (stops == 1) == (not any("goes on at epoch" in note for note in stopping.notes))
    assert stops == 4 * len(expected.curve.train_loss) - 1 if not job.context.training.watches else stops >= 7
    assert_same(resumed, expected)
    assert resumed.seconds > 0


def test_a_training_interrupted_by_its_news_ends_with_the_same_bytes(make_job, tmp_path):
    job = make_job("gradual last 2 blocks", epochs=4, checkpoint_every="0s", keep="best")
    expected, heard = train(job), []

    def interrupt(epoch, values):
        heard.append(epoch)
        if heard.count(epoch) == 1:
            raise StopError

    checkpoints = Checkpoints(tmp_path / "run", job.identity())
    for _ in range(4):
        with pytest.raises(StopError):
            train(job, checkpoints=checkpoints, news=interrupt)
    assert_same(train(job, checkpoints=checkpoints, news=interrupt), expected)
    assert heard == [1, 1, 2, 2, 3, 3, 4, 4]


def test_checkpoints_come_as_often_as_asked_and_hold_no_pickle(make_job, tmp_path):
    job = make_job("last 2 blocks", checkpoint_every="1h")
    train(job, checkpoints=Checkpoints(tmp_path / "rare", job.identity()))
    assert not (tmp_path / "rare").exists()
    job = make_job("last 2 blocks", checkpoint_every="0s")
    train(job, checkpoints=Checkpoints(tmp_path / "often", job.identity()))
    files = sorted(str(path.relative_to(tmp_path / "often")) for path in (tmp_path / "often").rglob("*.*"))
    names = ("state.json", "state.safetensors")
    assert files == [f"step-{step:09}/{name}" for step in (11, 12) for name in names]


def test_a_checkpoint_of_another_training_is_refused(make_job, tmp_path):
    job = make_job("last 2 blocks", checkpoint_every="0s")
    train(job, checkpoints=Checkpoints(tmp_path / "run", job.identity()))
    other = make_job("last 2 blocks", checkpoint_every="0s", dropout=0.5)
    with pytest.raises(TrainingError, match=r"--dropout was 0\.0 and is 0\.5\. Resume with what it was started with"):
        train(other, checkpoints=Checkpoints(tmp_path / "run", other.identity()))


def test_a_disk_that_fills_ends_the_training_with_the_last_checkpoint_whole(make_job, tmp_path, monkeypatch):
    job = make_job("last 2 blocks", checkpoint_every="0s")
    expected, checkpoints = train(job), Checkpoints(tmp_path / "run", job.identity())
    fsync, calls = os.fsync, itertools.count()

    def full(descriptor):
        if next(calls) > 20:
            raise OSError(28, os.strerror(28))
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"write a checkpoint: .*: the disk is full"):
            train(job, checkpoints=checkpoints)
    assert checkpoints.latest().facts["position"]["steps"] > 0
    assert_same(train(job, checkpoints=checkpoints), expected)


DRIVER = """
import json, os, sys, traceback
from pathlib import Path
import numpy as np
from safetensors.torch import save_file
from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.features.network import load_backbone
from thawline.train.allowance import Allowance
from thawline.train.checkpoint import Checkpoints
from thawline.train.context import Context, Machine
from thawline.train.job import Job
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.train.loop import train

network = load_backbone("test_resnet", pretrained=False, size_px=64, seed=1)


def run(photos, cache, directory, result):
    dataset = check(Path(photos))[0]
    rows = np.arange(len(dataset))
    options = TrainOptions(epochs=12, batch_size=4, augment="flip", ema=0.9, keep="best", checkpoint_every="0.05s")
    machine = Machine(Runtime("cpu", "float32", 8))
    context = Context(dataset, network, Options(cache_dir=Path(cache)), options, machine, Path(directory))
    job = Job(context, parse_plan("last 2 blocks"), network, rows[rows % 4 > 0], rows[rows % 4 == 0],
              np.ones(3, np.float32))
    trained = train(job, checkpoints=Checkpoints(Path(directory), job.identity()))
    curve = [trained.curve.train_loss, trained.curve.validation_loss, trained.curve.learning_rate]
    tensors = {name: tensor.contiguous() for name, tensor in trained.tensors.items()}
    save_file(tensors, result, {"curve": json.dumps(curve)})


print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    try:
        run(**json.loads(line))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
"""


@dataclass
class Driver:
    """A process that has loaded the network and forks a training run whenever it is told to."""

    process: subprocess.Popen

    def start(self, **job):
        self.process.stdin.write(json.dumps({name: str(value) for name, value in job.items()}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def code(self):
        return int(self.process.stdout.readline())


@pytest.fixture
def driver():
    process = subprocess.Popen([sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield Driver(process)
    process.stdin.close()
    process.wait(timeout=600)
    process.stdout.close()


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bytes(driver, photos, tmp_path):
    common = {"photos": photos, "cache": tmp_path / "activations"}
    driver.start(**common, directory=tmp_path / "whole", result=tmp_path / "whole.safetensors")
    assert driver.code() == 0
    chance, killed, checkpoints = random.Random(), 0, Checkpoints(tmp_path / "killed", {})
    job = common | {"directory": tmp_path / "killed", "result": tmp_path / "killed.safetensors"}
    for _ in range(4):
        before, child = checkpoints.newest_path(), driver.start(**job)
        while checkpoints.newest_path() == before and psutil.pid_exists(child):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.2))
        with suppress(ProcessLookupError):  # it is done already
            os.kill(child, signal.SIGKILL)
        killed += driver.code() == -signal.SIGKILL
    assert killed >= 1
    driver.start(**job)
    assert driver.code() == 0
    whole, resumed = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "killed.safetensors").read_bytes()
    assert not list((tmp_path / "killed").glob(".thawline-staging/*"))


# an end by the clock


def test_a_run_that_must_end_is_annealed_by_then_and_says_how_far_it_came(make_job):
    job = make_job("last 2 blocks", epochs=400)
    start = time.monotonic()
    trained = train(job, allowance=Allowance(ends_at=start + 1.0))
    assert 0 < trained.epochs < trained.wanted_epochs == 400
    assert len(trained.curve.train_loss) == -(-trained.epochs // 1)  # the last epoch may be a part of one
    assert trained.curve.learning_rate[-1] < 0.3 * max(trained.curve.learning_rate)


def test_fewer_epochs_give_the_bytes_of_a_run_that_is_as_short(make_job):
    short, cut = (
        train(make_job("last 2 blocks", epochs=2)),
        train(make_job("last 2 blocks", epochs=4), allowance=Allowance(epochs=2)),
    )
    assert (short.epochs, cut.epochs, cut.wanted_epochs) == (2, 2, 4)
    assert all(torch.equal(tensor, cut.tensors[name]) for name, tensor in short.tensors.items())
    half = train(make_job("last 2 blocks", epochs=4), allowance=Allowance(epochs=1.5))
    assert half.epochs == 1.5
    assert len(half.curve.train_loss) == 2
