"""A cell of a table's label column -> the name of a class, or none; and whether labels look like several at once.

The one idea: one rule for every table, local or from the hub. Text stays as it is (`007` is not `7`), numbers become
text, bytes are decoded, and what programs write for "nothing" is no label.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["NOTHING", "label_of", "several_in_one", "spelt_alike", "text_of"]

NOTHING = frozenset({"", "nan", "NaN", "NAN", "None", "null", "NULL", "<NA>", "#N/A", "NaT"})
"""What programs write into a table for a missing value; `none` and `N/A` may be classes."""

MOST_LABELS = 5_000
"""Distinct labels of which several labels in one are looked for."""


def label_of(value: Any, class_names: Sequence[str] = ()) -> tuple[str, str]:
    """Return the name of a class and why there is none: one of the two is empty.

    Args:
        value: Text, bytes, a number, a truth value, or None.
        class_names: Names of numbered classes; empty where the value is its own name.

    >>> label_of("007"), label_of(2.0), label_of(b"cat"), label_of(1, ["dog", "cat"])
    (('007', ''), ('2', ''), ('cat', ''), ('cat', ''))
    >>> label_of(float("nan")), label_of(-1, ["dog", "cat"])
    (('', 'no label (nan)'), ('', 'label -1 has no name'))
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if class_names and isinstance(value, int):
        return (class_names[value], "") if 0 <= value < len(class_names) else ("", f"label {value} has no name")
    text = unicodedata.normalize("NFC", text_of(value)).strip()
    if text in NOTHING:
        return "", f"no label ({text})" if text else "no label"
    return text, ""


def text_of(value: Any) -> str:
    """Return a cell as text: numbers without a needless `.0`, bytes decoded, nothing as an empty text.

    >>> text_of(3.0), text_of(b"a.jpg"), text_of(None), text_of("007")
    ('3', 'a.jpg', '', '007')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def spelt_alike(labels: Collection[str]) -> list[str]:
    """Return the labels, composed, that occur both composed and decomposed (`Käse` as Linux and as a Mac spell it)."""
    spellings = Counter(unicodedata.normalize("NFC", label) for label in set(labels))
    return sorted(label for label, count in spellings.items() if count > 1)


def several_in_one(counts: Mapping[str, int]) -> str:
    """Return an example where labels look like several at once (`cat,outdoor`), else an empty text.

    Labels are cut at `|`, `;`, a comma or blanks. They look like several where most of those that can be cut consist of
    parts that other labels have too: `Käse, jung` among other cheeses does not, `cat|outdoor` next to `dog|outdoor`
    does. Blanks are part of many names, so more is asked of them: labels of three or more lengths.

    Args:
        counts: Label -> rows.
    """
    if len(counts) > MOST_LABELS:
        return ""
    for separator in ("|", ";", ",", None):
        parts_by_label = {label: _parts(label, separator) for label in counts}
        cut = {label: parts for label, parts in parts_by_label.items() if len(parts) > 1}
        users = Counter(part for parts in parts_by_label.values() for part in parts)
        shared = [label for label, parts in cut.items() if all(users[part] > 1 for part in parts)]
        if not shared or len(shared) < (0.5 if separator else 0.75) * len(cut):
            continue
        num_lengths = len({len(parts) for parts in parts_by_label.values()})
        if num_lengths > 2 or (separator and (num_lengths > 1 or len(shared) > 2)):
            return max(shared, key=lambda label: (counts[label], label))
    return ""


def _parts(label: str, separator: str | None) -> set[str]:
    """Return the parts of a label, without the brackets and quotes of a list that was written as text."""
    return {part for piece in label.strip("[](){} ").split(separator) if (part := piece.strip("'\" "))}
