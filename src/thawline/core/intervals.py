"""Per-picture scores and groups of copies -> 95 % intervals of a mean, and paired tests.

One idea: what is resampled is a group of copies, never a picture, so that a hundred copies of one photo count as one
piece of evidence. Intervals speak of the pictures only: that another training set would give another model is not in
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import NormalDist

import numpy as np

from thawline.core.metrics import confusion_matrix, require_equal_lengths
from thawline.core.types import Floats, Ints

__all__ = ["accuracy_interval", "confusion_bootstrap", "group_bootstrap", "paired_sign_flip", "wilson"]

_ENDS = (0.025, 0.975)  # of a 95 % percentile interval
_CHUNK_ENTRIES = 1 << 21  # entries of a (resamples, groups) matrix held at once: 16 MiB, and twice that in the making


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
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    mean = min(1.0, max(0.0, float(np.mean(scores, dtype=np.float64))))
    return wilson(mean * effective, effective)


def group_bootstrap(scores: Floats, groups: Ints, *, num_resamples: int = 2000, seed: int = 0) -> tuple[Floats, Floats]:
    """Return the 95 % percentile interval of the mean score over resampled groups of copies.

    Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 13. Every column sees the same resamples,
    so a column of differences gives a paired interval. Where all scores are equal the interval is a point: fitting for
    differences; for an accuracy take `accuracy_interval`.

    Args:
        scores: (N,) or (N, S) finite, one column a strategy.
        groups: (N,) integers; equal ones are copies.
        num_resamples: R; the work is one (R, G) × (G, S) matrix product, in chunks of at most 50 MiB.
        seed: Equal seeds give equal intervals.

    Returns:
        Low and high ends, each of shape () or (S,), float64.
    """
    require_equal_lengths(scores=scores, groups=groups)
    sums, sizes = _group_sums(scores, groups)
    totals = np.column_stack([sums, sizes])
    resampled = np.concatenate([weights @ totals for weights in _resample_weights(len(sizes), num_resamples, seed)])
    means = resampled[:, :-1] / resampled[:, -1:]
    low, high = np.quantile(means, _ENDS, axis=0)
    return low.reshape(np.shape(scores)[1:]), high.reshape(np.shape(scores)[1:])


def confusion_bootstrap(
    labels: Ints,
    predicted: Ints,
    *,
    groups: Ints,
    num_classes: int,
    statistic: Callable[[Ints], Floats | float],
    num_resamples: int = 2000,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return `group_bootstrap`'s interval for statistics of the confusion matrix.

    Where every resample gives the same value, as when every picture is right, a percentile interval would claim
    certainty: the Wilson interval of `accuracy_interval` at that value stands in for it.

    Args:
        labels: (N,) true class indices in [0, K).
        predicted: (N,) predicted class indices in [0, K).
        groups: (N,) integers; equal ones are copies.
        num_classes: K; time grows with R · (N + K²), memory does not grow with R.
        statistic: From a (K, K) matrix of counts to one number in [0, 1], as `macro_f1`, or to (S,), as `class_means`.
        num_resamples: R.
        seed: As in `group_bootstrap`.

    Returns:
        Low and high ends, each of shape () or (S,), float64.
    """
    require_equal_lengths(labels=labels, predicted=predicted, groups=groups)
    whole = confusion_matrix(labels, predicted, num_classes=num_classes)  # refuses classes out of range
    cells = labels.astype(np.int64) * num_classes + predicted
    _, inverse = np.unique(groups, return_inverse=True)
    values = np.array(
        [
            statistic(np.bincount(cells, row[inverse], num_classes**2).reshape(whole.shape).astype(np.int64))
            for weights in _resample_weights(int(inverse.max()) + 1, num_resamples, seed)
            for row in weights
        ]
    )
    columns = values.reshape(num_resamples, -1)
    ends = np.quantile(columns, _ENDS, axis=0)
    for column in np.flatnonzero(columns.max(axis=0) == columns.min(axis=0)):
        ends[:, column] = accuracy_interval(np.full(len(labels), columns[0, column]), groups)
    low, high = ends.reshape(2, *values.shape[1:])
    return low, high


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


def _resample_weights(num_groups: int, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield chunks (r, G) float64 of how often each group is drawn in a resample of G groups with replacement."""
    rng = np.random.default_rng(seed)
    for size in _chunk_sizes(num_groups, num_resamples):
        drawn = rng.integers(0, num_groups, (size, num_groups))
        drawn += np.arange(size)[:, None] * num_groups
        yield np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups).astype(np.float64)


def _chunk_sizes(num_groups: int, num_resamples: int) -> Iterator[int]:
    step = max(1, _CHUNK_ENTRIES // max(1, num_groups))
    yield from (min(step, num_resamples - start) for start in range(0, num_resamples, step))
