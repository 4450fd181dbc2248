"""A table with a column of 0 and 1 for each class -> the same table with one column of classes, or a refusal.

The one idea: where every row has exactly one 1, that says the class as clearly as a word; where some have several, each
picture has several labels, for which there is no class to take.
"""

from __future__ import annotations

from collections.abc import Sequence

from thawline.core.errors import DataError, first_few
from thawline.data.sources.delimited import CsvRow
from thawline.data.sources.headings import FLAGS, LABELS, PATHS, SPLITS, Wanted, fold_heading

__all__ = ["with_labels"]

_WORDS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def with_labels(
    names: Sequence[str], rows: Sequence[CsvRow], *, where: str, wanted: Wanted
) -> tuple[Sequence[str], Sequence[CsvRow], tuple[str, ...]]:
    """Return the names, the rows and a note, with a column `label` added where columns of 0 and 1 stand for one.

    A table with a column of classes, or in which the person named one, comes back as it is.

    Args:
        names: Names of the columns.
        rows: The rows below.
        where: What the error calls the table.
        wanted: What the person named.

    Raises:
        DataError: Some rows have several classes, or no row has one.
    """
    if wanted.label_column is not None or not wanted.needs_labels or not rows:
        return names, rows, ()
    folded = [fold_heading(name) for name in names]
    if any(name in LABELS for name in folded):
        return names, rows, ()
    cells = [(*row.cells, *[""] * (len(names) - len(row.cells))) for row in rows]
    binary = [
        at
        for at, name in enumerate(folded)
        if name
        and name not in {*PATHS, *SPLITS, *FLAGS}
        and names[at] != wanted.path_column
        and all(row[at].lower() in _WORDS for row in cells)
    ]
    has_names = any(name in PATHS for name in folded) or not all(folded[at] in _WORDS for at in binary)
    if len(binary) < 2 or not has_names:
        return names, rows, ()
    classes = [[names[at] for at in binary if _WORDS[row[at].lower()]] for row in cells]
    shown = first_few([names[at] for at in binary])
    several, without = sum(len(found) > 1 for found in classes), sum(not found for found in classes)
    if several or without == len(rows) or any(len(row) > len(names) for row in cells):
        counts = (
            f"{several:,} of {len(rows):,} rows have several of them" if several else "no row has exactly one of them"
        )
        raise DataError(
            f"list: {where} has a column of 0 and 1 for each class ({shown}) instead of one with the labels; {counts}. "
            "Thawline gives a picture one class: write its name into one column `label`, or name a column with "
            "--label-column to tell its yes from its no."
        )
    labelled = [
        CsvRow(row.line, (*cell, "".join(found))) for row, cell, found in zip(rows, cells, classes, strict=True)
    ]
    note = f"the classes are the names of the columns of 0 and 1: {shown}; --label-column takes one column instead"
    return (*names, "label"), labelled, (note,)
