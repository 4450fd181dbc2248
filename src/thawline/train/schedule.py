"""Progress of a training run -> the factor on its step size: a pure function of it, and one of the watched loss.

Factors rise to 1 and are multiplied with each group's own step size, so layer-wise decay holds throughout. Sources:
Loshchilov & Hutter, "SGDR", ICLR 2017 (cosine); Smith & Topin, "Super-convergence", 2019 (one cycle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Plateau", "schedule_factor"]

FLOOR = 0.01
CYCLE_RISE = 0.3
CYCLE_START = 0.04
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_GAIN = 0.3, 2, 1e-3


def schedule_factor(schedule: str, epoch: float, *, num_epochs: float, warmup: float) -> float:
    """Return the factor on the step size, in (0, 1].

    Args:
        schedule: `cosine`, `one-cycle`, `constant` or `plateau` (whose falls are `Plateau`'s).
        epoch: Epochs done so far, with fractions.
        num_epochs: All epochs of the phase, as it is planned now.
        warmup: Epochs of linear rise at the start; `one-cycle` has its own.

    >>> schedule_factor("cosine", 5, num_epochs=10, warmup=0) > schedule_factor("cosine", 9, num_epochs=10, warmup=0)
    True
    """
    done = min(1.0, epoch / num_epochs)
    if schedule == "one-cycle":
        rising = done < CYCLE_RISE
        low, part = (CYCLE_START, done / CYCLE_RISE) if rising else (FLOOR, (1 - done) / (1 - CYCLE_RISE))
        return low + (1 - low) * (1 - math.cos(math.pi * part)) / 2
    warmup = min(warmup, num_epochs / 2)
    rise = min(1.0, (epoch + 1e-3) / warmup) if warmup else 1.0
    if schedule != "cosine":
        return rise
    fall = max(0.0, (epoch - warmup) / (num_epochs - warmup))
    return rise * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(1.0, fall))) / 2)


@dataclass
class Plateau:
    """Cuts the step size where the watched loss stalls.

    Attributes:
        factor: On the step size, in (0, 1].
        best: Lowest watched loss so far.
        stalled: Epochs since then.
    """

    factor: float = 1.0
    best: float = math.inf
    stalled: int = 0

    def see(self, loss: float) -> None:
        """Take in the watched loss of an epoch."""
        if loss < self.best - PLATEAU_GAIN:
            self.best, self.stalled = loss, 0
            return
        self.stalled += 1
        if self.stalled > PLATEAU_PATIENCE:
            self.factor, self.stalled = max(FLOOR, self.factor * PLATEAU_FACTOR), 0
