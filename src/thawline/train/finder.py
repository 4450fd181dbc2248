"""An engine and a few batches -> the step size to take: a range test that leaves the weights as it found them.

The step size grows from far too small to far too large, one step each, while the smoothed loss is written down; chosen
is a third of the one at which the loss falls steepest, well before it grows. Source: Smith, "Cyclical learning rates
for training neural networks", WACV 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from thawline.core.errors import TrainingError
from thawline.train.batches import Batch
from thawline.train.engine import Engine, StepSums
from thawline.train.optimizer import set_rate

__all__ = ["choose_rate", "find_rate"]

SMALLEST, LARGEST, STEPS = 1e-6, 1.0, 60
SMOOTHING = 0.85
TOO_MUCH = 3.0
SAFETY = 3.0


def find_rate(
    engine: Engine,
    optimizer: torch.optim.Optimizer,
    *,
    gradients: Callable[[tuple[Batch, int]], StepSums],
    batches: Sequence[Batch],
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Return the step size to take and the (step size, smoothed loss) points it was read from.

    Weights and the optimiser's memory are afterwards what they were.

    Args:
        engine: Of the training run to come.
        optimizer: Of the training run to come, without moments yet.
        gradients: Adds the gradients of (batch, step) up.
        batches: Taken in turn.

    Raises:
        TrainingError: The loss never falls.
    """
    weights = engine.thawed.trained()
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    buffers = {name: buffer.clone() for name, buffer in engine.thawed.model.named_buffers()}
    points: list[tuple[float, float]] = []
    mean = 0.0
    for step in range(STEPS):
        rate = SMALLEST * (LARGEST / SMALLEST) ** (step / (STEPS - 1))
        batch = batches[step % len(batches)]
        try:
            sums = gradients((batch, step))
        except TrainingError:  # the loss is no number any more: that is where the test ends
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * sums.loss / sums.count
        points.append((rate, mean / (1 - SMOOTHING ** (step + 1))))
        if points[-1][1] > TOO_MUCH * min(loss for _, loss in points):
            break
        set_rate(optimizer, rate)
        optimizer.step()
        optimizer.zero_grad()
        engine.refresh()
    with torch.no_grad():
        for name, tensor in before.items():
            weights[name].copy_(tensor)
        for name, buffer in engine.thawed.model.named_buffers():
            buffer.copy_(buffers[name])
    optimizer.zero_grad()
    optimizer.state.clear()
    engine.refresh()
    return choose_rate(points), tuple(points)


def choose_rate(points: Sequence[tuple[float, float]]) -> float:
    """Return a third of the step size at which the loss falls steepest over the logarithm of the step size.

    Raises:
        TrainingError: There are too few points, or the loss never falls.
    """
    rates = np.log([rate for rate, _ in points])
    losses = np.array([loss for _, loss in points])
    lowest = int(losses.argmin()) if len(losses) else 0
    if lowest < 3:
        raise TrainingError(
            "find the step size: the loss does not fall at any step size. Look at labels and pictures with `thawline "
            "check`, or give --learning-rate yourself."
        )
    slopes = np.gradient(losses[: lowest + 1], rates[: lowest + 1])
    return float(math.exp(rates[int(slopes.argmin())]) / SAFETY)
