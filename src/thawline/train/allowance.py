"""A moment by which a training run must end, and its measured pace -> how many epochs it is planned for now.

One idea: a run that turns out slower than forecast ends on time, its schedule brought to its end: after every step the
epochs that still fit are counted anew, and the step size follows the progress through them. So weights are annealed
whenever the run ends. Source: Li, Yumer & Ramanan, "Budgeted training: rethinking deep neural network training under
resource constraints", ICLR 2020.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thawline.train.position import Position

__all__ = ["UNLIMITED", "Allowance", "Course"]

NEWEST_SHARE = 0.15
"""Weight of the newest step in the pace: a machine that becomes busy is noticed within a few steps."""


@dataclass(frozen=True)
class Allowance:
    """What a training run may use.

    Attributes:
        ends_at: Moment of `time.monotonic()` by which its last step is taken.
        epochs: Epochs at most, with fractions; the rule of thumb or the person's own number holds besides.
        least: Epochs that it has even where they end after `ends_at`, by `latest_at` however: what a cache took to fill
            is no reason to learn nothing.
        latest_at: As `ends_at`, for these epochs.
    """

    ends_at: float = math.inf
    epochs: float = math.inf
    least: float = 0.0
    latest_at: float = 0.0


UNLIMITED = Allowance()


class Course:
    """The epochs that a run is planned for, phase by phase, as its pace allows.

    Attributes:
        wanted: Epochs of each phase if time allows.
        num_steps: Steps of an epoch.
        ends_at: As in `Allowance`.
        agree: Makes what the clock says here the same in all processes.
    """

    def __init__(
        self, allowance: Allowance, epochs: Sequence[int], *, num_steps: int, agree: Callable[[float], float]
    ) -> None:
        """Plan phases of so many epochs; where fewer are allowed, each phase gets its share of them."""
        shrunk = min(1.0, allowance.epochs / sum(epochs))
        self.wanted = tuple(count * shrunk for count in epochs)
        self.num_steps, self.ends_at, self.agree = num_steps, allowance.ends_at, agree
        self._least, self._latest_at = min(allowance.least, sum(self.wanted)), allowance.latest_at
        self._step_s, self._steps, self._answer_s = 0.0, 0, 0.0
        self._last = time.monotonic()

    def begin(self) -> None:
        """Start the clock of the next step."""
        self._last = time.monotonic()

    def add_step(self) -> None:
        """Book a step that has ended, by the time since the last look at the clock."""
        now = time.monotonic()
        self._steps += 1
        share = max(NEWEST_SHARE, 1 / self._steps)
        self._step_s += share * (now - self._last - self._step_s)
        self._last = now

    def add_answers(self) -> None:
        """Book what the end of an epoch took, and start the clock of the next step."""
        now = time.monotonic()
        self._answer_s, self._last = now - self._last, now

    def done(self, at: Position) -> float:
        """Return the epochs of the current phase so far, with fractions."""
        return at.epoch + at.step / self.num_steps

    def planned(self, at: Position) -> float:
        """Return the epochs that the current phase is planned for now, those that are done included.

        Where not all that is left of the run fits, this phase and the later ones share what does as they wanted to.
        """
        done, wanted, later = self.done(at), self.wanted[at.phase], sum(self.wanted[at.phase + 1 :])
        possible = self.agree(self._possible(self._least - at.steps / self.num_steps))
        if possible >= max(0.0, wanted - done) + later:
            return max(done, wanted)
        return max(done, min(wanted, (done + possible) * wanted / (wanted + later)))

    def is_left(self, at: Position, planned: float) -> bool:
        """Return whether the phase has a step to take: half of one at least, or the first one of the run."""
        return planned - self.done(at) >= 0.5 / self.num_steps or not at.steps

    def _possible(self, least: float) -> float:
        """Return how many more epochs fit before the end; infinitely many where no step has told the pace.

        Args:
            least: Epochs that are left of the least ones, which have until `latest_at`.
        """
        if math.isinf(self.ends_at) or not self._steps:
            return math.inf
        now, epoch_s = time.monotonic() + self._answer_s, self.num_steps * self._step_s + self._answer_s
        soon, late = (max(0.0, end - now) / max(1e-9, epoch_s) for end in (self.ends_at, self._latest_at))
        return max(soon, min(least, late))
