"""A job of `thawline tune` -> loops over the same batches: its own, and plain PyTorch as anyone writes it.

A loop trains on batches in order. All of them see the same pictures or activations, the same batches and the same
optimiser, so that what differs is the way alone.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from main_job import seconds
from thawline.core.options import Options
from thawline.core.runtime import Runtime, choose_runtime, for_training
from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.data.load import load_pixels, map_ordered
from thawline.data.split import make_split
from thawline.features.network import Network
from thawline.features.reader import to_input
from thawline.train.batches import Batch, Pictures, Rows, epoch_batches
from thawline.train.context import Context, Machine
from thawline.train.engine import open_engine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job
from thawline.train.loop import train
from thawline.train.new_head import new_head
from thawline.train.objective import Objective
from thawline.train.optimizer import make_optimizer, set_rate
from thawline.train.phases import phases
from thawline.train.plan import parse_plan
from thawline.train.prefix import PrefixCache
from thawline.train.thawed import Thawed, working_copy

TIMED_EPOCHS = 2
WARM_STEPS = 2

Loop = Callable[[Sequence[Batch]], None]


def loop_s(loop: Loop, batches: Sequence[Batch]) -> float:
    """Return the seconds of a loop over batches, after a few steps that are not counted."""
    loop(batches[:WARM_STEPS])
    return seconds(lambda: loop(batches))


def job_of(dataset: Dataset, network: Network, plan: str, cache: Path, **options: Any) -> Job:
    """Return the final training run of a plan, as `thawline tune` has it, on every row of choosing."""
    training, machine = TrainOptions(epochs=1 + TIMED_EPOCHS, **options), Machine(for_training(choose_runtime("cpu")))
    return Job(
        context=Context(dataset, network, Options(cache_dir=cache), training, machine, cache),
        plan=parse_plan(plan),
        network=network,
        train=make_split(dataset).pool,
        held_out=np.empty(0, dtype=np.int64),
        class_weights=np.ones(len(dataset.class_names), dtype=np.float32),
    )


def batches_of(job: Job) -> list[Batch]:
    """Return the batches of the first epoch of a training run."""
    context, labels = job.context, job.context.dataset.labels[job.train]
    return list(epoch_batches(job.train, labels, epoch=0, training=context.training, seed=context.seed))


def training_epoch_s(job: Job) -> float:
    """Return the seconds of an epoch of the real training, the first one (which decodes and warms up) left out."""
    ends: list[float] = []
    train(job, news=lambda epoch, values: ends.append(time.perf_counter()))
    return float(np.median(np.diff(ends)))


def engine_s(job: Job, rows: Rows, cut: int | None, batches: Sequence[Batch]) -> float:
    """Return the seconds of bare steps on the engine of `thawline tune`, without the training loop around them."""
    with _engine_loop(job, rows, cut) as loop:
        return loop_s(loop, batches)


@contextmanager
def _engine_loop(job: Job, rows: Rows, cut: int | None) -> Iterator[Loop]:
    """Yield the loop of a plan that has one phase."""
    network = working_copy(job.network, keeps_norms=False)
    (phase,) = phases(job.plan, network, epochs=1)
    thawed = Thawed(network, cut, phase.layers, new_head(network, len(job.class_weights)))
    weights = thawed.trained()
    optimizer = make_optimizer(weights, job.context.training, scales=dict.fromkeys(weights, 1.0))
    set_rate(optimizer, job.learning_rate)
    objective = Objective(job.context.dataset.labels, job.class_weights)
    with open_engine(thawed, objective, runtime=job.context.runtime, keeps_norms=False) as engine:

        def loop(batches: Sequence[Batch]) -> None:
            for step, batch in enumerate(batches):
                engine.gradients(batch, rows, place=(0, step), scale=1 / len(batch))
                optimizer.step()
                optimizer.zero_grad()
                engine.refresh()

        yield loop


class Held:
    """The activations that a training run finds in its cache, as one tensor in memory."""

    def __init__(self, cache: PrefixCache, samples: Ints) -> None:
        self.samples = samples
        self.views = torch.stack([cache.read(view, samples).permute(0, 2, 3, 1) for view in range(cache.num_views)])

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return (B, C, H, W) activations, channels last in memory; the epochs take turns through the views."""
        views = np.zeros_like(samples) if epoch is None else (samples + epoch) % len(self.views)
        places = np.searchsorted(self.samples, samples)
        return self.views[torch.from_numpy(views), torch.from_numpy(places)].permute(0, 3, 1, 2)


