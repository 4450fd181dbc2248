"""The result of the single reading of the test rows: the only source of test numbers in a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from thawline.core.counting import counted
from thawline.core.html import html_table, interval_bar, scale_of
from thawline.core.metrics import calibration_error_by_chance, expected_calibration_error
from thawline.core.scores import SCORES, Score, ScoreKind
from thawline.core.types import Floats, Ints

__all__ = ["ALL_LEAKED", "Calibration", "ClassScore", "Evaluation", "ReliabilityBin"]

NOTEBOOK_ROWS = 20
ALL_LEAKED = "All of them, or {} of each, were learnt from: this is no test."


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class.

    Attributes:
        name: Class name.
        precision: Share of its predictions that are right; 0 when it was never predicted.
        recall: Share of its pictures that are right; 0 when it has none.
        f1: Harmonic mean of the two.
        recall_low: Lower end of the 95 % Wilson interval of `recall`.
        recall_high: Upper end of it.
        support: Test pictures of the class.
        precision_low: Lower end of the 95 % Wilson interval of `precision`; 0 when it was never predicted.
        precision_high: Upper end of it; 1 when it was never predicted.
        f1_low: Lower end of the 95 % interval of `f1`.
        f1_high: Upper end of it.
        roc_auc: How often one of its pictures is more probable in it than one of another; None without either.
        average_precision: Mean over its pictures, by falling probability, of the precision so far; None as above.
    """

    name: str
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float
    support: int
    precision_low: float = 0.0
    precision_high: float = 1.0
    f1_low: float = 0.0
    f1_high: float = 1.0
    roc_auc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True)
