"""ReportData -> what follows from it, in sentences: who is tied with the best, whether a goal was reached, how sure.

One idea: a sentence is written once, so that the terminal, a notebook and the page say the same; only how a share is
written is theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from thawline.core.counting import counted
from thawline.core.intervals import wilson
from thawline.search.leaderboard import Leaderboard
from thawline.search.ties import MARGIN, SIGNIFICANCE
from thawline.view.report_data import ReportData, RowData
from thawline.view.words import points

__all__ = [
    "better_frozen_text",
    "choosing_text",
    "disagreement_text",
    "goal_text",
    "is_cross_validated",
    "is_held_out_once",
    "refit_text",
    "scored_text",
    "small_part_text",
    "source_text",
    "tied_rows",
    "unclear_rows",
]

SMALL_PART = 100
"""Held-out pictures below which an accuracy is called a rough one."""


def tied_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that are about as good as the best one, in the author's order, without it.

    A paired test cannot tell them apart, and a loss beyond the margin is ruled out.
    """
    unclear = unclear_rows(data)
    others = [row for row in data.rows if row is not data.best_row and row not in unclear]
    return tuple(row for row in others if data.trial_of(row).tied)


def unclear_rows(data: ReportData) -> tuple[RowData, ...]:
    """Return the rows that the pictures are too few to judge, in the author's order.

    A paired test cannot tell them from the best one, and a loss beyond the margin cannot be ruled out either.
    """
    others = [(row, data.trial_of(row)) for row in data.rows if row is not data.best_row]
    return tuple(row for row, trial in others if trial.tied and trial.difference_low < -MARGIN)


def is_held_out_once(data: ReportData) -> bool:
    """Return whether there is one held-out part; else every picture was held out in turn."""
    return sum(data.counts.get("test", ())) > 0


def scored_text(data: ReportData) -> str:
    """Return how rows were scored, and over how many pictures."""
    rule, num_pictures = data.leaderboard.rule, data.best_row.evaluation.accuracy.n
    return rule if is_held_out_once(data) else f"{rule}, {counted(num_pictures, 'pictures')}"


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


def is_cross_validated(board: Leaderboard) -> bool:
    """Return whether the choice was made by folds; else by the one part that the person named for it."""
    return any(len(trial.fold_scores) > 1 for trial in board.trials)


def better_frozen_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return that a frozen strategy is better than the best of the plans that were named, and how to get it.

    Empty text where any strategy might win, where a plan leads, or where the two are tied.

    Args:
        data: Of the run.
        share: How a difference of shares is written, without a sign.
    """
    board = data.leaderboard
    leader, winner = board.trials[0], board.trials[board.winner]
    if not board.is_named or leader.strategy.kind != "frozen" or winner.strategy.kind == "frozen" or winner.tied:
        return ""
    gap, low, high = (-end for end in (winner.difference, winner.difference_high, winner.difference_low))
    ends = f"{share(low)} to {share(high)}" if low >= 0 else f"{share(-low)} worse to {share(high)} better"
    return (
        f"The frozen leader, {leader.name}, is better than the plan that wins among those named, {winner.name}: by "
        f"{share(gap)} [{ends}] on the {winner.num_pictures:,} pictures that both answered. The same command with "
        "`fit`, and without plans, delivers it."
    )


def choosing_text(board: Leaderboard) -> str:
    """Return what the score of the choosing is, as the second half of a sentence."""
    if board.trials[board.winner].num_pictures < board.num_pictures:
        return "the winner's own, on the folds that it ran, so with the optimism of having been picked"
    if not is_cross_validated(board):
        return "on the pictures that it was chosen by, so with the optimism of having been picked"
    text = "each fold scored by what the other folds chose, so without the luck of having been picked"
    if board.chosen_growth:
        text += f", and {points(board.chosen_growth)} points for learning from all pictures, not from some of them"
    return text


def source_text(data: ReportData) -> str:
    """Return what the expected score is taken from; empty text where nothing was expected."""
    found = data.expectation
    if found is None:
        return ""
    if found.is_pooled:
        num_pictures = f"{counted(found.test.n, 'test pictures')} and the {found.choosing.n:,} of the folds"
        return f"from the {num_pictures} together, the surer score counting more"
    without = data.evaluation is not None and found.test.n < data.evaluation.accuracy.n
    clean = f" without {data.evaluation.leaked_by} in training" if without and data.evaluation else ""
    return f"from your own test alone, its {counted(found.test.n, 'pictures')}{clean}"


def disagreement_text(data: ReportData, share: Callable[[float], str]) -> str:
    """Return what it means that the test and the choosing are further apart than chance explains; else empty text.

    Args:
        data: Of the run.
        share: How a share is written.
    """
    found = data.expectation
    if found is None or not found.disagrees:
        return ""
    test, choosing = (
        f"{share(score.value)} ({share(score.low)} to {share(score.high)})" for score in (found.test, found.choosing)
    )
    board = data.leaderboard
    by = "folds" if is_cross_validated(board) else "pictures that it was chosen by"
    apart = f"The test says {test}, the {by} {choosing}: further apart than chance explains"
    if found.is_pooled:
        test_is, model_is = ("a kind", "better") if found.test.value > found.choosing.value else ("an unkind", "worse")
        return (
            f"{apart}, but for once in {1 / SIGNIFICANCE:.0f} runs. Both were drawn from the same pictures, so this is "
            f"{test_is} test rather than a {model_is} model: expect what the two say together."
        )
    picked = "" if is_cross_validated(board) else " Having been picked by them makes some of the difference."
    return (
        f"{apart}.{picked} Your test pictures are then of another kind than those for training; the score holds for "
        "pictures like those of the test."
    )


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
