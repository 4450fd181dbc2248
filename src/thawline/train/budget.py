"""Plans and a time to spend -> their answers: named ones, or the promising ones as long as time is left.

`spend` asks `spending.next_step` what to run next until nothing could use what is left. Every run is given a moment by
which it must end, so a machine that becomes busy shortens the run and not the time of those after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from thawline.core.intervals import paired_sign_flip
from thawline.core.types import Floats
from thawline.search.answers import Answers
from thawline.search.ties import SIGNIFICANCE
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.train.folds import answer_fold, answers_of
from thawline.train.spending import LEAST_EPOCHS, SIDES, Standing, Step, kept_back, next_step
from thawline.train.tried import Candidate, Pace, Tried, cost_of, untried

__all__ = ["FORECAST_SHARE", "spend", "try_named"]

FORECAST_SHARE = 0.05
"""Share of what is left of a budget that forecasting may take."""


def try_named(candidates: Sequence[Candidate]) -> tuple[Tried, ...]:
    """Return what every candidate answered in the first folds, as many as its `TrainOptions.score_folds` says."""
    tried = untried(candidates)
    for one in tried:
        ground = one.candidate.ground
        for fold in range(min(ground.context.training.score_folds, ground.split.num_folds)):
            _run_fold(one, fold, UNLIMITED)
        one.outcome = _what_ran(one)
    return tried


def spend(
    candidates: Sequence[Candidate],
    *,
    left_s: Callable[[], float],
    count_in: Callable[[float], None],
    picture_s: float | None = None,
) -> tuple[Tried, ...]:
    """Return what candidates answered in the time that was left, in their order; the most promising in most folds.

    Args:
        candidates: What may be trained.
        left_s: Returns the seconds left for training, the winner's final run included.
        count_in: Called with the seconds that an earlier start of the run spent on what is there already.
        picture_s: Seconds of a picture from its file through the backbone; measured where it is None.
    """
    if not candidates:
        return ()
    ground = candidates[0].ground
    processes, num_folds = ground.context.machine.processes, ground.split.num_folds
    tried = untried(candidates, limit_s=FORECAST_SHARE * processes.agree(left_s()), picture_s=picture_s)
    pace, total_s = Pace(tried), processes.agree(left_s())
    while True:
        standings, now_s = [_standing(one, pace) for one in tried], processes.agree(left_s())
        step = next_step(standings, left_s=now_s, total_s=total_s, num_folds=num_folds)
        if step is None:
            break
        count_in(_take(tried[step.index], step, standings[step.index], pace))
    free_s = max(0.0, now_s - kept_back(standings, num_folds=num_folds))
    for one, standing in zip(tried, standings, strict=True):
        one.final_s, one.outcome = standing.cost.final_s(standing.epochs), _fate(one, standing, free_s)
    return tried


def _take(one: Tried, step: Step, standing: Standing, pace: Pace) -> float:
    """Let a candidate answer one more fold, within the seconds of the step, and learn from what it took.

    Returns the seconds of it that an earlier start of the run took.
    """
    if step.side < 1 and not one.folds and one.candidate.at_side is not None:
        one.candidate, one.side = replace(one.candidate, ground=one.candidate.at_side(step.side)), step.side
    is_first, training_s = not one.folds, step.seconds - standing.cost.at_side(step.side).answers_s
    start = time.perf_counter()
    now, answers_s = time.monotonic(), step.seconds - training_s
    least = LEAST_EPOCHS if is_first else 0.0
    allowance = Allowance(now + training_s, step.epochs, least=least, latest_at=now + step.most_s - answers_s)
    took_s = _run_fold(one, len(one.folds), allowance)
    earlier_s = took_s - (time.perf_counter() - start)
    cost = cost_of(one.forecast).at_side(one.side)
    forecast_s = cost.fold_s(one.epochs[-1]) - (0.0 if is_first else cost.setup_s)
    agreed_s = one.candidate.ground.context.machine.processes.agree(took_s)
    pace.learn(one, took_s=agreed_s, forecast_s=forecast_s)
    return max(0.0, earlier_s)


def _run_fold(one: Tried, fold: int, allowance: Allowance) -> float:
    """Let a candidate answer a fold; return the seconds, those of an earlier start where it was run there."""
    start = time.perf_counter()
    done = answer_fold(one.plan, one.candidate.ground, fold=fold, allowance=allowance)
    took_s = max(done.seconds, time.perf_counter() - start)
    one.folds.append(done)
    one.epochs = (*one.epochs, done.trained.epochs)
    one.took_s = (one.took_s or 0.0) + took_s
    return took_s


def _standing(one: Tried, pace: Pace) -> Standing:
    """Return where a candidate stands, in plain numbers."""
    cost = cost_of(one.forecast).at_side(one.side).times(pace.factor(one))
    if not one.folds:
        sides = (1.0,) if one.candidate.at_side is None else SIDES
        return Standing(cost, one.forecast.epochs, is_from_nothing=one.plan.from_nothing, sides=sides)
    lead, p_value = _lead(one)
    is_told = p_value <= SIGNIFICANCE
    return Standing(
        replace(cost, setup_s=0.0),
        max(one.epochs[0], 1e-3),
        folds=len(one.folds),
        lead=lead,
        is_ahead=is_told and lead > 0,
        is_behind=is_told and lead < 0,
        is_too_short=one.is_too_short,
    )


def _lead(one: Tried) -> tuple[float, float]:
    """Return the mean difference from the best frozen strategy on the rows answered, and the p-value of the two."""
    ground = one.candidate.ground
    answers: Answers = answers_of(one.plan, ground, folds=one.folds)
    best: Floats = max(ground.frozen.answers, key=lambda entry: float(entry.scores.mean())).scores
    gaps, groups = (answers.scores - best)[answers.answered], ground.frozen.rows.scored_groups[answers.answered]
    return float(np.mean(gaps)), float(paired_sign_flip(gaps, groups, seed=ground.context.seed))


def _what_ran(one: Tried) -> str:
    """Return how many folds ran, and for how many epochs where these are fewer than were wanted."""
    return f"ran {len(one.folds)} of {one.candidate.ground.split.num_folds} folds{one.shortened_words}"


def _fate(one: Tried, standing: Standing, free_s: float) -> str:
    """Return what came of a candidate, and why it did not get more."""
    if not one.folds:
        smallest = standing.cost.at_side(standing.sides[-1])
        needed_s = smallest.fold_s(standing.least) + smallest.final_s(standing.least)
        return f"left out: it takes {needed_s:,.0f} s or more, and {free_s:,.0f} s were left"
    if standing.is_behind:
        return f"{_what_ran(one)}; measured worse than the best frozen strategy"
    if standing.is_too_short:
        return f"{_what_ran(one)}; too few to say anything of it"
    if len(one.folds) < one.candidate.ground.split.num_folds:
        return f"{_what_ran(one)}; then not enough of the budget was left"
    return _what_ran(one)
