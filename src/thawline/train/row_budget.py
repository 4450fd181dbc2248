"""Rows of a comparison and a time to spend -> their answers: whole in the order of their author, or for fewer epochs.

The row whose model is delivered goes first. A row that does not fit whole is shortened, so that those after it keep the
time of their smallest useful forms; one whose own does not fit is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from thawline.train.allowance import Allowance
from thawline.train.budget import FORECAST_SHARE
from thawline.train.crew import Fit, crew_of, have_done
from thawline.train.spending import LEAST_EPOCHS, Cost, with_slack
from thawline.train.tried import Candidate, Pace, Tried, untried

__all__ = ["spend_on_rows", "train_side_by_side"]


def spend_on_rows(
    candidates: Sequence[Candidate],
    run: Callable[[Candidate, Allowance], float],
    *,
    num_folds: int,
    delivered: str,
    left_s: Callable[[], float],
) -> tuple[Tried, ...]:
    """Run rows of a comparison as long as the time allows, and return what came of each, in their order.

    Args:
        candidates: Rows that train, under different names.
        run: Answers a row within an allowance, and returns the epochs of its training runs on average.
        num_folds: Folds that a row answers. With 0 it learns from every row of choosing, and answers the test rows.
        delivered: Name of the row whose model is delivered. Where rows answer folds, the time to train its model is
            kept back; where no candidate has this name, no time is.
        left_s: Returns the seconds left for training.
    """
    if not candidates:
        return ()
    processes = candidates[0].ground.context.machine.processes
    tried = untried(candidates, num_folds=num_folds, limit_s=FORECAST_SHARE * processes.agree(left_s()))
    pace, kept_back_s = Pace(tried), 0.0
    waiting = sorted(tried, key=lambda one: one.name != delivered)
    while waiting:
        one, *waiting = waiting
        has_final = bool(num_folds) and one.name == delivered
        cost = _cost(one, num_folds, has_final=has_final).times(pace.factor(one))
        now_s = processes.agree(left_s()) - kept_back_s
        later_s = sum(_least_s(other, num_folds, pace) for other in waiting)
        epochs = _epochs(cost, one.forecast.epochs, now_s=now_s, later_s=later_s)
        if not epochs:
            one.outcome = (
                f"left out: it takes {_whole_s(cost, _least(one)):,.0f} s or more, {max(0.0, now_s):,.0f} s were left"
            )
            continue
        room_s = now_s - later_s - cost.final_s(epochs)
        seconds = with_slack(cost.fold_s(epochs), room_s) - cost.answers_s
        start = time.perf_counter()
        one.epochs = (run(one.candidate, Allowance(time.monotonic() + seconds)),)
        one.took_s = time.perf_counter() - start
        forecast_s = _cost(one, num_folds, has_final=False).fold_s(one.epochs[0])
        pace.learn(one, took_s=processes.agree(one.took_s), forecast_s=forecast_s)
        if has_final:
            kept_back_s = pace.factor(one) * one.forecast.last_s(one.epochs[0])
        ran = f"ran {num_folds} of {num_folds} folds" if num_folds else "trained on every training picture"
        one.outcome = ran + one.shortened_words
    return tried


def train_side_by_side(candidates: Sequence[Candidate], *, by_folds: bool) -> None:
    """Have rows of a comparison trained by the machines of a cluster, where there is one; their answers come after.

    A row that watches a tenth of its pictures learns from its first fold how long to train: its folds are not known.

    Args:
        candidates: Rows that train.
        by_folds: Whether each answers all folds; else it learns from every row of choosing.
    """
    known = [one for one in candidates if not (by_folds and one.ground.context.training.watches)]
    fits = [
        Fit(one.plan, one.ground, fold, part="final")
        for one in known
        for fold in (range(len(one.ground.split.folds)) if by_folds else (None,))
    ]
    if fits:
        have_done(fits, crew_of(fits[0].ground))


def _least(one: Tried) -> float:
    return min(LEAST_EPOCHS, one.forecast.epochs)


def _least_s(one: Tried, num_folds: int, pace: Pace) -> float:
    return _whole_s(_cost(one, num_folds, has_final=False).times(pace.factor(one)), _least(one))


def _whole_s(cost: Cost, epochs: float) -> float:
    """Return the seconds of a row: its folds, and its final training run where it has one."""
    return cost.fold_s(epochs) + cost.final_s(epochs)


def _cost(one: Tried, num_folds: int, *, has_final: bool) -> Cost:
    """Return what a row takes as a whole: all its folds, or the one training run that answers the test rows."""
    of, num_test = one.forecast, len(one.candidate.ground.split.test)
    if not num_folds:
        return Cost(of.prefix_s, of.start_s, of.epoch_s * of.growth, num_test * of.answer_s, 0.0)
    growth = of.growth / num_folds if has_final else 0.0
    return Cost(of.prefix_s, num_folds * of.start_s, num_folds * of.epoch_s, num_folds * of.answers_s, growth)


def _epochs(cost: Cost, wanted: float, *, now_s: float, later_s: float) -> float:
    """Return the epochs that fit, as many as are wanted at most; 0 where not even the smallest useful form does."""
    least = min(LEAST_EPOCHS, wanted)
    needed_s = _whole_s(cost, least)
    if needed_s > now_s:
        return 0.0
    more = (now_s - later_s - needed_s) / max(1e-9, _whole_s(cost, 1.0) - _whole_s(cost, 0.0))
    return min(wanted, max(least, least + more))
