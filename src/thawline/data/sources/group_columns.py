"""The names of a table's columns -> the one that says which pictures belong together, such as a patient or a camera.

The one idea: a usual name is enough, since pictures of one patient are no independent evidence whether or not a person
thought of it; what was taken is told, and `--group-column` names another, or `none`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from thawline.core.errors import DataError, first_few
from thawline.data.sources.headings import Wanted, asked_column, fold_heading
from thawline.data.sources.label_values import NOTHING, text_of

__all__ = ["NO_GROUPS", "GroupError", "choose_group", "group_of"]

NO_GROUPS = "none"
"""What `--group-column` is told where no column is to be taken."""

GROUPS = (
    *("group", "patient", "subject", "participant", "lesion", "specimen", "slide", "video", "clip", "sequence", "seq"),
    *("burst", "camera", "cam", "session", "site"),
)
"""Usual names of a column with groups, folded and without `id` and the like, the first before the others."""

_ENDING = re.compile(r"(u?ids?|names?|numbers?|no|nr|num|keys?|codes?|s)$")


class GroupError(DataError):
    """Groups were asked for that these pictures do not have; nothing has been opened yet."""


def choose_group(names: Sequence[str], *, where: str, wanted: Wanted) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of groups, or None, and a note where others could have been meant.

    Args:
        names: All columns but those of pictures, classes and parts.
        where: What the error calls the table.
        wanted: What the person named.

    Raises:
        GroupError: The column that the person named does not exist, or holds something else already.
    """
    if wanted.group_column == NO_GROUPS:
        return None, ()
    if wanted.group_column is not None:
        try:
            return asked_column(names, wanted.group_column, where=where, option="--group-column"), ()
        except DataError as error:
            raise GroupError(str(error)) from None
    ranked = sorted((GROUPS.index(word), at) for at, name in enumerate(names) if (word := _word(name)) in GROUPS)
    if not ranked:
        return None, ()
    chosen, *others = [names[at] for _, at in ranked]
    note = f"the groups are those of the column {chosen}; --group-column takes {first_few(others)} instead, or none"
    return chosen, (note,) if others else ()


def group_of(value: object) -> str:
    """Return the name of a group that a cell holds, or empty text.

    >>> group_of("p7"), group_of(7.0), group_of(float("nan")), group_of(None)
    ('p7', '7', '', '')
    """
    text = text_of(value).strip()
    return "" if text in NOTHING else text


def _word(name: str) -> str:
    """Return a folded name without an ending such as `id`: `Patient ID` and `patient` are `patient`."""
    folded = fold_heading(name)
    return folded if folded in GROUPS else _ENDING.sub("", folded)
