"""Predictions -> lines of text, a table, JSON or CSV, one picture after the other as they come.

One idea: rows stream through. Whatever the form, a line is whole before the next picture is answered, and memory does
not grow with their number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from thawline.core.spreadsheet import csv_line, distinct_columns
from thawline.core.types import Prediction
from thawline.view.words import printable

__all__ = ["answered_csv", "prediction_lines", "prediction_table", "predictions_jsonl", "tally_text"]

MEASURED_ROWS = 200
"""Rows that the columns of a table are made wide enough for; a longer cell further down moves the rest of its line."""

MAX_CELL = 60


def prediction_lines(rows: Iterable[Prediction], *, top: int = 1) -> Iterator[str]:
    """Yield a line a picture: probability, label, path, perhaps doubt and a remark; or the reason why there is none.

    What cannot be printed in a name is shown as `?`, a line break as a space; JSON has names as they are.

    Args:
        rows: Predictions.
        top: Classes that are named, most probable first.
    """
    for row in rows:
        said = ", ".join(f"{share:.3f}  {name}" for name, share in _first(row, top))
        answer = f"  ---  {row.path}: {row.error}" if row.error else f"{said}  {row.path}"
        notes = _notes(row)
        yield printable(f"{answer} ({notes})" if notes else answer)


def prediction_table(rows: Iterable[Prediction], *, top: int = 1) -> Iterator[str]:
    """Yield the lines of a table with a heading: picture, answers with their probabilities, what is to be noted.

    Args:
        rows: Predictions.
        top: As in `prediction_lines`.
    """
    heads = ["picture", "answer", "share"]
    for number in range(2, top + 1):
        heads += [f"{number}.", "share"]
    heads.append("note")
    cells = (_cells(row, top) for row in rows)
    measured = [heads, *islice(cells, MEASURED_ROWS)]
    widths = [min(MAX_CELL, max(len(line[column]) for line in measured)) for column in range(len(heads))]
    for line in chain(measured, cells):
        aligned = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        yield aligned
        if line is heads:
            yield "  ".join("─" * width for width in widths)


def predictions_jsonl(rows: Iterable[Prediction], *, top: int | None = None) -> Iterator[str]:
    """Yield one line of JSON a picture, as `Prediction.to_json`.

    Args:
        rows: Predictions.
        top: Classes whose probabilities are in it, most probable first; None for all.
    """
    for row in rows:
        facts = row.to_json()
        if top is not None and "probabilities" in facts:
            facts["probabilities"] = dict(_first(row, top))
        yield json.dumps(facts, ensure_ascii=False)


def answered_csv(rows: Iterable[Prediction], class_names: Sequence[str], *, top: int | None = None) -> Iterator[str]:
    """Yield CSV lines with a header: path, label, probability, the classes, error, abstained, outside, doubt, remark.

    Without `top` every class has a column; one whose name another column has is headed `class NAME`. With `top` the
    further answers are `label_2`, `probability_2` and so on. A text that a spreadsheet would run begins with an
    apostrophe. JSON has the names as they are.

    Args:
        rows: Predictions.
        class_names: K names.
        top: Classes that are named, most probable first; None for all, in the order of the classes.
    """
    first, last = ["path", "label", "probability"], ["error", "abstained", "outside", "doubt", "remark"]
    if top is None:
        classes = distinct_columns(class_names, taken=[*first, *last])
    else:
        classes = [f"{name}_{number}" for number in range(2, top + 1) for name in ("label", "probability")]
    yield csv_line([*first, *classes, *last])
    for row in rows:
        shares: list[object]
        if top is None:
            shares = [row.probabilities.get(name) for name in class_names]
        else:
            shares = [cell for pair in _first(row, top)[1:] for cell in pair]
            shares += [None] * (len(classes) - len(shares))
        abstained = None if row.error else str(row.abstained).lower()
        cells = [row.path, row.label, row.probability, *shares, row.error, abstained, row.outside, row.doubt]
        yield csv_line([*cells, row.remark])


def tally_text(num_rows: int, *, num_answers: int, doubts: Mapping[str, int]) -> str:
    """Return in a line how many pictures were answered, how many not, and why.

    >>> tally_text(1200, num_answers=1198, doubts={"not sure": 3})
    '1,200 pictures: 1,195 answered, 3 not sure, 2 not readable'
    """
    pictures = "1 picture" if num_rows == 1 else f"{num_rows:,} pictures"
    parts = [f"{num_answers - sum(doubts.values()):,} answered"]
    parts += [f"{count:,} {why}" for why, count in sorted(doubts.items())]
    if num_rows > num_answers:
        parts.append(f"{num_rows - num_answers:,} not readable")
    return f"{pictures}: {', '.join(parts)}"


def _first(row: Prediction, top: int) -> list[tuple[str, float]]:
    return list(islice(row.probabilities.items(), top))


def _notes(row: Prediction) -> str:
    return "; ".join(note for note in (row.doubt, row.remark) if note is not None)


def _cells(row: Prediction, top: int) -> list[str]:
    """Return a picture's cells in a table."""
    answers = [cell for name, share in _first(row, top) for cell in (name, f"{share:.3f}")]
    answers += [""] * (2 * top - len(answers))
    return [printable(cell) for cell in (row.path, *answers, row.error or _notes(row))]
