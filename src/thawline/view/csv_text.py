"""Leaderboards, comparisons and answers -> CSV text with a heading row, for people and scripts: shares in [0, 1]."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest

from thawline.core.scores import SCORES
from thawline.core.spreadsheet import csv_line, csv_text, distinct_columns
from thawline.search.leaderboard import Leaderboard
from thawline.vet.answer_table import part_words
from thawline.vet.answered import Answered
from thawline.view.report_data import ReportData

__all__ = ["comparison_csv", "history_csv", "leaderboard_csv", "predictions_csv"]

_TRIAL_NUMBERS = (
    *("mean", "low", "high", "difference", "difference_low", "difference_high", "p_value"),
    *("accuracy", "macro_f1", "credit", "fit_s", "predict_ms"),
)
_CURVE_NUMBERS = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")
_SCORE_HEADINGS = {"macro_precision": "precision", "macro_recall": "recall"}  # as scripts have known them

PREDICTION_COLUMNS = ("path", "part", "label", "predicted", "probability", "abstained", "suspect")
MOST_PROBABILITIES = 4_000_000


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


def predictions_csv(
    answered: Answered, *, suspects: Collection[str] = (), abstained: Sequence[bool] = ()
) -> Iterator[str]:
    """Yield CSV lines with a header, one for every picture that a model answered which never saw it.

    The columns are `path`, `part` (`test`, or `fold 1` for the first fold of the first drawing), `label`, `predicted`,
    `probability` of the predicted class, `abstained` and `suspect`. Then comes one of the probability of each class,
    headed as `thawline predict --csv` heads it, as long as there are at most 4,000,000 of them in all.

    Args:
        answered: N pictures.
        suspects: Paths of those whose label is doubtful.
        abstained: N times whether the model would rather not have answered; empty where it always answers.
    """
    names = answered.dataset.class_names
    has_all = len(answered) * len(names) <= MOST_PROBABILITIES
    yield csv_line([*PREDICTION_COLUMNS, *(distinct_columns(names, taken=PREDICTION_COLUMNS) if has_all else ())])
    labels, predicted, folds = (column.tolist() for column in (answered.labels, answered.predicted, answered.fold))
    for place, path in enumerate(answered.paths):
        flags = [_flag(bool(abstained[place]) if len(abstained) else False), _flag(path in suspects)]
        said = [names[labels[place]], names[predicted[place]], f"{answered.confidence[place]:.6f}"]
        shares = [f"{share:.6f}" for share in answered.probabilities[place].tolist()] if has_all else []
        yield ",".join([csv_line([path, part_words(folds[place]), *said, *flags]), *shares])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _flag(value: bool) -> str:
    return str(value).lower()
