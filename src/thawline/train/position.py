"""Where a training stands: phase, epoch, step, and what it has seen so far. With the weights it is all of its state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thawline.train.schedule import Plateau

__all__ = ["CURVES", "Position"]

CURVES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")


@dataclass
class Position:
    """Where a training stands; JSON."""

    phase: int = 0
    epoch: int = 0  # within the phase
    step: int = 0  # within the epoch
    steps: int = 0  # all so far
    loss: float = 0.0
    right: float = 0.0
    count: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    stalled: int = 0
    is_over: bool = False
    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in CURVES})
    plateau: Plateau = field(default_factory=Plateau)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Position:
        """Return the position that a checkpoint holds."""
        return cls(**{**facts, "plateau": Plateau(**facts["plateau"])})

    @property
    def epochs(self) -> int:
        """Epochs done, over all phases."""
        return len(self.history["train_loss"])
