"""Plans and a time to spend -> their answers, the promising ones to every fold, by successive halving over folds.

A round is a fold. Every plan that the time allows answers the first fold, the better half of them the second, and so
on, until one is left or the time is spent. Better is the mean paired difference from the best frozen strategy on the
rows answered. Time for the final training run is kept back. Source: Jamieson & Talwalkar, "Non-stochastic best arm
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
from thawline.train.context import Ground
from thawline.train.folds import FoldAnswers, answer_fold, answers_of
from thawline.train.forecast import Forecast, forecast_plans
from thawline.train.plan import Plan

__all__ = ["Tried", "forecast_rows", "spend", "try_named"]

AFTERWARDS_S = 5.0


@dataclass
class Tried:
    """A plan, what it was expected to take, and what came of it.

    Attributes:
        forecast: What was expected.
        ground: What it trains on, and how.
        folds: What it answered, fold by fold.
        took_s: Seconds of it so far.
        outcome: Why there is no more of it, in words.
    """

    forecast: Forecast
    ground: Ground
    folds: list[FoldAnswers] = field(default_factory=list)
    took_s: float = 0.0
    outcome: str = ""

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.forecast.plan


def _tried(entries: Sequence[tuple[Plan, Ground]]) -> tuple[Tried, ...]:
    """Return the plans with what is expected of them, none of them run."""
    if not entries:
        return ()
    shared = entries[0][1]
    contexts = [(plan, ground.context) for plan, ground in entries]
    forecasts = forecast_plans(contexts, shared.split, bank=shared.bank.spec)
    return tuple(Tried(forecast, ground) for forecast, (_, ground) in zip(forecasts, entries, strict=True))


def try_named(entries: Sequence[tuple[Plan, Ground]]) -> tuple[Tried, ...]:
    """Return what every plan answered in the first folds, as many as its `TrainOptions.score_folds` says.

    Args:
        entries: Plans, each with the ground that it trains on; all of the same comparison.
    """
    tried = _tried(entries)
    for one in tried:
        for fold in range(min(one.ground.context.training.score_folds, one.ground.split.num_folds)):
            _run(one, fold)
        one.outcome = _ran(one)
    return tried


def spend(entries: Sequence[tuple[Plan, Ground]], *, budget_s: float, started_at: float) -> tuple[Tried, ...]:
    """Return what plans answered within a budget, the most promising ones in most folds.

    Args:
        entries: As in `try_named`, one at least.
        budget_s: Seconds for the whole run, from `started_at`.
        started_at: `time.perf_counter()` when the run began.
    """
    tried, ground = _tried(entries), entries[0][1]
    processes = ground.context.machine.processes
    alive = sorted(tried, key=lambda one: processes.agree(one.forecast.folds_s(1)))
    spent = "not enough of the budget was left"
    for fold in range(ground.split.num_folds):
        ran = []
        for one in alive:
            left_s = processes.agree(budget_s - (time.perf_counter() - started_at) - AFTERWARDS_S)
            if _needed_s(one, tried) > left_s:
                one.outcome = f"{_ran(one)}; then {spent}" if one.folds else f"left out: {spent}"
                continue
            _run(one, fold)
            one.outcome = _ran(one)
            ran.append(one)
        keep = math.ceil(len(ran) / 2)
        ran.sort(key=lambda one: -_lead(one))
        for one in ran[keep:]:
            one.outcome = f"{_ran(one)}; others were better"
        alive = ran[:keep]
        if not alive:
            break
    return tried


def _needed_s(one: Tried, tried: Sequence[Tried]) -> float:
    """Return the seconds that one more fold and the final training run are expected to take, at the pace seen so far.

    The machine may have been busier while forecasts were measured than it is now, or the other way round.
    """
    forecast = one.forecast
    ran = [other for other in ([one] if one.folds else tried) if other.folds]
    expected_s = sum(other.forecast.folds_s(len(other.folds)) for other in ran)
    pace = sum(other.took_s for other in ran) / expected_s if expected_s else 1.0
    cache_s = 0.0 if one.folds else forecast.prefix_s
    return min(3.0, max(0.5, pace)) * (cache_s + forecast.fold_s + forecast.final_s)


def _run(one: Tried, fold: int) -> None:
    start = time.perf_counter()
    one.folds.append(answer_fold(one.plan, one.ground, fold=fold))
    one.took_s += time.perf_counter() - start


def _ran(one: Tried) -> str:
    return f"ran {len(one.folds)} of {one.ground.split.num_folds} folds"


def _lead(one: Tried) -> float:
    """Return the mean difference from the best frozen strategy on the rows that the plan answered."""
    answers: Answers = answers_of(one.plan, one.ground, folds=one.folds)
    best: Floats = max(one.ground.frozen.answers, key=lambda entry: float(entry.scores.mean())).scores
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
