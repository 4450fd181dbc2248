"""The result of the single reading of the test rows: the only source of test numbers in a report."""

from __future__ import annotations

from dataclasses import dataclass

from thawline.core.types import Floats, Ints

__all__ = ["ClassScore", "Evaluation", "Score"]


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
class ClassScore:
    """How one class fared.

    Attributes:
        name: Class name.
        precision: Share of its predictions that are right; 0 when it was never predicted.
        recall: Share of its pictures that were found; 0 when it has none.
        f1: Harmonic mean of the two.
        recall_low: Lower end of the 95 % Wilson interval of `recall`.
        recall_high: Upper end of it.
        support: Test pictures of the class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Scores on the test rows.

    Attributes:
        strategy: Name of the strategy evaluated.
        class_names: K names.
        accuracy: Top-1 with its Wilson interval.
        accuracy_without_leaks: The same without test pictures that have a copy among those used for choosing and
            training; None when there is no such picture.
        top5: Top-5 with its Wilson interval where K > 5, else None.
        balanced_accuracy: Mean recall over the classes, with a bootstrap interval.
        macro_precision: Mean precision over the classes.
        macro_recall: Mean recall over the classes.
        macro_f1: Mean F1 over the classes, with a bootstrap interval.
        per_class: K rows.
        confusion: (K, K) int64; rows are true classes, columns predicted ones.
        paths: N paths of the test pictures.
        labels: (N,) int64 true classes.
        probabilities: (N, K) float32, rows sum to 1.
        leaked: (N,) bool as int64; 1 where a copy was used for training.
    """

    strategy: str
    class_names: tuple[str, ...]
    accuracy: Score
    accuracy_without_leaks: Score | None
    top5: Score | None
    balanced_accuracy: Score
    macro_precision: float
    macro_recall: float
    macro_f1: Score
    per_class: tuple[ClassScore, ...]
    confusion: Ints
    paths: tuple[str, ...]
    labels: Ints
    probabilities: Floats
    leaked: Ints

    @property
    def num_images(self) -> int:
        """Test pictures evaluated."""
        return len(self.labels)
