"""Plans and a time to spend -> their answers: named ones, the promising ones, or whole rows as long as time is left.

`spend` is successive halving over folds: a round is a fold; every plan that the time allows answers the first fold, the
better half of them the second, and so on, until one is left or the time is spent. Better is the mean paired difference
from the best frozen strategy on the rows answered. Source: Jamieson & Talwalkar, "Non-stochastic best arm
identification and hyperparameter optimization", AISTATS 2016. `spend_on_rows` runs each row whole or not at all, in the
order of its author. Both keep the time of the final training run back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thawline.core.types import Floats
from thawline.search.answers import Answers
from thawline.train.context import Ground
from thawline.train.folds import FoldAnswers, answer_fold, answers_of
from thawline.train.forecast import Forecast, forecast_plans
from thawline.train.plan import Plan

__all__ = ["Candidate", "Tried", "forecast_rows", "spend", "spend_on_rows", "try_named"]

AFTERWARDS_S = 5.0
SPENT = "not enough of the budget was left"


@dataclass(frozen=True)
class Candidate:
    """A plan to be tried.

    Attributes:
        plan: What thaws.
        ground: What it is trained on, and how; all candidates of a run share everything but training options and
            folder.
        name: What it is called in the forecast; the strategy's name where this is empty.
    """

    plan: Plan
    ground: Ground
    name: str = ""


@dataclass
class Tried:
    """A candidate, what it was expected to take, and what came of it.

    Attributes:
        candidate: Which.
        forecast: What its training runs were expected to take.
        whole_s: Seconds that all of it was expected to take.
        folds: What it answered, fold by fold; none where a row was run as a whole.
        took_s: Seconds of it so far; None where it did not run.
        outcome: What was run, or why it was not, in words.
    """

    candidate: Candidate
    forecast: Forecast
    whole_s: float
    folds: list[FoldAnswers] = field(default_factory=list)
    took_s: float | None = None
    outcome: str = ""

    @property
    def plan(self) -> Plan:
        """What thaws."""
        return self.candidate.plan

    @property
    def name(self) -> str:
        """What it is called in the forecast."""
        return self.candidate.name or self.forecast.name

    @property
    def expected_s(self) -> float:
        """Seconds that what was run was expected to take; those of all of it where it is run whole or was left out."""
        return self.forecast.folds_s(len(self.folds)) if self.folds else self.whole_s


def try_named(candidates: Sequence[Candidate]) -> tuple[Tried, ...]:
    """Return what every candidate answered in the first folds, as many as its `TrainOptions.score_folds` says."""
    tried = _untried(candidates)
    for one in tried:
        ground = one.candidate.ground
        for fold in range(min(ground.context.training.score_folds, ground.split.num_folds)):
            _run_fold(one, fold)
    return tried


def spend(candidates: Sequence[Candidate], *, budget_s: float, started_at: float) -> tuple[Tried, ...]:
    """Return what candidates answered within a budget, in their order; the most promising ones in most folds.

    Args:
        candidates: One at least.
        budget_s: Seconds for the whole run, from `started_at`.
        started_at: `time.perf_counter()` when the run began.
    """
    tried, ground = _untried(candidates), candidates[0].ground
    processes = ground.context.machine.processes
    alive = sorted(tried, key=lambda one: processes.agree(one.forecast.folds_s(1)))
    for fold in range(ground.split.num_folds):
        ran = []
        for one in alive:
            left_s = processes.agree(_left_s(budget_s, started_at))
            forecast = one.forecast
            next_s = (0.0 if one.folds else forecast.prefix_s) + forecast.fold_s + forecast.final_s
            if _pace([one] if one.folds else tried) * next_s > left_s:
                one.outcome = f"{one.outcome}; then {SPENT}" if one.folds else f"left out: {SPENT}"
                continue
            _run_fold(one, fold)
            ran.append(one)
        keep = math.ceil(len(ran) / 2)
        ran.sort(key=lambda one: -_lead(one))
        for one in ran[keep:]:
            one.outcome = f"{one.outcome}; others were better"
        alive = ran[:keep]
        if not alive:
            break
    return tried


def spend_on_rows(
    candidates: Sequence[Candidate],
    run: Callable[[Candidate], object],
    *,
    num_folds: int,
    delivered: str,
    budget_s: float,
    started_at: float,
) -> tuple[Tried, ...]:
    """Run rows of a comparison as a whole, as long as the budget allows, and return what came of each, in their order.

    The row whose model is delivered goes first, then the others as their author ordered them. One that would not fit
    into what is left is left out, and a shorter one after it may still run.

    Args:
        candidates: Rows that train, under different names.
        run: Answers a row.
        num_folds: Folds that a row answers. With 0 it learns from every row of choosing, and answers the test rows.
        delivered: Name of the row whose model is delivered. Where rows answer folds, the time to train its model is
            kept back; where no candidate has this name, no time is.
        budget_s: Seconds for the whole run, from `started_at`.
        started_at: `time.perf_counter()` when the run began.
    """
    tried = _untried(candidates, num_folds=num_folds)
    kept_back_s = 0.0
    for one in sorted(tried, key=lambda one: one.name != delivered):
        machine = one.candidate.ground.context.machine
        final_s = one.forecast.final_s if num_folds and one.name == delivered else 0.0
        needed_s = _pace(tried) * (one.whole_s + final_s + kept_back_s)
        if machine.processes.agree(needed_s - _left_s(budget_s, started_at)) > 0:
            one.outcome = f"left out: {SPENT}"
            continue
        start = time.perf_counter()
        run(one.candidate)
        one.took_s = time.perf_counter() - start
        one.outcome = f"ran {num_folds} of {num_folds} folds" if num_folds else "trained on every training picture"
        kept_back_s += final_s
    return tried


def _untried(candidates: Sequence[Candidate], *, num_folds: int | None = None) -> tuple[Tried, ...]:
    """Return candidates with what is expected of them, none of them run.

    Args:
        candidates: All of one run.
        num_folds: As in `spend_on_rows`; None: all folds of a repeat, and the final training run.
    """
    if not candidates:
        return ()
    shared = candidates[0].ground
    contexts = [(candidate.plan, candidate.ground.context) for candidate in candidates]
    tried = []
    for candidate, forecast in zip(
        candidates, forecast_plans(contexts, shared.split, bank=shared.bank.spec), strict=True
    ):
        if num_folds is None:
            whole_s = forecast.folds_s(shared.split.num_folds) + forecast.final_s
        elif num_folds:
            whole_s = forecast.folds_s(num_folds)
        else:
            whole_s = forecast.prefix_s + forecast.final_s + len(shared.split.test) * forecast.answer_s
        tried.append(Tried(candidate, forecast, whole_s))
    return tuple(tried)


def _left_s(budget_s: float, started_at: float) -> float:
    """Return the seconds left for training; those of everything after it are kept back."""
    return budget_s - (time.perf_counter() - started_at) - AFTERWARDS_S


def _pace(tried: Sequence[Tried]) -> float:
    """Return the seconds that candidates took so far over those that were expected, between 0.5 and 3.

    The machine may have been busier while forecasts were measured than it is now, or the other way round.
    """
    ran = [one for one in tried if one.took_s is not None]
    expected_s = sum(one.expected_s for one in ran)
    pace = sum(one.took_s or 0.0 for one in ran) / expected_s if expected_s else 1.0
    return min(3.0, max(0.5, pace))


def _run_fold(one: Tried, fold: int) -> None:
    """Let a candidate answer one more fold."""
    start, ground = time.perf_counter(), one.candidate.ground
    one.folds.append(answer_fold(one.plan, ground, fold=fold))
    one.took_s = (one.took_s or 0.0) + time.perf_counter() - start
    one.outcome = f"ran {len(one.folds)} of {ground.split.num_folds} folds"


def _lead(one: Tried) -> float:
    """Return the mean difference from the best frozen strategy on the rows that the candidate answered."""
    ground = one.candidate.ground
    answers: Answers = answers_of(one.plan, ground, folds=one.folds)
    best: Floats = max(ground.frozen.answers, key=lambda entry: float(entry.scores.mean())).scores
    return float(np.mean((answers.scores - best)[answers.answered]))


def forecast_rows(tried: Sequence[Tried]) -> tuple[Mapping[str, Any], ...]:
    """Return forecasts next to what happened, as a report shows them; what was left out has all it would take."""
    return tuple(
        {
            "strategy": one.name,
            "seconds": one.expected_s,
            "memory_bytes": one.forecast.memory_bytes,
            "disk_bytes": one.forecast.disk_bytes,
            "outcome": one.outcome,
            "took_s": one.took_s,
        }
        for one in tried
    )
