"""A finished frozen comparison and plans -> the same comparison with trained networks in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thawline.core.errors import UsageError
from thawline.search.compare import leaderboard_of
from thawline.train.budget import Candidate, spend, try_named
from thawline.train.context import Context, Ground
from thawline.train.folds import answers_of
from thawline.train.plan import Plan, parse_plan
from thawline.work.run import CompareResult

__all__ = [
    "distinct_plans",
    "ground_of",
    "with_trained",
]


def distinct_plans(texts: Sequence[str]) -> tuple[Plan, ...]:
    """Return the plans that `texts` name, each once, in their order.

    Raises:
        UsageError: None is named, or one is no plan.
    """
    plans = tuple(dict.fromkeys(parse_plan(text) for text in texts))
    if not plans:
        raise UsageError('tune: no plan is named. Name one or more: --plan "last 20 %" --plan "head, then all".')
    return plans


def ground_of(compared: CompareResult, context: Context) -> Ground:
    """Return what the training runs of a run share."""
    return Ground(context, compared.split, compared.extraction.bank, compared.comparison.frozen)


def with_trained(
    compared: CompareResult,
    plans: Sequence[Plan],
    ground: Ground,
    *,
    budget_s: float | None,
    started_at: float,
) -> CompareResult:
    """Return the comparison with the plans in it: all of them tried, or as many as a budget allows.

    Without a budget the person named the plans, and one of them is to win. With one, whatever is best wins.

    Args:
        compared: The frozen comparison.
        plans: What to train.
        ground: What the training runs share.
        budget_s: Seconds for the whole run, or None.
        started_at: When the run began, by `time.perf_counter()`.
    """
    named = budget_s is None
    candidates = [Candidate(plan, ground) for plan in plans]
    tried = try_named(candidates) if budget_s is None else spend(candidates, budget_s=budget_s, started_at=started_at)
    extra = [answers_of(one.plan, ground, folds=one.folds) for one in tried if one.folds]
    comparison = leaderboard_of(
        compared.comparison.frozen,
        extra,
        full_pass_ms=compared.full_pass_ms,
        seed=ground.context.seed,
        eligible=[*[not named] * len(compared.comparison.frozen.answers), *[True] * len(extra)],
    )
    return replace(compared, comparison=comparison, tried=tried, budget_s=budget_s)
