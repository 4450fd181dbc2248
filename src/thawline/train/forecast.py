"""A plan and a few measured batches -> the time, memory and disk that it will take on this machine.

Nothing is trained: the steps that are timed run on a copy, with the very engine, batch size and number format of the
training to come. What is measured a picture is multiplied by pictures and epochs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime, num_workers
from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.bank import BankSpec
from thawline.features.extract import map_pictures
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.train.batches import Pictures, Rows, epoch_batches
from thawline.train.engine import STREAM_ROWS, Engine, open_engine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job, plan_network
from thawline.train.new_head import NewHead, head_block
from thawline.train.objective import Objective
from thawline.train.optimizer import make_optimizer, set_rate
from thawline.train.plan import Phase, Plan, phases
from thawline.train.pooled import num_passes, pooled_bytes, pooled_spec
from thawline.train.prefix import activation_shape, prefix_bytes
from thawline.train.thawed import Thawed

__all__ = ["Forecast", "forecast_plan", "forecast_plans", "measure_picture_s"]

TIMED_STEPS = 3
TIMED_PICTURES = 48


@dataclass(frozen=True)
class Forecast:
    """What a plan will take.

    Attributes:
        plan: Which.
        name: The strategy's name.
        prefix_s: Seconds to fill the cache of the frozen prefix, once for all folds.
        fold_s: Seconds to train and answer one fold.
        final_s: Seconds to train on every row of choosing.
        memory_bytes: Resident memory of a training beyond that of the program itself.
        disk_bytes: Of the cached prefix.
    """

    plan: Plan
    name: str
    prefix_s: float
    fold_s: float
    final_s: float
    memory_bytes: int
    disk_bytes: int

    def folds_s(self, count: int) -> float:
        """Return the seconds that so many folds take, the cache included."""
        return self.prefix_s + count * self.fold_s


def forecast_plans(
    plans: Sequence[Plan],
    dataset: Dataset,
    split: Split,
    network: Network,
    runtime: Runtime,
    options: TrainOptions,
    *,
    bank: BankSpec | None = None,
    seed: int = 0,
    picture_s: float | None = None,
    progress: Progress | None = None,
) -> tuple[Forecast, ...]:
    """Return what every plan will take on the first fold's rows, in the order given; a few steps of each are run.

    Args:
        plans: Different ones.
        dataset: Checked pictures.
        split: Folds.
        network: The pretrained backbone.
        runtime: Device and number format.
        options: Of the trainings.
        bank: That of the run's pooled features, or None.
        seed: Of the trainings.
        picture_s: From `measure_picture_s`; measured here where it is None.
        progress: Where to report to.
    """
    train_rows, held_out = split.folds[0]
    if picture_s is None:
        picture_s = measure_picture_s(dataset, network, runtime, split.pool.tolist())
    found = []
    with (progress or SilentProgress()).stage("forecast", len(plans), "strategies") as advance:
        for plan in plans:
            job = Job(
                dataset=dataset,
                network=plan_network(plan, network, dataset, options, seed),
                runtime=runtime,
                plan=plan,
                options=options,
                seed=seed,
                train=train_rows,
                held_out=held_out,
                class_weights=np.ones(len(dataset.class_names), dtype=np.float32),
                start=None,
                cache=Path(),  # what is measured stores nothing
                bank=bank,
            )
            found.append(forecast_plan(job, len(split.pool), picture_s))
            advance(1)
    return tuple(found)


def forecast_plan(job: Job, num_final: int, picture_s: float) -> Forecast:
    """Return what a plan will take, from a few steps of each of its phases.

    Args:
        job: The training of one fold.
        num_final: Rows that the final training learns from.
        picture_s: Seconds to decode a picture and run it through the pretrained backbone, from `measure_picture_s`.
    """
    start = time.perf_counter()
    network, head = job.new_network(), job.new_head()
    stretches = phases(job.plan, network, job.num_epochs)
    prepared_s = time.perf_counter() - start
    num_views, num_rows = len(job.options.view_names), len(job.train) + len(job.held_out)
    disk = prefix_s = epochs_s = 0.0
    memory = 0
    for phase in stretches:
        cut = phase.cut
        if cut == job.block[0]:
            spec = pooled_spec(job.network, job.runtime, job.block, job.bank)
            share = job.network.backbone.cuts[max(index for index, _, _ in spec.blocks)].cost_fraction
            prefix_s += num_passes(spec, job.bank, num_views) * num_rows * picture_s * share
            disk += pooled_bytes(spec, job.bank, num_rows, num_views)
        elif cut is not None:
            needed = prefix_bytes(job.network, cut, num_rows, num_views, job.runtime)
            if needed > job.options.disk_budget_bytes:
                cut = None
            else:
                disk += needed
                prefix_s += num_views * num_rows * picture_s * job.network.backbone.cuts[cut].cost_fraction
        step_s, answer_s, held_bytes = _measure(job, network, head, phase, cut)
        epochs_s += phase.epochs * (len(job.train) * step_s + len(job.held_out) * answer_s)
        memory = max(memory, held_bytes)
    backbone, read = job.network.backbone, job.network.backbone.cuts[job.block[0]]
    own_s = picture_s * (min(1.0, backbone.num_macs / 1e8) if job.plan.from_nothing else read.cost_fraction)
    fold_s = prepared_s + epochs_s + len(job.held_out) * own_s
    final_s = prepared_s + epochs_s * num_final / len(job.train)
    if job.plan.kind == "frozen":
        memory += num_rows * num_views * read.channels * 4
    elif disk == 0:
        memory += num_rows * backbone.input.size_px**2 * 3
    return Forecast(job.plan, job.name, prefix_s, fold_s, final_s, memory, int(disk))


@dataclass(frozen=True)
class _Stored:
    """Inputs of the right shape and no meaning, in the place of cached activations."""

    x: Tensor

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return as many inputs as there are samples."""
        return self.x[np.arange(len(samples)) % len(self.x)]


