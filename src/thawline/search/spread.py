"""Per-picture scores of strategies on the same pictures -> their means, and how far each mean may be off.

One idea: what a group of copies adds to a strategy's mean beyond its expectation, one number a group and strategy,
holds all variances and covariances at once: those of means, of differences, of a mean with a learning curve on top. No
resampling, so 72 strategies on 20,000 pictures take a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.intervals import copies_factor
from thawline.core.types import Floats, Ints

__all__ = ["MEANS_FACTOR", "PAIRS_FACTOR", "Spread", "spread_of"]

MEANS_FACTOR = 1.5
"""By which the held-out pictures alone understate the variance of a score as a forecast for a head that learns from all
of them: another training set would give another head. Measured by `benchmarks/coverage.py`; see decision 0022."""

PAIRS_FACTOR = 1.4
"""The same of the difference of two strategies."""

PRIOR_PICTURES = 2
"""Pictures by which a class's own score is drawn to that of all: one picture of a class is not certain."""


@dataclass(frozen=True)
class Spread:
    """The means of S strategies and what moved them.

    Attributes:
        means: (S,) weighted means.
        added: (G, S) what each group adds to each mean beyond its expectation.
        typical: What a typical group counts in a mean: a single picture where there are no copies.
    """

    means: Floats
    added: Floats
    typical: float

    @property
    def variances(self) -> Floats:
        """(S,) of the means, for other pictures and the same heads."""
        variances: Floats = np.einsum("gs,gs->s", self.added, self.added)
        return variances

    def variances_from(self, rival: int) -> Floats:
        """Return (S,) variances of the differences from one strategy."""
        gaps = self.added - self.added[:, [rival]]
        variances: Floats = np.einsum("gs,gs->s", gaps, gaps)
        return variances

    def hit_variances_from(self, rival: int) -> Floats:
        """Return `variances_from` for scores that are hits and misses; 0 for those that differ nowhere.

        Where a few pictures tell two strategies apart, one more would not have been a surprise: a group is added, as
        Agresti and Min (2005), "Simple improved confidence intervals for comparing matched proportions", add pictures.
        """
        variances = self.variances_from(rival)
        differs = (self.added != self.added[:, [rival]]).any(axis=0) | (self.means != self.means[rival])
        return np.where(differs, variances + self.typical**2, 0.0)


def spread_of(scores: Floats, *, labels: Ints, groups: Ints, weight: Floats) -> Spread:
    """Return means and spread of (n, S) scores.

    Where classes weigh alike, as in balanced accuracy, a class's number of pictures is no chance: each score is
    compared with its class's mean. Else with the mean of all.

    Args:
        scores: (n, S) finite, weighted: `weight` where right, 0 where wrong.
        labels: (n,) classes.
        groups: (n,) integers; equal ones are copies.
        weight: (n,) what a right answer counts; the mean is over their sum.
    """
    total, num_rows = float(weight.sum()), len(scores)
    means = np.ascontiguousarray(scores.T).mean(axis=1) * (num_rows / total)  # each as if alone: equal ones stay equal
    if (weight == weight[0]).all():
        beyond = scores / total - means * (weight / total)[:, None]
    else:
        _, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        members = (place == np.arange(len(sizes))[:, None]).astype(np.float64)
        rates = scores / weight[:, None]
        own = (members @ rates + PRIOR_PICTURES * means) / (sizes + PRIOR_PICTURES)[:, None]
        raised = np.sqrt(sizes / np.maximum(sizes - 1, sizes / 2))
        beyond = (rates - own[place]) * (weight / total * raised[place])[:, None]
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    added = np.add.reduceat(beyond[order], starts, axis=0)
    if len(starts) > 1:
        added *= np.sqrt(len(starts) / (len(starts) - 1))
    return Spread(means, added, copies_factor(groups) / num_rows)
