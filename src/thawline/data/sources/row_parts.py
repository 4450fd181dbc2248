"""The columns of a table that say which part of the data a row belongs to -> the part of every row.

The one idea: a column names the part (`split`: train, dev, testing), or says yes and no to one (`is_valid`, `is_test`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from thawline.core.errors import DataError
from thawline.data.dataset import Role
from thawline.data.sources.parts import is_unlabelled, name_roles

__all__ = ["RowPart", "row_parts"]

RowPart = Role | Literal["unlabelled"] | None
"""A part of the data, pictures that wait for a prediction, or nothing where the row does not say."""

_YES = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_NO = frozenset({"0", "0.0", "false", "f", "no", "n", "", "nan", "none"})


def row_parts(
    columns: Sequence[tuple[Sequence[str], Role | None]], *, lines: Sequence[int], where: str
) -> list[RowPart]:
    """Return the part of every row.

    Args:
        columns: The texts of a column, a row each, and the part that a yes in it means; None where the texts name the
            parts. The first column that says something decides.
        lines: How people number the rows.
        where: What errors call the table.

    Raises:
        DataError: A text names no part, or is neither yes nor no; names the first.
    """
    if not columns:
        return [None] * len(lines)
    texts, means = columns[0]
    if means is None:
        roles = name_roles({text for text in texts if text})
        return [_named(text, roles, place=f"{where}, line {line}") for text, line in zip(texts, lines, strict=True)]
    otherwise: RowPart = "test" if any(means == "train" for _, means in columns) else "train"
    parts: list[RowPart] = []
    for row, line in enumerate(lines):
        part: RowPart = None
        for texts, means in columns:
            word = texts[row].casefold()
            if word not in _YES | _NO:
                raise DataError(f"list: {where}, line {line}: {texts[row]!r} is neither true nor false. Fix it.")
            if word in _YES and not part:
                part = means
        parts.append(part or otherwise)
    return parts


def _named(text: str, roles: dict[str, Role | None], *, place: str) -> RowPart:
    """Return the part that a text names."""
    if not text:
        return None
    role = roles[text]
    if role is None and is_unlabelled(text):
        return "unlabelled"
    if role is None:
        raise DataError(f"list: {place}: split {text!r} is not one of train, validation, test. Fix it.")
    return role