def _measure(job: Job, network: Network, head: NewHead, phase: Phase, cut: int | None) -> tuple[float, float, int]:
    """Return seconds a picture of training and of answering, and the bytes that a training holds."""
    options, runtime = job.options, job.runtime
    rows: Rows
    batches = list(epoch_batches(job.train, job.dataset.labels[job.train], 0, options, job.seed))[: TIMED_STEPS + 1]
    used = np.unique(np.concatenate([np.union1d(batch.samples, batch.partners) for batch in batches]))
    if cut is None:
        rows = Pictures(job.dataset, used, job.network.backbone.input, runtime, augment=options.policy, seed=job.seed)
    elif cut == job.block[0]:
        rows = _Stored(torch.randn(options.batch_size, job.network.backbone.cuts[cut].channels).to(runtime.device))
    else:
        shape = activation_shape(job.network, cut)
        x = torch.randn(options.batch_size, *shape).to(device=runtime.device, dtype=runtime.torch_dtype)
        rows = _Stored(x.permute(0, 3, 1, 2) if x.ndim == 4 else x)
    thawed = Thawed(network, cut, phase.layers, head)
    objective = Objective(job.dataset.labels, job.class_weights, options.label_smoothing, options.dropout, job.seed)
    keeps_norms = job.plan.from_nothing
    weights = thawed.trained()
    optimizer = make_optimizer(weights, dict.fromkeys(weights, 1.0), options)
    set_rate(optimizer, 0.0)
    with open_engine(thawed, objective, runtime, keeps_norms=keeps_norms, accumulate=options.accumulate) as engine:
        rows.read(used, None)  # decoded before the clock starts, as in every epoch but the first
        times = []
        for step, batch in enumerate(batches):
            start = time.perf_counter()
            engine.gradients(batch, rows, (0, step), 1 / len(batch))
            optimizer.step()
            optimizer.zero_grad()
            engine.refresh()
            times.append((time.perf_counter() - start) / len(batch))
        start = time.perf_counter()
        engine.logits(used, rows)
        answer_s = (time.perf_counter() - start) / len(used)
        streams = 1 if keeps_norms or thawed.reads_features else num_workers()
        held = _held_bytes(engine, rows, used, options.batch_size, streams=streams)
    return float(np.median(times[1:] or times)), answer_s, held


def _held_bytes(engine: Engine, rows: Rows, samples: Ints, batch_size: int, *, streams: int) -> int:
    """Return the bytes of weights, replicas, gradients and moments, and of what a step keeps for its backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    part = samples[: STREAM_ROWS if streams > 1 else batch_size]
    x = rows.read(part, None).to(next(engine.thawed.model.parameters()).dtype)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        engine.thawed(x)
    halved = 2 if streams > 1 else 1  # the copy that was looked at is in float32, the replicas are not
    whole = sum(parameter.numel() for parameter in engine.thawed.parameters())
    trained = sum(parameter.numel() for parameter in engine.thawed.trained().values())
    return 4 * whole + 16 * trained + streams * (2 * whole + 6 * trained) + streams * sum(kept.values()) // halved


def measure_picture_s(dataset: Dataset, network: Network, runtime: Runtime, rows: Sequence[int]) -> float:
    """Return the seconds that a picture takes from its file through the backbone here, in streams, on average."""
    reader = FeatureReader(network, runtime, [head_block(network)], "float16")
    samples, size = [dataset.samples[row] for row in rows[:TIMED_PICTURES]], runtime.batch_size
    list(map_pictures(reader.read, samples[: 2 * size], network.backbone.input, size))
    start = time.perf_counter()
    list(map_pictures(reader.read, samples, network.backbone.input, size))
    return (time.perf_counter() - start) / len(samples)
