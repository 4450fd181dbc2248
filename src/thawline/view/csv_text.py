"""Leaderboards and comparisons -> CSV text with a heading row, for spreadsheets and scripts: shares are in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from thawline.core.scores import SCORES
from thawline.core.spreadsheet import csv_text
from thawline.search.leaderboard import Leaderboard
from thawline.view.report_data import ReportData

__all__ = ["comparison_csv", "history_csv", "leaderboard_csv"]

_TRIAL_NUMBERS = (
    *("mean", "low", "high", "difference", "difference_low", "difference_high", "p_value"),
    *("accuracy", "macro_f1", "credit", "fit_s", "predict_ms"),
)
_CURVE_NUMBERS = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")
_SCORE_HEADINGS = {"macro_precision": "precision", "macro_recall": "recall"}  # as scripts have known them


def leaderboard_csv(leaderboard: Leaderboard) -> str:
    """Return a line for every trial, best first; numbers have six decimals."""
    lines: list[list[str]] = [["rank", "strategy", "kind", "head", "tied", "winner", *_TRIAL_NUMBERS, "cost"]]
    for index, trial in enumerate(leaderboard.trials):
        strategy = trial.strategy
        names = [str(index + 1), strategy.name, strategy.kind, strategy.head]
        flags = [_flag(trial.tied), _flag(index == leaderboard.winner)]
        numbers = [_number(getattr(trial, name)) for name in _TRIAL_NUMBERS]
        lines.append([*names, *flags, *numbers, _number(strategy.cost)])
    return csv_text(lines)


def history_csv(leaderboard: Leaderboard) -> str:
    """Return a line for every epoch of every trial that has a curve, in the leaderboard's order.

    Epochs count from 1; losses are in nats; a step size that was not recorded is left empty.
    """
    return csv_text([["strategy", "kind", "epoch", *_CURVE_NUMBERS], *_epochs(leaderboard)])


def _epochs(leaderboard: Leaderboard) -> Iterator[list[str]]:
    for trial in leaderboard.trials:
        if trial.curve is None:
            continue
        columns = [getattr(trial.curve, name) for name in _CURVE_NUMBERS]
        for epoch, values in enumerate(zip_longest(*columns), 1):
            numbers = ["" if value is None else f"{value:.6g}" for value in values]
            yield [trial.name, trial.strategy.kind, str(epoch), *numbers]


def comparison_csv(data: ReportData) -> str:
    """Return a line for every row of a comparison, in the author's order; numbers have six decimals.

    `expected` is the accuracy that the recipe states; what it, the author or the data do not say is left empty.
    """
    kinds = [kind for kind in SCORES if kind.name != "accuracy"]
    headings = [_SCORE_HEADINGS.get(kind.name, kind.name) for kind in kinds]
    lines = [["row", "does", "origin", "accuracy", "low", "high", *headings]]
    lines[0] += ["seconds", "shares_pass", "tied", "expected", "verdict"]
    for row in data.rows:
        scores = row.evaluation.scores
        accuracy = row.evaluation.accuracy
        numbers = [row.origin, accuracy.value, accuracy.low, accuracy.high]
        numbers += [scores[kind.name].value if kind.name in scores else None for kind in kinds]
        flags = [_flag(data.shares_pass(row)), _flag(data.trial_of(row).tied)]
        stated = row.expected[0] if row.expected else None
        cells = map(_number, [*numbers, row.seconds])
        lines.append([row.name, row.does, *cells, *flags, _number(stated), row.verdict])
    return csv_text(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _flag(value: bool) -> str:
    return str(value).lower()
