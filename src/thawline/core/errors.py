"""The errors that a person can fix, each with the exit code of its family.

A message has four parts: what was being done, the culprit, what was found against what is required, and what to do
next. Whatever is not a `ThawlineError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "BackboneError",
    "BundleError",
    "ClusterError",
    "DataError",
    "InputError",
    "MissingError",
    "StoreError",
    "ThawlineError",
    "TrainingError",
    "UsageError",
    "by_reason",
    "first_few",
]

_NUMBER = re.compile(r"[0-9][0-9,.]*(?<![,.])")


class ThawlineError(Exception):
    """Something that the person at the keyboard can fix; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(ThawlineError):
    """Options that contradict each other or do not exist; exit code 2."""

    exit_code = 2


class DataError(ThawlineError):
    """Pictures, folders, manifests or labels that cannot be used as they are."""


class MissingError(DataError, FileNotFoundError):
    """A picture that a person named in Python and that is not there; Python's `FileNotFoundError` as well."""


class InputError(DataError, ValueError):
    """What a person handed over in Python is no picture, or does not fit the rest; Python's `ValueError` as well."""


class BackboneError(ThawlineError):
    """A network that is unknown, has no weights here, or does not fit the weights given."""


class ClusterError(ThawlineError):
    """A cluster of machines that cannot be reached, joined or relied on."""


class StoreError(ThawlineError):
    """The cache or an output directory: no space, no permission, or damaged beyond repair."""


class TrainingError(ThawlineError):
    """A training run that cannot continue, or a checkpoint of another run."""


class BundleError(ThawlineError):
    """A model folder that is incomplete, altered, or written by an incompatible version."""


def by_reason(rows: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return (reason, names) for rows of (name, reason), most frequent first; reasons alike but for numbers are one.

    >>> by_reason([("a", "ends after 5 bytes"), ("b", "text"), ("c", "ends after 7 bytes")])
    [('ends after … bytes', ['a', 'c']), ('text', ['b'])]
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for name, reason in rows:
        groups.setdefault(_NUMBER.sub("…", reason), {}).setdefault(reason, []).append(name)
    alike = [
        (next(iter(named)) if len(named) == 1 else general, [name for names in named.values() for name in names])
        for general, named in groups.items()
    ]
    return sorted(alike, key=lambda group: -len(group[1]))


def first_few(items: Sequence[object], limit: int = 10) -> str:
    """Return up to `limit` items joined by commas, with a count of the rest.

    >>> first_few(["a", "b", "c"], limit=2)
    'a, b, and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:limit])
    rest = len(items) - limit
    return f"{shown}, and {rest:,} more" if rest > 0 else shown
