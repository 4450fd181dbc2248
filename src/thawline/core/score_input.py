"""True classes, probabilities, groups and leaks -> what every score is computed from, and a score with its interval.

One idea: what several scores need is worked out once, when the first of them asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thawline.core.intervals import accuracy_interval, class_mean_intervals, influence_interval, mean_interval
from thawline.core.metrics import confusion_matrix, own_losses, places_of_truth
from thawline.core.ranking import Ranking, rank_classes
from thawline.core.types import Floats, Ints

__all__ = ["Score", "ScoreInput"]


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval.

    Attributes:
        value: In [0, 1] where its kind is a share, else at least 0.
        low: Lower end.
        high: Upper end.
        n: Pictures it is taken over.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ScoreInput:
    """What every score is computed from: N pictures, at least one, and what a model says of them.

    Attributes:
        labels: (N,) int64 true classes.
        probabilities: (N, K), rows summing to 1.
        groups: (N,) groups of copies; a group counts as one picture in the intervals.
        leaked: (N,) 1 where a copy was used for choosing or training.
    """

    labels: Ints
    probabilities: Floats
    groups: Ints
    leaked: Ints

    @cached_property
    def predicted(self) -> Ints:
        """(N,) most probable classes; of equally probable ones the first."""
        most_probable: Ints = self.probabilities.argmax(axis=1)
        return most_probable

    @cached_property
    def confusion(self) -> Ints:
        """(K, K) int64 counts; rows are true classes, columns predicted ones."""
        return confusion_matrix(self.labels, self.predicted, num_classes=self.probabilities.shape[1])

    @cached_property
    def class_means(self) -> tuple[Score, ...]:
        """Precision, recall and F1, each as the mean over the classes that have pictures."""
        num_classes = self.probabilities.shape[1]
        found = class_mean_intervals(self.labels, self.predicted, groups=self.groups, num_classes=num_classes)
        rows = zip(*(numbers.tolist() for numbers in found), strict=True)
        return tuple(Score(value, low, high, len(self.labels)) for value, low, high in rows)

    @cached_property
    def places(self) -> Ints:
        """(N,) how many classes come before the true one."""
        return places_of_truth(self.labels, self.probabilities)

    def top(self, k: int) -> Floats:
        """Return (N,) 1.0 where the true class is among the k most probable, else 0.0."""
        within: Floats = (self.places < k).astype(np.float64)
        return within

    @cached_property
    def ranking(self) -> Ranking:
        """How well each class is told from the rest."""
        return rank_classes(self.labels, self.probabilities)

    @cached_property
    def losses(self) -> tuple[Floats, Floats]:
        """(N,) log-losses and (N,) Brier scores."""
        return own_losses(self.labels, self.probabilities)

    def mean(self, values: Floats, *, most: float = 1.0) -> Score:
        """Return the mean of (N,) numbers in [0, most] with its interval."""
        return Score(float(values.mean()), *mean_interval(values, self.groups, most=most), len(values))

    def mean_of(self, value: float, added: Floats) -> Score:
        """Return a score in [0, 1] with its interval, by the (N,) numbers, summing to 0, that each picture adds."""
        return Score(value, *mean_interval(value + len(added) * added, self.groups), len(added))

    def class_mean(self, value: float, added: Floats) -> Score:
        """Return a mean over the classes with its interval, by the (N,) numbers that each picture adds to it."""
        ends = influence_interval(value, added, labels=self.labels, groups=self.groups)
        return Score(value, *ends, len(self.labels))

    def share(self, hits: Floats, *, of: Ints | None = None) -> Score:
        """Return the share of hits with its Wilson interval.

        Args:
            hits: (N,) 1.0 or 0.0 for every picture.
            of: Indices of the pictures that count; all of them where None.
        """
        rows = np.arange(len(hits)) if of is None else of
        return Score(float(hits[rows].mean()), *accuracy_interval(hits[rows], self.groups[rows]), len(rows))