class ReliabilityBin:
    """The pictures whose highest probability lies in one bin.

    Attributes:
        confidence: Mean of that probability, in [0, 1].
        accuracy: Share of them that are right; that of a calibrated model is about `confidence`.
        low: Lower end of the 95 % Wilson interval of `accuracy`.
        high: Upper end of it.
        num_pictures: At least one.
    """

    confidence: float
    accuracy: float
    low: float
    high: float
    num_pictures: int


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities and the share of right answers are apart; all in [0, 1].

    Attributes:
        mean_confidence: Mean probability of the predicted classes; a calibrated model has its accuracy here.
        calibration_error: The expected calibration error. With few pictures much of it is chance.
        calibration_error_by_chance: That of a calibrated model with the same probabilities.
    """

    mean_confidence: float
    calibration_error: float
    calibration_error_by_chance: float


@dataclass(frozen=True)
class Evaluation:
    """Scores on the test rows.

    Attributes:
        strategy: Name of the strategy evaluated.
        class_names: K names.
        scores: Every score of `SCORES` that applies, by name; the usual ones are properties too.
        per_class: K rows.
        confusion: (K, K) int64; rows are true classes, columns predicted ones.
        paths: N paths of the test pictures.
        labels: (N,) int64 true classes.
        probabilities: (N, K) float32, rows sum to 1.
        leaked: (N,) int64; 1 where a copy, or a picture of the same group, was used for choosing or training.
        num_groups: Groups that the intervals count, where the person named groups; else None.
        reliability: Pictures by how sure the model was, least first; bins without a picture are left out.
    """

    strategy: str
    class_names: tuple[str, ...]
    scores: Mapping[str, Score]
    per_class: tuple[ClassScore, ...]
    confusion: Ints
    paths: tuple[str, ...]
    labels: Ints
    probabilities: Floats
    leaked: Ints
    num_groups: int | None = None
    reliability: tuple[ReliabilityBin, ...] = ()

    @property
    def leaked_by(self) -> str:
        """What of a leaked picture was used for choosing or training, in words."""
        return "a copy" if self.num_groups is None else "a copy or their group"

    @property
    def is_all_leaked(self) -> bool:
        """Whether the model learnt from every picture, or from a copy of it: such a score is no test."""
        return bool(self.leaked.all())

    @property
    def num_images(self) -> int:
        """Test pictures evaluated."""
        return len(self.labels)

    @property
    def accuracy(self) -> Score:
        """Share of the pictures that are right."""
        return self.scores["accuracy"]

    @property
    def accuracy_without_leaks(self) -> Score | None:
        """The accuracy without leaked pictures; None where none or all of them are."""
        return self.scores.get("accuracy_without_leaks")

    @property
    def top5(self) -> Score | None:
        """Share of the pictures whose class is among the five most probable; None for five classes or fewer."""
        return self.scores.get("top5")

    @property
    def balanced_accuracy(self) -> Score:
        """Mean recall over the classes."""
        return self.scores["balanced_accuracy"]

    @property
    def macro_precision(self) -> Score:
        """Mean precision over the classes."""
        return self.scores["macro_precision"]

    @property
    def macro_recall(self) -> Score:
        """Mean recall over the classes."""
        return self.scores["macro_recall"]

    @property
    def macro_f1(self) -> Score:
        """Mean F1 over the classes."""
        return self.scores["macro_f1"]

    @property
    def listed_scores(self) -> tuple[tuple[ScoreKind, Score], ...]:
        """What to show of each score, with its value, in the order of `SCORES`; those that do not apply left out."""
        return tuple((kind, self.scores[kind.name]) for kind in SCORES if kind.name in self.scores)

    @cached_property
    def calibration(self) -> Calibration:
        """How far the probabilities can be trusted."""
        return Calibration(
            float(self.probabilities.max(axis=1).mean()),
            expected_calibration_error(self.labels, self.probabilities),
            calibration_error_by_chance(self.probabilities),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data without the rows: every score with its interval, None where it does not apply.

        Of the calibration error, which was here before it was a score of the list, the number alone.
        """
        return {
            "strategy": self.strategy,
            "class_names": list(self.class_names),
            **{kind.name: None for kind in SCORES},
            **{kind.name: asdict(score) for kind, score in self.listed_scores},
            "per_class": [asdict(row) for row in self.per_class],
            "confusion": self.confusion.tolist(),
            **asdict(self.calibration),
            "num_leaked": int(self.leaked.sum()),
            **({} if self.num_groups is None else {"num_groups": self.num_groups}),
        }

    def values_json(self) -> dict[str, Any]:
        """Return what `run.json` holds: one number a score, the ends of the accuracy's interval, and the calibration.

        Where no picture is leaked, the accuracy without leaks is the accuracy.
        """
        score, clean = self.accuracy, self.accuracy_without_leaks or self.accuracy
        return {
            **{kind.name: None for kind in SCORES},
            **{kind.name: score.value for kind, score in self.listed_scores},
            "low": score.low,
            "high": score.high,
            "n": score.n,
            "accuracy_without_leaks": clean.value,
            "n_without_leaks": clean.n,
            **asdict(self.calibration),
        }

    def __repr__(self) -> str:
        score = self.accuracy
        return f"<Evaluation {self.strategy}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {score.n:,}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the accuracy, and the weakest classes with the intervals of their recall."""
        present = sorted((row for row in self.per_class if row.support), key=lambda row: (row.recall, row.f1))
        shown, score = present[:NOTEBOOK_ROWS], self.accuracy
        scale = scale_of([row.recall_low for row in shown], [row.recall_high for row in shown])
        rows = [
            (
                row.name,
                f"{row.support:,}",
                f"{row.recall:.3f}",
                interval_bar(scale, row.recall, low=row.recall_low, high=row.recall_high),
                f"{row.precision:.3f}",
                f"{row.f1:.3f}",
            )
            for row in shown
        ]
        clean, copies = self.accuracy_without_leaks, self.leaked_by.replace("a copy", "copies")
        note = f"macro-F1 {self.macro_f1.value:.3f} [{self.macro_f1.low:.3f}, {self.macro_f1.high:.3f}]"
        note += f"; {clean.value:.3f} without {copies} in training, {counted(clean.n, 'pictures')}" if clean else ""
        note += f"; {ALL_LEAKED.format(self.leaked_by)}" if self.is_all_leaked else ""
        note += f"; the {len(shown)} weakest of {len(present)} classes are shown" if len(present) > len(shown) else ""
        return html_table(
            f"{self.strategy}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {score.n:,} pictures right",
            ("class", ">pictures", ">recall", "95 % interval", ">precision", ">F1"),
            rows=rows,
            note=note,
        )
