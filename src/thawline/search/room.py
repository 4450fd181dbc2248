"""Free memory and the size of a set -> how many of its pictures strategies are ranked on, and how heads are fitted.

One idea: what fits is compared and fitted as it always was, to the last bit; what does not is ranked on a sample, and
the winner is fitted on all rows in passes over the bank. Decision 0052.
"""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from thawline.core.runtime import num_workers
from thawline.data.dataset import Dataset
from thawline.data.sampled import sampled_split
from thawline.data.split import Split
from thawline.features.bank import BankSpec
from thawline.heads.rotation import MAX_DIRECTIONS
from thawline.search.strategy import candidate_features

__all__ = ["holds", "ranked_split", "room_of"]

GIB = 1 << 30
SHARE = 0.5
"""Of the memory that is free when it is asked: what a comparison or a fit may take where nobody named a limit."""
RANKED = 200_000
"""Pictures of a sample: a paired interval of two strategies that differ in a tenth of their answers is ± 0.16 points
there, and a comparison takes minutes."""
FEWEST = 2_000
"""Pictures of a sample, however little memory there is."""


def room_of(gib: float | None) -> int:
    """Return the bytes that a comparison may take: what a person allows in GiB, or half of what is free."""
    return int(SHARE * psutil.virtual_memory().available) if gib is None else int(gib * GIB)


def holds(room: int, *, num_rows: int, num_columns: int) -> bool:
    """Return whether so many bytes hold the features of rows and what `rotate` makes of them."""
    return 4 * num_rows * (num_columns + min(num_columns, MAX_DIRECTIONS)) <= room


def ranked_split(
    dataset: Dataset, split: Split, *, specs: Sequence[BankSpec], num_views: int, room: int, most: int = RANKED
) -> Split:
    """Return the split that strategies are ranked on: the same one, or where memory does not hold it, a sample of it.

    Args:
        dataset: Its labels and groups.
        split: Folds and test of it.
        specs: What the bank of each network holds.
        num_views: Views that heads learn from.
        room: Bytes that the comparison may take.
        most: Pictures of a sample at most.
    """
    of_row = _bytes_of_row(specs, num_views=num_views, num_classes=len(dataset.class_names))
    if of_row * len(split.pool) <= room:
        return split
    return sampled_split(dataset, split, most=min(most, max(FEWEST, room // of_row)))


def _bytes_of_row(specs: Sequence[BankSpec], *, num_views: int, num_classes: int) -> int:
    """Return what a row of choosing takes at most: rotated in every stream, or as features; and its logits, twice."""
    found = [candidate_features(spec) for spec in specs]
    widest = sum(max(features.num_columns for features in of_network) for of_network in found)
    count = sum(map(len, found))
    turned = min(widest, MAX_DIRECTIONS)
    return 4 * (num_views * max(num_workers() * turned, widest + turned) + 2 * count * num_classes)
