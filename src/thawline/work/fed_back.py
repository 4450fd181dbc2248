"""A run's folder and an order's corrections -> tables that a person edited and feeds back, and what would be lost.

One idea: `suspects.csv` and `corrections.csv` are results that a person works on. What is fed back may be replaced,
since the new run keeps what it says; work that is not fed back is never replaced without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thawline.core.errors import DataError, StoreError
from thawline.core.owned import Written, measure
from thawline.data.corrections import Correction, read_corrections
from thawline.work.order import Order

__all__ = ["TABLES", "fed_back", "refuse_lost_corrections"]

SUSPECTS, CORRECTIONS = "suspects.csv", "corrections.csv"
TABLES = (SUSPECTS, CORRECTIONS)
"""Results that a person may edit."""


def fed_back(out: Path, order: Order) -> dict[str, Written]:
    """Return the tables in a run's folder that the order's corrections name, as they are now: those may be replaced."""
    named = {file.resolve() for file in order.options.corrections}
    found = [name for name in TABLES if (out / name).is_file() and (out / name).resolve() in named]
    return measure(out, found)


def refuse_lost_corrections(out: Path, order: Order) -> None:
    """Refuse a run that would replace the corrections of an older one and does not hold all of them.

    Raises:
        StoreError: It would; names the corrections to give too.
    """
    kept = out / CORRECTIONS
    if not kept.is_file() or kept.resolve() in {file.resolve() for file in order.options.corrections}:
        return
    try:
        (older,) = read_corrections([kept])
    except DataError:
        return  # not a table of corrections: whether it may be replaced is asked elsewhere
    newer = [item for rows in read_corrections(order.options.corrections) for item in rows]
    if lost := _not_among(older, newer):
        given = " ".join(f"--corrections {file}" for file in (kept, *order.options.corrections))
        raise StoreError(
            f"write results: {out} holds a run that stands on {len(lost):,} corrections that this one would not have, "
            f"the first being {lost[0].path or lost[0].sha256}. Name them: {given}; or pass --replace to drop them."
        )


def _not_among(older: Sequence[Correction], newer: Sequence[Correction]) -> list[Correction]:
    """Return the corrections of pictures that no newer one is about."""
    digests, paths = {item.sha256 for item in newer if item.sha256}, {item.path for item in newer if not item.sha256}
    return [item for item in older if item.sha256 not in digests and item.path not in paths]
