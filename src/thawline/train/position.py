"""How far a training run is: phase, epoch, step and its record so far; with the weights, all of its state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thawline.train.hyperparameters import TrainOptions
from thawline.train.schedule import Plateau

__all__ = ["CURVES", "Position"]

CURVES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")


@dataclass
class Position:
    """How far a training run is, as plain data that goes into JSON.

    Attributes:
        phase: Index of the phase.
        epoch: Epochs done within the phase.
        step: Steps done within the epoch.
        steps: Steps done in all.
        loss: Summed loss of the epoch's pictures so far.
        right: How many of them were answered right.
        count: How many they are.
        rate: Step size of the last step.
        seconds: Wall time when the last checkpoint was written.
        best_loss: Lowest watched loss.
        stalled: Epochs since then.
        is_over: Whether patience has run out.
        history: A value an epoch for each of `CURVES`.
        plateau: Lowers the step size where the watched loss stalls.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    right: float = 0.0
    count: int = 0
    rate: float = 0.0
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

    def add_step(self, loss: float, right: float, *, count: int) -> None:
        """Book a step: the summed loss of its pictures, how many were answered right, and how many they are."""
        self.step, self.steps = self.step + 1, self.steps + 1
        self.loss, self.right, self.count = self.loss + loss, self.right + right, self.count + count

    def watch(self, loss: float, training: TrainOptions) -> bool:
        """Take in the watched loss of an epoch; return whether it is the lowest so far.

        Lowers the step size where the loss stalls (schedule `plateau`), and ends the run where patience has run out.
        """
        if training.schedule == "plateau":
            self.plateau.see(loss)
        if loss < self.best_loss:
            self.best_loss, self.stalled = loss, 0
            return True
        self.stalled += 1
        self.is_over = training.patience is not None and self.stalled >= training.patience
        return False

    def end_epoch(self, *, validation_loss: float, validation_accuracy: float) -> dict[str, float]:
        """Write the epoch into the history and begin the next one; return its values by the names of `CURVES`."""
        values = {
            "train_loss": self.loss / self.count,
            "validation_loss": validation_loss,
            "train_accuracy": self.right / self.count,
            "validation_accuracy": validation_accuracy,
            "learning_rate": self.rate,
        }
        for name, value in values.items():
            self.history[name].append(value)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss, self.right, self.count = 0.0, 0.0, 0
        return values
