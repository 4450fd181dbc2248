"""ReportData -> what follows from it, in sentences: who is tied with the best, whether a goal was reached, how sure.

One idea: a sentence is written once, so that the terminal, a notebook and the page say the same; only how a share is
written is theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from thawline.core.intervals import wilson
from thawline.search.ties import SIGNIFICANCE
from thawline.view.report_data import ReportData, RowData

__all__ = ["goal_text", "is_held_out_once", "refit_text", "scored_text", "small_part_text", "tied_rows", "unclear_rows"]

SMALL_PART = 100
"""Held-out pictures below which an accuracy is called a rough one."""


def tied_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that a paired test cannot tell from the best one, in the author's order, without it."""
    best = data.best_row
    return tuple(row for row in data.rows if row is not best and data.trial_of(row).tied)


def unclear_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that the pictures are too few to judge, in the author's order.

    A paired test cannot tell them from the best one, and a loss beyond the margin of a tie cannot be ruled out either.
    """
    others = [(row, data.trial_of(row)) for row in data.rows if row is not data.best_row]
    return tuple(row for row, trial in others if not trial.tied and trial.p_value > SIGNIFICANCE)


def is_held_out_once(data: ReportData) -> bool:
    """Return whether there is one held-out part; else every picture was held out in turn."""
    return sum(data.counts.get("test", ())) > 0


def scored_text(data: ReportData) -> str:
    """Return how rows were scored, and over how many pictures."""
    rule, num_pictures = data.leaderboard.rule, data.best_row.evaluation.accuracy.n
    return rule if is_held_out_once(data) else f"{rule}, {num_pictures:,} pictures"


def goal_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return whether the headline exceeds the goal, and how sure that is; empty text where there is no goal.

    Args:
        data: Of the run.
        share: How a share is written.

    >>> from types import SimpleNamespace as Case
    >>> data = Case(headline=Case(value=0.88, low=0.84, high=0.91), goal=0.85, goal_reached=True)
    >>> goal_text(data, "{:.2f}".format)
    'reached, but its interval begins at 0.84, below the goal: the pictures may have been kind'
    """
    score = data.headline
    if data.goal is None or score is None:
        return ""
    if score.low > data.goal:
        return "reached, by the whole of the interval"
    if data.goal_reached:
        below = f"its interval begins at {share(score.low)}, below the goal"
        return f"reached, but {below}: the pictures may have been kind"
    if score.high > data.goal:
        above = f"its interval ends at {share(score.high)}, above the goal"
        return f"not reached, but {above}: these pictures cannot tell"
    return "not reached, by the whole of the interval"


def refit_text(data: ReportData) -> str:
    """Return that the delivered model has learnt from the test too; empty text where it is the measured one.

    >>> from types import SimpleNamespace as Case
    >>> refit_text(Case(num_refitted=74, counts={"train": (100, 195), "test": (30, 44)}, rows=()))[:75]
    'The delivered model learnt from all 369 pictures, the 74 held-out ones too,'
    """
    if not data.num_refitted:
        return ""
    num_pictures = sum(map(sum, data.counts.values()))
    return (
        f"The delivered model learnt from all {num_pictures:,} pictures, the {data.num_refitted:,} held-out ones too, "
        "after they had been read once: the scores are of the model before, which learnt from the others alone."
    )


def small_part_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return what the author's best, or the goal, means on so few pictures; empty text where they are 100 or more.

    Args:
        data: Of a comparison of rows.
        share: How a share is written.
    """
    score = data.best_row.evaluation.accuracy
    if score.n >= SMALL_PART:
        return ""
    origins = [row.origin for row in data.rows if row.origin is not None]
    example = max(origins) if origins else data.goal if data.goal is not None else score.value
    low, high = wilson(example * score.n, score.n)
    meaning = f"{share(example)} of {score.n} means anything from {share(low)} to {share(high)}"
    text = f"Only {score.n} pictures were held out: {meaning}."
    if is_held_out_once(data):
        text += " `--protocol folds` holds every picture out once and says more."
    return text