def plain_model(job: Job, *, start: int = 0, frozen: int = 0) -> nn.Module:
    """Return the network's own layers with a new classifier, channels last, in evaluation mode, as anyone builds it.

    A network of tokens is timm's own with its classifier replaced; it is trained whole only.

    Args:
        job: Names network and classes.
        start: Steps of the network that are left out, since the activations behind them are the input.
        frozen: Steps that do not train.
    """
    last = job.network.backbone.cuts[-1]
    if job.network.num_prefix_tokens:
        whole: Any = copy.deepcopy(job.network.model).requires_grad_(True)
        whole.reset_classifier(len(job.class_weights))
        return whole.eval()
    steps = [module for _, module in job.network.prefix_modules(last.index)][start:]
    head = nn.Linear(last.channels, len(job.class_weights))
    model = copy.deepcopy(nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)).requires_grad_(True)
    model[:frozen].requires_grad_(False)
    return model.to(memory_format=torch.channels_last).eval()


def plain_loop(job: Job, model: nn.Module, rows: Rows, dtype: torch.dtype) -> Loop:
    """Return a plain loop over what `rows` holds, under autocast to `dtype`."""
    step, labels = _plain_step(model, dtype), torch.from_numpy(job.context.dataset.labels)

    def loop(batches: Sequence[Batch]) -> None:
        for batch in batches:
            step(rows.read(batch.samples, 0), labels[batch.samples])

    return loop


def plain_loop_from_files(job: Job, model: nn.Module) -> Loop:
    """Return a plain loop that decodes every picture again, as fastai, timm and Keras do, and mirrors at random.

    Decoding is Thawline's own, reduced and ahead of time in threads: a data loader of one's own would be slower.
    """
    spec, samples = job.network.backbone.input, job.context.dataset.samples
    step, labels = _plain_step(model, job.context.runtime.torch_dtype), torch.from_numpy(job.context.dataset.labels)

    def loop(batches: Sequence[Batch]) -> None:
        rows = itertools.chain.from_iterable(batch.samples.tolist() for batch in batches)
        decoded = map_ordered(lambda row: load_pixels(samples[row], spec), rows)
        for batch in batches:
            x = to_input(np.stack(list(itertools.islice(decoded, len(batch)))), spec, runtime=job.context.runtime)
            mirrored = torch.rand(len(x)) < 0.5
            x[mirrored] = x[mirrored].flip(3)
            step(x, labels[batch.samples])

    return loop


def inductor_loop(job: Job, batches: Sequence[Batch]) -> Loop | None:
    """Return the whole network's plain loop in fp32 under `torch.compile`, compiled; None where it is not available.

    Args:
        job: Names network and pictures, which are kept in memory.
        batches: Of one size; the first of them are what it is compiled on.
    """
    single = Runtime("cpu", "float32", job.context.runtime.batch_size)
    rows = Pictures(job.context.dataset, job.train, job.network.backbone.input, single, augment="flip", seed=0)
    try:
        loop = plain_loop(job, torch.compile(plain_model(job).train()), rows, torch.float32)
        loop(batches)
    except Exception as error:  # no compiler on this machine
        print(f"(Inductor cannot be measured here: {type(error).__name__})")
        return None
    return loop


def _plain_step(model: nn.Module, dtype: torch.dtype) -> Callable[[Tensor, Tensor], None]:
    """Return a training step of an input and its labels."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step(x: Tensor, labels: Tensor) -> None:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(model(x).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
