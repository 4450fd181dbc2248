"""A plan and a few measured batches -> the time, memory and disk that it will take on this machine.

Nothing is trained: the steps that are timed run on a copy, with the very engine, batch size and number format of the
training run to come. What is measured a picture is multiplied by pictures and epochs. Where forecasting may take a few
seconds only, steps are smaller, and a plan whose steps would still be too long is reckoned from the pass: what it costs
is then learnt when it runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thawline.core.runtime import num_workers
from thawline.core.types import Ints
from thawline.data.split import Split
from thawline.features.bank import BankSpec
from thawline.features.extract import bank_spec, map_pictures
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.train.batches import Pictures, Rows, epoch_batches
from thawline.train.context import Context
from thawline.train.engine import STREAM_ROWS, Engine, open_engine
from thawline.train.job import Job, plan_network
from thawline.train.new_head import NewHead, head_block
from thawline.train.objective import Objective
from thawline.train.optimizer import make_optimizer, set_rate
from thawline.train.phases import Phase, phases
from thawline.train.plan import Plan
from thawline.train.prefix import activation_shape
from thawline.train.reckoning import reckoned_s, store_of
from thawline.train.thawed import Thawed

__all__ = ["Forecast", "forecast_plan", "forecast_plans", "forecast_run", "measure_picture_s"]

TIMED_STEPS = 3
MEASURED_PICTURES = 32
MEASURING_S = 0.7
"""What measuring a plan takes at least: so many pictures through its steps, and the copy of the network."""
TIMED_PICTURES = 48
FROZEN_SHARE = 1.7
"""Seconds of extraction and comparison of the frozen strategies over those of the passes alone, as measured."""


@dataclass(frozen=True)
class Forecast:
    """What a plan will take.

    Attributes:
        plan: Which.
        name: The strategy's name.
        prefix_s: Seconds to fill the cache of the frozen prefix, once for all folds.
        start_s: Seconds to prepare a training run.
        epoch_s: Seconds of an epoch on the rows of a fold.
        answers_s: Seconds to answer the held-out rows of a fold.
        epochs: Epochs that are wanted.
        growth: Rows of the final training run over those of a fold.
        memory_bytes: Resident memory of a training run beyond that of the program itself.
        disk_bytes: Of the cached prefix.
        answer_s: Seconds to answer one more picture by the trained network.
    """

    plan: Plan
    name: str
    prefix_s: float
    start_s: float
    epoch_s: float
    answers_s: float
    epochs: float
    growth: float
    memory_bytes: int
    disk_bytes: int
    answer_s: float = 0.0

    @property
    def fold_s(self) -> float:
        """Seconds to train and answer one fold."""
        return self.run_s(self.epochs)

    @property
    def final_s(self) -> float:
        """Seconds to train on every row of choosing."""
        return self.last_s(self.epochs)

    def run_s(self, epochs: float) -> float:
        """Return the seconds to train so many epochs on the rows of a fold, and to answer the others."""
        return self.start_s + epochs * self.epoch_s + self.answers_s

    def last_s(self, epochs: float) -> float:
        """Return the seconds to train so many epochs on every row of choosing."""
        return self.start_s + epochs * self.epoch_s * self.growth

    def folds_s(self, count: int) -> float:
        """Return the seconds that so many folds take, the cache included."""
        return self.prefix_s + count * self.fold_s


def forecast_plans(
    entries: Sequence[tuple[Plan, Context]],
    split: Split,
    *,
    bank: BankSpec | None = None,
    picture_s: float | None = None,
    limit_s: float = math.inf,
) -> tuple[Forecast, ...]:
    """Return what every plan will take on the first fold's rows, in the order given; a few steps of each are run.

    Args:
        entries: Plans, each with the context that it is trained in; all of the same pictures and backbone.
        split: Folds.
        bank: That of the run's pooled features, or None.
        picture_s: From `measure_picture_s`; measured here where it is None.
        limit_s: Seconds that measuring may take, about.
    """
    if not entries:
        return ()
    shared, (train_rows, held_out) = entries[0][1], split.folds[0]
    if picture_s is None:
        picture_s = measure_picture_s(shared, split.pool)
    forecasts: list[Forecast] = []
    start, each_s = time.perf_counter(), limit_s / len(entries)
    with shared.machine.progress.stage("forecast", len(entries), unit="strategies") as advance:
        for plan, context in entries:
            job = Job(
                context=context,
                plan=plan,
                network=plan_network(plan, context),
                train=train_rows,
                held_out=held_out,
                class_weights=np.ones(len(context.dataset.class_names), dtype=np.float32),
                bank=bank,
            )
            left_s = (len(forecasts) + 1) * each_s - (time.perf_counter() - start)
            own_s = shared.machine.processes.agree(left_s) if limit_s < math.inf else math.inf
            forecasts.append(forecast_plan(job, num_final=len(split.pool), picture_s=picture_s, limit_s=own_s))
            advance(1)
    return tuple(forecasts)


def forecast_run(
    entries: Sequence[tuple[Plan, Context]], context: Context, *, split: Split
) -> tuple[Mapping[str, Any], ...]:
    """Return what the frozen strategies and every plan will take, as rows of a forecast; nothing is written.

    A plan's time is that of all folds and of the final training run.

    Args:
        entries: As in `forecast_plans`.
        context: Of the run.
        split: Folds.
    """
    network, dataset = context.network, context.dataset
    spec = bank_spec(
        network.backbone, context.runtime, poolings=context.options.pooling, storage=context.options.storage
    )
    num_pictures = len({sample.sha256 for sample in dataset.samples})
    picture_s = measure_picture_s(context, split.pool)
    frozen: Mapping[str, Any] = {
        "strategy": f"{network.backbone.name} · every depth, frozen",
        "seconds": FROZEN_SHARE * num_pictures * picture_s,
        "memory_bytes": 4 * len(split.pool) * spec.width,
        "disk_bytes": num_pictures * spec.row_bytes,
    }
    forecasts = forecast_plans(entries, split, bank=spec, picture_s=picture_s)
    return frozen, *(
        {
            "strategy": forecast.name,
            "seconds": forecast.folds_s(split.num_folds) + forecast.final_s,
            "memory_bytes": forecast.memory_bytes,
            "disk_bytes": forecast.disk_bytes,
        }
        for forecast in forecasts
    )


def forecast_plan(job: Job, *, num_final: int, picture_s: float, limit_s: float = math.inf) -> Forecast:
    """Return what a plan will take, from a few steps of each of its phases.

    Args:
        job: The training run of one fold.
        num_final: Rows that the final training run learns from.
        picture_s: Seconds to decode a picture and run it through the pretrained backbone, from `measure_picture_s`.
        limit_s: Seconds that measuring may take, about.
    """
    stretches = phases(job.plan, job.network, epochs=job.num_epochs)
    num_rows, backbone = len(job.train) + len(job.held_out), job.network.backbone
    stores = [store_of(job, phase, num_rows=num_rows) for phase in stretches]
    read = backbone.cuts[job.block[0]]
    own_s = picture_s * (min(1.0, backbone.num_macs / 1e8) if job.plan.from_nothing else read.cost_fraction)
    whole_s = picture_s * backbone.num_macs / job.context.network.backbone.num_macs
    reckoned = [reckoned_s(job, store.cut, whole_s=whole_s) for store in stores]
    start = time.perf_counter()
    is_measured = MEASURED_PICTURES * sum(reckoned) + MEASURING_S < limit_s
    network, head = (job.new_network() if is_measured else job.network), job.new_head()
    prepared_s = time.perf_counter() - start
    epochs_s, memory = 0.0, 0
    for phase, store, step_s in zip(stretches, stores, reckoned, strict=True):
        answer_s, held_bytes = step_s / 3, 16 * backbone.num_params
        if is_measured:
            most = (limit_s - MEASURING_S) / len(stretches) / (TIMED_STEPS + 2) / step_s
            size = int(min(job.context.training.batch_size, max(MEASURED_PICTURES / 4, most)))
            step_s, answer_s, held_bytes = _measure(job, phase, network=network, head=head, cut=store.cut, size=size)
        epochs_s += phase.epochs * (len(job.train) * step_s + len(job.held_out) * answer_s)
        memory = max(memory, held_bytes)
    if job.plan.kind == "frozen":
        memory += num_rows * len(job.context.training.view_names) * read.channels * 4
    elif not any(store.disk_bytes for store in stores):
        memory += num_rows * backbone.input.size_px**2 * 3
    epochs = sum(phase.epochs for phase in stretches)
    return Forecast(
        plan=job.plan,
        name=job.name,
        prefix_s=picture_s * sum(store.passes for store in stores),
        start_s=prepared_s,
        epoch_s=epochs_s / epochs,
        answers_s=len(job.held_out) * own_s,
        epochs=epochs,
        growth=num_final / len(job.train),
        memory_bytes=memory,
        disk_bytes=int(sum(store.disk_bytes for store in stores)),
        answer_s=own_s,
    )


@dataclass(frozen=True)
class _Stored:
    """Inputs of the right shape and no meaning, in the place of cached activations."""

    x: Tensor

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return as many inputs as there are samples."""
        return self.x[np.arange(len(samples)) % len(self.x)]


