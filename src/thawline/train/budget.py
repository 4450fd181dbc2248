"""Plans and a time to spend -> their answers, the promising ones to every fold, by successive halving over folds.

A round is a fold. Every plan that the time allows answers the first fold, the better half of them the second, and so
on, until one is left or the time is spent. Better is the mean paired difference from the best frozen strategy on the
rows answered. Time for the final training is kept back. Source: Jamieson & Talwalkar, "Non-stochastic best arm
identification and hyperparameter optimization", AISTATS 2016.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thawline.core.types import Floats
from thawline.search.answers import Answers
from thawline.train.folds import FoldAnswers, Ground, answer_fold, answers_of
from thawline.train.forecast import Forecast, forecast_plans
from thawline.train.plan import Plan

__all__ = ["Tried", "forecast_rows", "spend", "try_named"]

AFTERWARDS_S = 5.0


@dataclass
class Tried:
    """A plan, what it was expected to take, and what came of it.

    Attributes:
        forecast: What was expected.
        folds: What it answered, fold by fold.
        took_s: Seconds of it so far.
        outcome: Why there is no more of it, in words.
    """

    forecast: Forecast
    folds: list[FoldAnswers] = field(default_factory=list)
    took_s: float = 0.0
    outcome: str = ""

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.forecast.plan


def _forecasts(plans: Sequence[Plan], ground: Ground) -> tuple[Forecast, ...]:
    return forecast_plans(
        plans,
        ground.dataset,
        ground.split,
        ground.network,
        ground.runtime,
        ground.options,
        bank=ground.bank.spec,
        seed=ground.seed,
        progress=ground.progress,
    )


def try_named(plans: Sequence[Plan], ground: Ground) -> tuple[Tried, ...]:
    """Return what every plan answered in the first folds, as many as `TrainOptions.score_folds` says."""
    count = min(ground.options.score_folds, ground.split.num_folds)
    tried = [Tried(forecast) for forecast in _forecasts(plans, ground)]
    for one in tried:
        for fold in range(count):
            _run(one, ground, fold)
        one.outcome = _ran(one, ground)
    return tuple(tried)


def spend(plans: Sequence[Plan], ground: Ground, budget_s: float, started_at: float) -> tuple[Tried, ...]:
    """Return what plans answered within a budget, the most promising ones in most folds.

    Args:
        plans: Candidates.
        ground: What they train on.
        budget_s: Seconds for the whole run, from `started_at`.
        started_at: `time.perf_counter()` when the run began.
    """
    tried = [Tried(forecast) for forecast in _forecasts(plans, ground)]
    alive = sorted(tried, key=lambda one: ground.processes.agree(one.forecast.folds_s(1)))
    spent = "not enough of the budget was left"
    for fold in range(ground.split.num_folds):
        ran = []
        for one in alive:
            left_s = ground.processes.agree(budget_s - (time.perf_counter() - started_at) - AFTERWARDS_S)
            if _needed_s(one, tried) > left_s:
                one.outcome = f"{_ran(one, ground)}; then {spent}" if one.folds else f"left out: {spent}"
                continue
            _run(one, ground, fold)
            one.outcome = _ran(one, ground)
            ran.append(one)
        keep = math.ceil(len(ran) / 2)
        ran.sort(key=lambda one: -_lead(one, ground))
        for one in ran[keep:]:
            one.outcome = f"{_ran(one, ground)}; others were better"
        alive = ran[:keep]
        if not alive:
            break
    return tuple(tried)


def _needed_s(one: Tried, tried: Sequence[Tried]) -> float:
    """Return the seconds that one more fold and the final training are expected to take, at the pace seen so far.

    The machine may have been busier while forecasts were measured than it is now, or the other way round.
    """
    forecast = one.forecast
    ran = [other for other in ([one] if one.folds else tried) if other.folds]
    expected_s = sum(other.forecast.folds_s(len(other.folds)) for other in ran)
    pace = sum(other.took_s for other in ran) / expected_s if expected_s else 1.0
    cache_s = 0.0 if one.folds else forecast.prefix_s
    return min(3.0, max(0.5, pace)) * (cache_s + forecast.fold_s + forecast.final_s)


def _run(one: Tried, ground: Ground, fold: int) -> None:
    start = time.perf_counter()
    one.folds.append(answer_fold(one.plan, ground, fold))
    one.took_s += time.perf_counter() - start


def _ran(one: Tried, ground: Ground) -> str:
    return f"ran {len(one.folds)} of {ground.split.num_folds} folds"


def _lead(one: Tried, ground: Ground) -> float:
    """Return the mean difference from the best frozen strategy on the rows that the plan answered."""
    answers: Answers = answers_of(one.plan, ground, one.folds)
    best: Floats = max(ground.frozen.answers, key=lambda entry: float(entry.scores.mean())).scores
    return float(np.mean((answers.scores - best)[answers.answered]))


def forecast_rows(tried: Sequence[Tried], num_folds: int) -> tuple[Mapping[str, Any], ...]:
    """Return forecasts beside what happened, as a report shows them; what was left out has all it would take."""
    rows = []
    for one in tried:
        count = len(one.folds) or num_folds
        rows.append(
            {
                "strategy": one.forecast.name,
                "seconds": one.forecast.folds_s(count) + (0.0 if one.folds else one.forecast.final_s),
                "memory_bytes": one.forecast.memory_bytes,
                "disk_bytes": one.forecast.disk_bytes,
                "outcome": one.outcome,
                "took_s": one.took_s if one.folds else None,
            }
        )
    return tuple(rows)
