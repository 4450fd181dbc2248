"""Training runs that wait for nothing but a worker -> done: here one after the other, or by a cluster side by side.

One idea: what a training run gives is kept in the run's folder until the run is done, so a crew has to have it *done*
and nothing else. Whoever needs the result asks for it as ever (`answer_fold`, `train_rows`) and finds it there; so
order, seeds and leaderboard are those of a run by one process, whichever worker ended first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from thawline.core.types import Ints
from thawline.train.allowance import UNLIMITED, Allowance

if TYPE_CHECKING:
    from thawline.train.context import Ground
    from thawline.train.plan import Plan

__all__ = ["Alone", "Crew", "Fit", "crew_of", "have_done", "share_of"]


@dataclass(frozen=True, eq=False)
class Fit:
    """One training run that could begin now.

    Attributes:
        plan: What is trained.
        ground: On what; with the options, and the folder, of this training run.
        fold: Whose held-out rows it answers; None: it learns from `rows` and is kept as a whole network.
        rows: Rows to learn from, as indices of samples, where it answers no fold.
        watched: Rows to watch then; may be empty.
        part: Names it in the folder of the plan then.
        allowance: When it must end, by `time.monotonic()` of this process, and after how many epochs.
    """

    plan: Plan
    ground: Ground
    fold: int | None = None
    rows: Ints | None = None
    watched: Ints | None = None
    part: str = ""
    allowance: Allowance = UNLIMITED

    def __repr__(self) -> str:
        """Return one short line."""
        return f"Fit({self.name})"

    @property
    def name(self) -> str:
        """What it is called in notes."""
        return f"{self.plan.name}, {self.part.replace('-', ' ') if self.fold is None else f'fold {self.fold + 1}'}"


class Crew(Protocol):
    """Whoever has training runs done.

    Attributes:
        count: Processors (or accelerators) that there are now, those at work included; at least 1.
        speed: How fast one of them is, where this process is 1.
    """

    @property
    def count(self) -> int:
        """Processors that there are now."""

    @property
    def speed(self) -> float:
        """How fast one of them is, where this process is 1."""

    def begin(self, fit: Fit, *, share: int = 1) -> None:
        """Give a training run to so many processors that are free; returns at once."""

    def wait(self) -> Fit:
        """Return one that was begun and has ended, as soon as there is one.

        Raises:
            ThawlineError: It could not be done; what the worker said.
        """


class Alone:
    """This process and no worker: what is begun is done by whoever asks for its result."""

    count = 1
    speed = 1.0

    def __init__(self) -> None:
        self._begun: deque[Fit] = deque()

    def begin(self, fit: Fit, *, share: int = 1) -> None:
        """Put a training run into the row."""
        self._begun.append(fit)

    def wait(self) -> Fit:
        """Return the first in the row."""
        return self._begun.popleft()


def crew_of(ground: Ground) -> Crew:
    """Return who has the training runs of a run done: its machine's crew, or this process alone."""
    return ground.context.machine.crew or Alone()


def share_of(count: int, num_fits: int) -> int:
    """Return the processors that each of some training runs gets: an even share, so one each where they are many.

    Plans and folds side by side send no messages, so they come first; what is left over then trains together.

    Args:
        count: Processors.
        num_fits: Training runs that could begin now.
    """
    return max(1, count // max(1, num_fits))


def have_done(fits: Sequence[Fit], crew: Crew) -> None:
    """Have training runs done that do not depend on each other, as many at once as there are processors.

    Raises:
        ThawlineError: One could not be done; those after it are not begun.
    """
    waiting, running = deque(fits), 0
    while waiting or running:
        share = share_of(crew.count, len(fits))
        while waiting and running < max(1, crew.count // share):
            crew.begin(waiting.popleft(), share=share)
            running += 1
        crew.wait()
        running -= 1
