"""Seconds left, and what candidates cost at the pace measured so far -> what runs next, and how long it may.

One idea: nothing is planned ahead but the next training run, so whatever the last one took, the next plan knows it. A
pure function of facts, asked again after every run; no clock is read here.

First every candidate that can have its smallest useful form, two epochs on one fold, gets a first fold: cheap ones
before dear ones, networks from nothing last. Where not all of them fit into half the time whole, all give up the same
share of their epochs; where even two epochs of one do not fit, it is tried at a smaller input. Then the better half
answers a second fold, and so on (successive halving; Jamieson & Talwalkar, AISTATS 2016), at the epochs of the first.
What is left goes to the others' further folds. Time for the final training run of whoever may win is kept back, and
what is measured worse than the best frozen strategy gets no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["LEAST_EPOCHS", "SIDES", "Cost", "Standing", "Step", "Workers", "kept_back", "next_step", "with_slack"]

LEAST_EPOCHS = 2.0
"""Epochs below which a training run says little about a plan."""
SIDES = (1.0, 0.75, 0.5)
"""Sides of the input, as shares of the whole one, that a plan may be tried at."""
FIRST_SHARE = 0.5
"""Share of the time that first folds may take, unless their smallest useful forms need more."""
SLACK, SLACK_S = 3.0, 2.0
"""A run whose time is not scarce may take so many times what was expected, and seconds more, before it is shortened."""


@dataclass(frozen=True)
class Cost:
    """What a plan takes, in seconds.

    Attributes:
        setup_s: Once, to fill the cache of the frozen prefix.
        start_s: To prepare each training run.
        epoch_s: An epoch on the rows of a fold.
        answers_s: To answer the held-out rows of a fold.
        growth: Rows of the final training run over those of a fold; 0 where there is no such run.
    """

    setup_s: float
    start_s: float
    epoch_s: float
    answers_s: float
    growth: float

    def fold_s(self, epochs: float) -> float:
        """Return the seconds of a fold."""
        return self.setup_s + self.start_s + epochs * self.epoch_s + self.answers_s

    def final_s(self, epochs: float) -> float:
        """Return the seconds of the final training run; 0 where there is none."""
        return self.start_s + epochs * self.epoch_s * self.growth if self.growth else 0.0

    def times(self, factor: float) -> Cost:
        """Return the cost at another pace."""
        return Cost(
            setup_s=factor * self.setup_s,
            start_s=factor * self.start_s,
            epoch_s=factor * self.epoch_s,
            answers_s=factor * self.answers_s,
            growth=self.growth,
        )

    def at_side(self, side: float) -> Cost:
        """Return the cost at a smaller input: what runs through the network goes by the area."""
        area = side * side
        return replace(self, setup_s=area * self.setup_s, epoch_s=area * self.epoch_s, answers_s=area * self.answers_s)


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands.

    Attributes:
        cost: Of what it still has to do, at the pace measured so far.
        epochs: That it wants; once it ran, those of its first fold.
        folds: That it answered.
        lead: Mean difference from the best frozen strategy on the rows that it answered.
        is_ahead: Whether a paired test says that it is better.
        is_behind: Whether it says that it is worse.
        is_too_short: Whether its first fold had fewer epochs than its smallest useful form; it gets no more.
        is_from_nothing: Whether it starts from random weights; then its first fold comes after the others'.
        sides: Of the inputs that it may be tried at, as shares of the whole one, largest first.
        is_running: Whether a worker has a fold of it now; it gets no other meanwhile.
    """

    cost: Cost
    epochs: float
    folds: int = 0
    lead: float = 0.0
    is_ahead: bool = False
    is_behind: bool = False
    is_too_short: bool = False
    is_from_nothing: bool = False
    sides: tuple[float, ...] = (1.0,)
    is_running: bool = False

    @property
    def least(self) -> float:
        """Epochs of its smallest useful form."""
        return min(LEAST_EPOCHS, self.epochs)

    def may_win(self, num_folds: int) -> bool:
        """Return whether it might win now: answers to some folds only must be better, to all of them no worse."""
        return (
            self.folds > 0
            and not self.is_too_short
            and (self.is_ahead or (self.folds >= num_folds and not self.is_behind))
        )


@dataclass(frozen=True)
class Step:
    """The next training run.

    Attributes:
        index: Of the candidate.
        seconds: That it may take, from now until its answers.
        epochs: That it may run; where its seconds end before, it is shortened.
        side: Of the input, as a share of the whole one.
        most_s: Seconds that its smallest useful form may take, where filling the cache took longer than expected.
    """

    index: int
    seconds: float
    epochs: float
    side: float = 1.0
    most_s: float = 0.0


@dataclass(frozen=True)
class Workers:
    """Those who take the training runs; one who is idle, where nothing is said.

    Attributes:
        count: Training runs that may go on side by side.
        busy_s: Seconds that those that go on now are expected to take yet, in sum.
    """

    count: int = 1
    busy_s: float = 0.0

    def spread_s(self, seconds: float) -> float:
        """Return the wall seconds until work of so many seconds is done, and that of those that are busy."""
        return (self.busy_s + seconds) / self.count


ONE = Workers()


