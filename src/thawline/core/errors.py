"""The errors that a person can fix, each with the exit code of its family.

A message has four parts: what was being done, the culprit, what was found against what is required, and what to do
next. Whatever is not a `ThawlineError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BackboneError",
    "BundleError",
    "DataError",
    "StoreError",
    "ThawlineError",
    "TrainingError",
    "UsageError",
    "first_few",
]


class ThawlineError(Exception):
    """Something that the person at the keyboard can fix; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(ThawlineError):
    """Options that contradict each other or do not exist; exit code 2."""

    exit_code = 2


class DataError(ThawlineError):
    """Pictures, folders, manifests or labels that cannot be used as they are."""


class BackboneError(ThawlineError):
    """A network that is unknown, has no weights here, or does not fit the weights given."""


class StoreError(ThawlineError):
    """The cache or an output directory: no space, no permission, or damaged beyond repair."""


class TrainingError(ThawlineError):
    """A training run that cannot continue, or a checkpoint of another run."""


class BundleError(ThawlineError):
    """A model folder that is incomplete, altered, or written by an incompatible version."""


def first_few(items: Sequence[object], limit: int = 10) -> str:
    """Return up to `limit` items joined by commas, with a count of the rest.

    >>> first_few(["a", "b", "c"], limit=2)
    'a, b, and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:limit])
    rest = len(items) - limit
    return f"{shown}, and {rest:,} more" if rest > 0 else shown
