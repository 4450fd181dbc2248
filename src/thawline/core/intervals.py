"""Scores of pictures and groups of copies -> 95 % intervals of a share, and of means over classes.

One idea: a group of copies counts as one piece of evidence, however many pictures it has. An interval is Wilson's at
the number of independent pictures that would vary as much, so it stays within [0, 1] and never closes. The intervals
here are of a model that stands, on pictures that it never saw; what a training set may do is added in `search/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from thawline.core.metrics import class_means, confusion_matrix, per_class, require_equal_lengths
from thawline.core.types import Floats, Ints

__all__ = [
    "accuracy_interval",
    "class_mean_intervals",
    "copies_factor",
    "influence_interval",
    "interval_of",
    "mean_interval",
    "paired_sign_flip",
    "wilson",
]

_CHUNK_ENTRIES = 1 << 21  # entries of a (resamples, groups) matrix held at once: 16 MiB
ROUNDING = 1e-12
"""Of the largest variance that is possible: less than this is none."""
WIDER = (1.96**2 + 1) / 4
"""Student's 97.5 % point is about 1 + this / degrees of freedom times Gauss's."""
PRIOR_PICTURES = 2
"""Pictures of each class that are taken to vary as those of all classes do: one picture of a class says nothing."""


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share, within [0, 1]; (0, 1) when n is 0.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference"; recommended over the exact
    interval by Brown, Cai and DasGupta (2001). Unlike a bootstrap it stays open when every trial succeeds.

    Args:
        successes: Between 0 and n; need not be whole.
        n: Independent trials; need not be whole (an effective number).
        confidence: Coverage, in (0, 1).

    >>> [round(end, 3) for end in wilson(95, 100)]
    [0.888, 0.978]
    """
    if not 0 <= successes <= n:
        raise ValueError(f"wilson: {successes} successes of {n} trials; between 0 and {n} are possible.")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def interval_of(mean: float, variance: float, *, most: float) -> tuple[float, float]:
    """Return the Wilson interval of a mean in [0, 1] with a variance: at the number of trials that vary as much.

    Args:
        mean: Of scores; rounding errors beyond [0, 1] are cut.
        variance: Of the mean, at least 0.
        most: Trials where the mean is 0 or 1, or the variance 0: so many independent ones there are.
    """
    mean = min(1.0, max(0.0, mean))
    spread = mean * (1 - mean)
    n = most if spread <= 0 or variance <= ROUNDING * spread else spread / variance
    return wilson(mean * n, n)