def next_step(
    standings: Sequence[Standing], *, left_s: float, total_s: float, num_folds: int, workers: Workers = ONE
) -> Step | None:
    """Return the next training run; None where no candidate could use what is left.

    Args:
        standings: Of all candidates.
        left_s: Seconds until training ends, that of the winner's final run included.
        total_s: The same before the first run.
        num_folds: That a candidate may answer.
        workers: Of which one is free. Time is one clock for all of them: what they do side by side takes it once.
    """
    kept_back_s = kept_back(standings, num_folds=num_folds)
    first_s = left_s - (1 - FIRST_SHARE) * total_s
    first = _first_fold(standings, left_s=left_s, first_s=first_s, kept_back_s=kept_back_s, workers=workers)
    return first or _further_fold(standings, left_s=left_s, kept_back_s=kept_back_s, num_folds=num_folds)


def kept_back(standings: Sequence[Standing], *, num_folds: int) -> float:
    """Return the seconds that are kept back for the final training run of whoever might win now."""
    return max((one.cost.final_s(one.epochs) for one in standings if one.may_win(num_folds)), default=0.0)


@dataclass(frozen=True)
class _Pick:
    """A candidate that gets its first fold, at an input that its smallest useful form fits at."""

    index: int
    side: float
    cost: Cost
    least: float
    epochs: float

    def shrunk(self, share: float) -> float:
        """Return a share of its epochs, or those of its smallest useful form where that is less."""
        return max(self.least, share * self.epochs)


def _first_fold(
    standings: Sequence[Standing], *, left_s: float, first_s: float, kept_back_s: float, workers: Workers
) -> Step | None:
    """Return the next candidate's first fold: those that fit share the seconds of first folds that are left."""
    picks = _picks(standings, left_s=left_s, kept_back_s=kept_back_s, workers=workers)
    if not picks:
        return None

    def needed_s(share: float) -> float:
        each_s = [pick.cost.fold_s(pick.shrunk(share)) for pick in picks]
        return max(*each_s, workers.spread_s(sum(each_s)))

    def final_s(share: float) -> float:
        return max(kept_back_s, *(pick.cost.final_s(pick.shrunk(share)) for pick in picks))

    def fits(share: float) -> bool:
        return needed_s(share) <= first_s and needed_s(share) + final_s(share) <= left_s

    low, high = 0.0, 1.0
    if not fits(high):
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        high = low
    pick = picks[0]
    own_s = pick.cost.fold_s(pick.shrunk(high))
    others_s = sum(other.cost.fold_s(other.shrunk(high)) for other in picks[1:])
    room_s = left_s - final_s(high) - workers.spread_s(others_s)
    seconds = with_slack(own_s, room_s) if high == 1 else own_s
    most_s = left_s - max(kept_back_s, min(own_s, pick.cost.final_s(pick.least)))
    return Step(pick.index, seconds, pick.epochs, pick.side, most_s)


def _picks(standings: Sequence[Standing], *, left_s: float, kept_back_s: float, workers: Workers) -> list[_Pick]:
    """Return the candidates without a fold whose smallest useful forms fit together, in the order of their turn.

    The final run of one that has not been measured counts no more than its fold: it is the less likely to be needed.
    """
    waiting = [index for index, one in enumerate(standings) if not one.folds and not one.is_running]
    waiting.sort(key=lambda i: (standings[i].is_from_nothing, standings[i].cost.fold_s(standings[i].least)))
    picks: list[_Pick] = []
    total_s = 0.0
    for index in waiting:
        one = standings[index]
        for side in one.sides:
            cost = one.cost.at_side(side)
            own_s = cost.fold_s(one.least)
            final_s = max(kept_back_s, min(own_s, cost.final_s(one.least)))
            if max(own_s, workers.spread_s(total_s + own_s)) + final_s <= left_s:
                picks.append(_Pick(index, side, cost, one.least, one.epochs))
                total_s, kept_back_s = total_s + own_s, final_s
                break
    return picks


def _further_fold(standings: Sequence[Standing], *, left_s: float, kept_back_s: float, num_folds: int) -> Step | None:
    """Return a fold more for one of the better half of those that came as far, or else for the best that fits."""
    ranked = sorted((i for i, one in enumerate(standings) if one.folds), key=lambda i: -standings[i].lead)
    turns = []
    for done in range(1, num_folds):
        came_as_far = [i for i in ranked if standings[i].folds >= done]
        turns += [i for i in came_as_far[: math.ceil(len(came_as_far) / 2)] if standings[i].folds == done]
    for index in (*turns, *ranked):
        one = standings[index]
        if one.is_running or one.is_behind or one.is_too_short or one.folds >= num_folds:
            continue
        own_s = one.cost.fold_s(one.epochs)
        room_s = left_s - max(kept_back_s, one.cost.final_s(one.epochs))
        if own_s <= room_s:
            return Step(index, with_slack(own_s, room_s), one.epochs)
    return None


def with_slack(own_s: float, room_s: float) -> float:
    """Return the seconds that a run may take which is expected to take `own_s`, where there is room for `room_s`."""
    return max(own_s, min(room_s, SLACK * own_s + SLACK_S))