def _measure(
    job: Job, phase: Phase, *, network: Network, head: NewHead, cut: int | None, size: int
) -> tuple[float, float, int]:
    """Return seconds a picture of training and of answering, and the bytes that a training run holds.

    Args:
        job: The training run.
        phase: Of it.
        network: Copy that is trained.
        head: On it.
        cut: Where the inputs come from; None: the pictures.
        size: Pictures of a step that is timed.
    """
    context, training, runtime = job.context, job.context.training, job.context.training_runtime
    rows: Rows
    labels = context.dataset.labels[job.train]
    batches = list(epoch_batches(job.train, labels, epoch=0, training=training, seed=context.seed))[: TIMED_STEPS + 1]
    batches = [batch.part(np.arange(min(size, len(batch)))) for batch in batches]
    used = np.unique(np.concatenate([np.union1d(batch.samples, batch.partners) for batch in batches]))
    if cut is None:
        rows = Pictures(
            context.dataset, used, job.network.backbone.input, runtime, augment=training.policy, seed=context.seed
        )
    elif cut == job.block[0]:
        rows = _Stored(torch.randn(training.batch_size, job.network.backbone.cuts[cut].channels).to(runtime.device))
    else:
        shape = activation_shape(job.network, cut)
        x = torch.randn(training.batch_size, *shape).to(device=runtime.device, dtype=runtime.torch_dtype)
        rows = _Stored(x.permute(0, 3, 1, 2) if x.ndim == 4 else x)
    thawed = Thawed(network, cut, phase.layers, head)
    objective = Objective(
        context.dataset.labels, job.class_weights, training.label_smoothing, training.dropout, context.seed
    )
    keeps_norms = job.plan.from_nothing
    weights = thawed.trained()
    optimizer = make_optimizer(weights, training, scales=dict.fromkeys(weights, 1.0))
    set_rate(optimizer, 0.0)
    with open_engine(
        thawed, objective, runtime=runtime, keeps_norms=keeps_norms, accumulate=training.accumulate
    ) as engine:
        rows.read(used, None)  # decoded before the clock starts, as in every epoch but the first
        times = []
        for step, batch in enumerate(batches):
            start = time.perf_counter()
            engine.gradients(batch, rows, place=(0, step), scale=1 / len(batch))
            optimizer.step()
            optimizer.zero_grad()
            engine.refresh()
            times.append((time.perf_counter() - start) / len(batch))
        start = time.perf_counter()
        engine.logits(used[:size], rows)
        answer_s = (time.perf_counter() - start) / len(used[:size])
        streams = 1 if keeps_norms or thawed.reads_features else num_workers()
        memory_bytes = _held_bytes(engine, rows, used, training.batch_size, streams=streams)
    return float(np.median(times[1:] or times)), answer_s, memory_bytes


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


def measure_picture_s(context: Context, rows: Ints) -> float:
    """Return the seconds that a picture takes from its file through the backbone here, in streams, on average."""
    network, runtime = context.network, context.runtime
    reader = FeatureReader(network, runtime, [head_block(network)], "float16")
    samples, size = [context.dataset.samples[row] for row in rows[:TIMED_PICTURES]], runtime.batch_size
    list(map_pictures(reader.read, samples[: 2 * size], specs=(network.backbone.input,), batch_size=size))
    start = time.perf_counter()
    list(map_pictures(reader.read, samples, specs=(network.backbone.input,), batch_size=size))
    return (time.perf_counter() - start) / len(samples)