def accuracy_interval(scores: Floats, groups: Ints) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a mean of per-picture scores whose copies count as one picture.

    The number of trials is Kish's effective number N² / Σ size², which is N where no picture has a copy and never more
    than the number of groups (Kish 1965, "Survey sampling"; copies taken as wholly correlated). A score that is a mean
    over repeats varies less than a single hit or miss, so the interval errs on the wide side.

    Args:
        scores: (N,) in [0, 1]: 1 where right, or the share of repeats in which it was.
        groups: (N,) integers; equal ones are copies.
    """
    require_equal_lengths(scores=scores, groups=groups)
    effective = len(groups) / copies_factor(groups)
    mean = min(1.0, max(0.0, float(np.mean(scores, dtype=np.float64))))
    return wilson(mean * effective, effective)


def copies_factor(groups: Ints) -> float:
    """Return by how much copies raise the variance of a mean over (N,) pictures: Σ size² / N, 1 without copies."""
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float((sizes**2).sum() / sizes.sum())


def class_mean_intervals(
    labels: Ints, predicted: Ints, *, groups: Ints, num_classes: int
) -> tuple[Floats, Floats, Floats]:
    """Return the means over the classes of precision, recall and F1, with their 95 % intervals: three arrays of (3,).

    The variance comes from what each picture adds to a mean, summed by groups (Hampel 1974, "The influence curve and
    its role in robust estimation"). A class with few pictures hardly shows how much its own share varies, and with one
    not at all, so it borrows from all classes: as if it had two more pictures that vary as those of all do.
    `benchmarks/coverage.py` measures how often these intervals hold.

    Args:
        labels: (N,) true class indices in [0, K).
        predicted: (N,) predicted class indices in [0, K).
        groups: (N,) integers; equal ones are copies.
        num_classes: K; classes without a picture do not count.

    Returns:
        Means, low ends and high ends, each in [0, 1].
    """
    require_equal_lengths(labels=labels, predicted=predicted, groups=groups)
    confusion = confusion_matrix(labels, predicted, num_classes=num_classes)  # refuses classes out of range
    support, calls, hits = confusion.sum(axis=1), confusion.sum(axis=0), np.diagonal(confusion)
    present = support > 0
    copies, num_present = copies_factor(groups), int(present.sum())
    evenly = copies * float((1 / support[present]).sum()) / num_present**2  # variance of a mean recall of even chance
    means = class_means(confusion)
    precision, recall = (_shares_variance(hits / copies, of / copies, present) for of in (calls, support))
    f1 = _f1_variance(labels, predicted, groups=groups, confusion=confusion, prior=means[2] * (1 - means[2]) * evenly)
    variances = (precision[0] * precision[1], recall[0] * recall[1], f1 * recall[1])
    ends = [
        interval_of(float(mean), variance, most=1 / evenly) for mean, variance in zip(means, variances, strict=True)
    ]
    low, high = np.array(ends).T
    return means, low, high


def _shares_variance(hits: Floats, totals: Floats, present: Ints) -> tuple[float, float]:
    """Return the variance of the mean over the present classes of shares hits / totals, each class's own but shrunk.

    And the factor by which it is raised where few pictures say how large it is: Student's against Gauss's square, with
    the degrees of freedom of Satterthwaite (1946), "An approximate distribution of estimates of variance components".
    """
    hits, totals = hits[present], np.maximum(totals[present], 1)
    squares = hits * (1 - hits / totals)
    typical = squares.sum() / max(totals.sum() - len(totals), 1)
    freedom = np.maximum(totals - 1, 0) + PRIOR_PICTURES
    parts = (squares + PRIOR_PICTURES * typical) / freedom / totals
    variance = parts.sum()
    degrees = variance**2 / (parts**2 / freedom).sum() if variance > 0 else np.inf
    return float(variance / len(totals) ** 2), float((1 + WIDER / degrees) ** 2)


def _f1_variance(labels: Ints, predicted: Ints, *, groups: Ints, confusion: Ints, prior: float) -> float:
    """Return the variance of the mean F1 by influences, shrunk towards `prior` as if each class had two more pictures.

    F1 of a class is 2 · hits / (support + calls): a picture adds to the hits of one class and to the total of two.
    """
    _, _, f1 = per_class(confusion)
    present = confusion.sum(axis=1) > 0
    num_present, total = int(present.sum()), np.maximum(confusion.sum(axis=1) + confusion.sum(axis=0), 1)
    added = np.where(labels == predicted, 2 / total[labels], 0.0)
    added -= f1[labels] / total[labels] + present[predicted] * f1[predicted] / total[predicted]
    num_groups = len(np.unique(groups))
    own = _cluster_variance(added / num_present, groups, num_fitted=num_present)
    pictures = PRIOR_PICTURES * num_present
    return (num_groups * own + pictures * prior) / (num_groups + pictures)


def mean_interval(values: Floats, groups: Ints, *, most: float = 1.0) -> tuple[float, float]:
    """Return the 95 % interval of a mean in [0, most] of per-picture numbers whose copies vary together.

    It is Wilson's at the number of trials of all or nothing that would vary as much, so it is skewed as such a mean is:
    a few sure mistakes make most of a log-loss, and none of them seen does not mean that there are none.

    Args:
        values: (N,).
        groups: (N,) integers; equal ones are copies.
        most: The largest number that is possible.
    """
    require_equal_lengths(values=values, groups=groups)
    shares = np.asarray(values, dtype=np.float64) / most
    mean = float(shares.mean())
    low, high = interval_of(
        mean, _cluster_variance((shares - mean) / len(shares), groups), most=len(groups) / copies_factor(groups)
    )
    return low * most, high * most


def influence_interval(mean: float, added: Floats, *, labels: Ints, groups: Ints) -> tuple[float, float]:
    """Return the 95 % interval of a score in [0, 1] that is a mean over classes, by what each picture adds to it.

    As `class_mean_intervals` does for F1: the variance is that of the influences, summed by groups, and each class
    borrows as if it had two more pictures that vary as much as a score of this height can.

    Args:
        mean: The score.
        added: (N,) influences of the pictures, summing to about 0.
        labels: (N,) true classes.
        groups: (N,) integers; equal ones are copies.
    """
    require_equal_lengths(added=added, labels=labels, groups=groups)
    support = np.unique(labels, return_counts=True)[1]
    evenly = copies_factor(groups) * float((1 / support).sum()) / len(support) ** 2
    num_groups = len(np.unique(groups))
    own = _cluster_variance(added, groups, num_fitted=len(support))
    prior, pictures = mean * (1 - mean) * evenly, PRIOR_PICTURES * len(support)
    variance = (num_groups * own + pictures * prior) / (num_groups + pictures)
    freedom = max(num_groups - len(support), 0) + pictures
    return interval_of(mean, variance * (1 + WIDER / freedom) ** 2, most=1 / evenly)


def _cluster_variance(added: Floats, groups: Ints, *, num_fitted: int = 1) -> float:
    """Return the variance of a statistic by what each picture adds to it, summed by groups."""
    by_group = np.bincount(np.unique(groups, return_inverse=True)[1], added)
    return float((by_group**2).sum()) * len(by_group) / max(len(by_group) - num_fitted, 1)


def paired_sign_flip(differences: Floats, groups: Ints, *, num_resamples: int = 2000, seed: int = 0) -> Floats:
    """Return the two-sided p-value that paired scores differ by chance, for every column.

    If two strategies were equally good, each group's summed difference might as well have had the other sign: Fisher's
    randomisation test, with the observed arrangement counted, so that p is never 0 (Phipson and Smyth 2010,
    "Permutation p-values should never be zero"). A difference that is zero everywhere has p = 1.

    Args:
        differences: (N,) or (N, S) finite per-picture scores, one strategy's less another's.
        groups: (N,) integers; equal ones are copies and flip together.
        num_resamples: R; the smallest p is 1 / (1 + R).
        seed: Equal seeds give equal values.

    Returns:
        p-values in (0, 1], of shape () or (S,), float64.
    """
    require_equal_lengths(differences=differences, groups=groups)
    sums, _ = _group_sums(differences, groups)
    sums = sums[np.abs(sums).sum(axis=1) > 0]  # a group that is zero in every column stays zero when flipped
    observed = np.abs(sums.sum(axis=0))
    floor = observed - 1e-9 * (1 + np.abs(sums).sum(axis=0))  # equal sums in another order of addition count as equal
    rng = np.random.default_rng(seed)
    count = np.zeros(sums.shape[1], dtype=np.int64)
    for size in _chunk_sizes(len(sums), num_resamples):
        words = rng.integers(0, 1 << 32, (size, -(-len(sums) // 32)), dtype=np.uint32)
        signs = np.unpackbits(words.view(np.uint8), axis=1)[:, : len(sums)].astype(np.float64) * 2 - 1
        count += (np.abs(signs @ sums) >= floor).sum(axis=0)
    p_values: Floats = (1 + count) / (1 + num_resamples)
    return p_values.reshape(np.shape(differences)[1:])


def _group_sums(scores: Floats, groups: Ints) -> tuple[Floats, Ints]:
    """Return per-group sums (G, S) float64 and sizes (G,), groups in sorted order."""
    columns = np.asarray(scores, dtype=np.float64).reshape(len(scores), -1)
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    return np.add.reduceat(columns[order], starts, axis=0), sizes


def _chunk_sizes(num_groups: int, num_resamples: int) -> Iterator[int]:
    step = max(1, _CHUNK_ENTRIES // max(1, num_groups))
    yield from (min(step, num_resamples - start) for start in range(0, num_resamples, step))
