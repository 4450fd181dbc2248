"""A Split of very many pictures -> the same Split on some of them: what strategies are ranked on.

One idea: a group is taken whole or not at all, and every class from every part of the folds by its share, a rare class
by more; so folds stay folds, and what is learnt of the sample is learnt of pictures that were never seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thawline.core.counting import counted
from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split

__all__ = ["LEAST_A_CLASS", "sampled_split"]

LEAST_A_CLASS = 60
"""Pictures of a class that are taken at least, all of a smaller one; fewer where classes are so many that these alone
would be half of the sample, but one from each part of the folds."""


def sampled_split(dataset: Dataset, split: Split, *, most: int) -> Split:
    """Return the split on about `most` of its rows of choosing, drawn by its seed; the test stays as it is.

    Within a class and a part of the first drawing of folds, groups are taken in a drawn order until the class has its
    share; the last one is taken whole, so large groups make the sample larger. Of further drawings of folds those are
    kept in which every fold still trains every class. A split that is no larger is returned as it is.

    Args:
        dataset: Its labels and groups.
        split: Folds and test of it.
        most: Rows that are wanted, at least one.
    """
    pool = split.pool
    if len(pool) <= most:
        return split
    kept = pool[_taken(dataset, split, pool, most)]
    labels, num_folds = dataset.labels, split.num_folds
    classes = len(np.unique(labels[kept]))
    folds = [tuple(np.intersect1d(part, kept, assume_unique=True) for part in fold) for fold in split.folds]
    drawings = [folds[start : start + num_folds] for start in range(0, len(folds), num_folds)]
    whole = [drawing for drawing in drawings if all(len(np.unique(labels[fold[0]])) == classes for fold in drawing)]
    whole = whole or drawings[:1]
    rule = f"{split.rule}, on a sample of {len(kept):,} of {counted(len(pool), 'pictures')}"
    for part in (part for drawing in whole for fold in drawing for part in fold):
        part.flags.writeable = False
    return replace(
        split,
        folds=tuple((train, held_out) for drawing in whole for train, held_out in drawing),
        num_repeats=len(whole),
        rule=rule,
    )


def _taken(dataset: Dataset, split: Split, pool: Ints, most: int) -> Ints:
    """Return the places in the rows of choosing that are taken, ascending."""
    labels, rng = dataset.labels[pool], np.random.default_rng((split.seed, 7))
    part = np.full(len(pool), -1, dtype=np.int64)
    for number, (_, held_out) in enumerate(split.folds[: split.num_folds]):
        part[np.searchsorted(pool, held_out)] = number
    _, group = np.unique(dataset.groups[pool], return_inverse=True)
    rank = rng.permutation(int(group.max()) + 1)[group]
    _, stratum, sizes = np.unique(np.stack([labels, part], axis=1), axis=0, return_inverse=True, return_counts=True)
    stratum = stratum.ravel()
    of_class = np.bincount(labels)
    least = min(LEAST_A_CLASS, most / (2 * np.count_nonzero(of_class)))
    rate = np.maximum(most / len(pool), np.minimum(1, least / np.maximum(of_class, 1)))
    first = np.unique(stratum, return_index=True)[1]
    quota = np.maximum(1, np.round(rate[labels[first]] * sizes))
    order = np.lexsort((rank, stratum))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.arange(len(order)) - starts[stratum[order]]
    groups_taken = np.unique(group[order[place < quota[stratum[order]]]])
    return np.flatnonzero(np.isin(group, groups_taken))
