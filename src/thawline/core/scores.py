"""The one list of scores: true classes and predicted probabilities in, every score with its interval out.

Text, JSON, CSV, report and model card go through `SCORES`, so that adding a score is one entry here and its test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thawline.core.intervals import accuracy_interval, class_mean_intervals
from thawline.core.metrics import confusion_matrix, within_top_k
from thawline.core.types import Floats, Ints

__all__ = ["SCORES", "Score", "ScoreInput", "ScoreKind", "compute_scores"]


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval.

    Attributes:
        value: In [0, 1].
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

    def share(self, hits: Floats, *, of: Ints | None = None) -> Score:
        """Return the share of hits with its Wilson interval.

        Args:
            hits: (N,) 1.0 or 0.0 for every picture.
            of: Indices of the pictures that count; all of them where None.
        """
        rows = np.arange(len(hits)) if of is None else of
        return Score(float(hits[rows].mean()), *accuracy_interval(hits[rows], self.groups[rows]), len(rows))


@dataclass(frozen=True)
class ScoreKind:
    """One entry of the list.

    Attributes:
        name: Its key in JSON and its column in CSV.
        title: What people see.
        meaning: What it is, in a sentence.
        compute: Returns the score with its interval, or None where it does not apply.
        higher_is_better: Whether a better model scores higher.
    """

    name: str
    title: str
    meaning: str
    compute: Callable[[ScoreInput], Score | None]
    higher_is_better: bool = True

    @property
    def explanation(self) -> str:
        """The meaning, and which way is better."""
        return f"{self.meaning} {'Higher' if self.higher_is_better else 'Lower'} is better."


def _accuracy(inputs: ScoreInput) -> Score:
    return inputs.share(within_top_k(inputs.labels, inputs.probabilities, k=1))


def _accuracy_without_leaks(inputs: ScoreInput) -> Score | None:
    clean = np.flatnonzero(inputs.leaked == 0)
    if len(clean) in (0, len(inputs.labels)):
        return None
    return inputs.share(within_top_k(inputs.labels, inputs.probabilities, k=1), of=clean)


def _top5(inputs: ScoreInput) -> Score | None:
    has_more_classes = inputs.probabilities.shape[1] > 5
    return inputs.share(within_top_k(inputs.labels, inputs.probabilities, k=5)) if has_more_classes else None


SCORES = (
    ScoreKind("accuracy", "accuracy", "Share of the pictures whose most probable class is the true one.", _accuracy),
    ScoreKind(
        "accuracy_without_leaks",
        "accuracy without leaks",
        "The accuracy on the pictures of which no copy was used for choosing or training; where there are others.",
        _accuracy_without_leaks,
    ),
    ScoreKind(
        "top5",
        "top-5",
        "Share of the pictures whose true class is among the five most probable; of more than five classes.",
        _top5,
    ),
    ScoreKind(
        "balanced_accuracy",
        "balanced accuracy",
        "Mean over the classes of the share of their pictures that are right: every class weighs the same.",
        lambda inputs: inputs.class_means[1],
    ),
    ScoreKind(
        "macro_precision",
        "macro-precision",
        "Mean over the classes of the share of their predictions that are right.",
        lambda inputs: inputs.class_means[0],
    ),
    ScoreKind(
        "macro_recall",
        "macro-recall",
        "Mean over the classes of the share of their pictures that are right: the balanced accuracy by another name.",
        lambda inputs: inputs.class_means[1],
    ),
    ScoreKind(
        "macro_f1",
        "macro-F1",
        "Mean over the classes of the harmonic mean of their precision and recall.",
        lambda inputs: inputs.class_means[2],
    ),
)


def compute_scores(inputs: ScoreInput) -> dict[str, Score]:
    """Return every score that applies, by name, in the order of the list."""
    computed = {kind.name: kind.compute(inputs) for kind in SCORES}
    return {name: score for name, score in computed.items() if score is not None}
