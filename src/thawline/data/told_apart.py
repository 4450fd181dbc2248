"""Binned facts and classes -> how well a tiny head tells one class from all others, out of fold.

The one idea: the head adds up how much more often each bin occurs in the class than in the others (naive Bayes), so all
classes come out of one count a fold, whatever the shape of the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from thawline.core.types import Floats, Ints

__all__ = ["MIN_GROUPS", "auroc_of", "clear_low", "out_of_fold"]

MIN_GROUPS = 10
"""Groups that a class and all others together must have, each."""
NUM_FOLDS = 5
_MOST_CLASSES = 12
_LEAST_DIFFERENT = 0.1


def out_of_fold(bins: Ints, labels: Ints, *, groups: Ints, num_classes: int) -> Iterator[tuple[int, Floats]]:
    """Yield classes with (N,) log-odds of every picture for the class against the rest, told by the other folds.

    Only the twelve classes whose bins differ most from those of the others are asked, where they differ by a tenth at
    all. Classes are weighed evenly: at 0 both are equally probable. Deterministic.

    Args:
        bins: (N, d) int64 from 0.
        labels: (N,) classes in [0, K).
        groups: (N,) groups, which no fold parts.
        num_classes: K.
    """
    fold = _folds(labels, groups)
    counts = [_counts(column, labels, fold, num_classes=num_classes) for column in bins.T]
    different = np.max([_difference(own.sum(axis=0)) for own in counts], axis=0)
    num_groups = np.array([len(np.unique(groups[labels == number])) for number in range(num_classes)])
    different[(num_groups < MIN_GROUPS) | (num_groups.sum() - num_groups < MIN_GROUPS)] = 0
    for number in np.argsort(-different, kind="stable")[:_MOST_CLASSES].tolist():
        if different[number] < _LEAST_DIFFERENT:
            return
        scores = np.zeros(len(labels))
        for column, own in zip(bins.T, counts, strict=True):
            seen = own.sum(axis=0) - own  # (folds, K, B) of the other folds
            inside, outside = seen[:, number], seen.sum(axis=1) - seen[:, number]
            odds = np.log(_shares(inside)) - np.log(_shares(outside))
            scores += odds[fold, column]
        yield number, scores


def clear_low(scores: Floats, is_own: Ints, *, groups: Ints) -> tuple[float, float, float]:
    """Return the AUROC of scores, the lower end of its 95 % interval, and the p-value that it is chance (one-sided).

    A group counts once in each class, by its mean. Error by Hanley and McNeil (1982), "The meaning and use of the area
    under a ROC curve"; p by Mann and Whitney's U with ties.
    """
    keys, places = np.unique(np.stack([groups, is_own]), axis=1, return_inverse=True)
    means = np.bincount(places.ravel(), scores) / np.bincount(places.ravel())
    own = keys[1].astype(bool)
    auroc, spread = auroc_of(means, own)
    few, many = int(own.sum()), int((~own).sum())
    both, one = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    square = auroc * (1 - auroc) + (few - 1) * (both - auroc**2) + (many - 1) * (one - auroc**2)
    error = (max(square, auroc * (1 - auroc)) / (few * many)) ** 0.5
    least = 1.5 / min(few, many) if auroc == 1 else 0.0  # rule of three: all told apart is not certain
    p_value = max(NormalDist().cdf(-(auroc - 0.5) / spread), 1e-16) if spread > 0 else 1.0
    return auroc, auroc - 1.96 * max(error, least), p_value


def auroc_of(scores: Floats, is_own: Ints) -> tuple[float, float]:
    """Return the AUROC, ties counted half, and how much it varies by chance (a standard deviation; 0 where all tie)."""
    _, places, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[places.ravel()]
    few, num = int(is_own.sum()), len(scores)
    many = num - few
    auroc = (ranks[is_own].sum() - few * (few + 1) / 2) / (few * many)
    ties = float((sizes.astype(float) ** 3 - sizes).sum()) / (num * (num - 1))
    return float(auroc), float(max((num + 1 - ties) / (12 * few * many), 0.0) ** 0.5)


def _folds(labels: Ints, groups: Ints) -> Ints:
    """Return (N,) folds: groups are dealt out class by class, by the class of their first picture."""
    names, first, places = np.unique(groups, return_index=True, return_inverse=True)
    mixed = np.random.default_rng(0).permutation(len(names))
    order = mixed[np.argsort(labels[first][mixed], kind="stable")]
    fold = np.empty(len(names), dtype=np.int64)
    fold[order] = np.arange(len(names)) % NUM_FOLDS
    return fold[places]


def _counts(column: Ints, labels: Ints, fold: Ints, *, num_classes: int) -> Floats:
    """Return (folds, K, B) how often each bin occurs."""
    num_bins = int(column.max()) + 1
    places = (fold * num_classes + labels) * num_bins + column
    counted: Floats = np.bincount(places, minlength=NUM_FOLDS * num_classes * num_bins).astype(np.float64)
    return counted.reshape(NUM_FOLDS, num_classes, num_bins)


def _shares(counts: Floats) -> Floats:
    """Return shares of the bins, as if each had been seen once more."""
    more = counts + 1
    shares: Floats = more / more.sum(axis=-1, keepdims=True)
    return shares


def _difference(counts: Floats) -> Floats:
    """Return (K,) how much the bins of each class differ from those of all others, in [0, 1]: total variation."""
    rest = counts.sum(axis=0) - counts
    shares = [part / np.maximum(part.sum(axis=1, keepdims=True), 1) for part in (counts, rest)]
    different: Floats = np.abs(shares[0] - shares[1]).sum(axis=1) / 2
    return different
