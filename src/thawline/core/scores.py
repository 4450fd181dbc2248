"""The one list of scores: true classes and predicted probabilities in, every score with its interval out.

Text, JSON, CSV, report and model card go through `SCORES`, so that adding a score is one entry here and its test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thawline.core.intervals import accuracy_interval
from thawline.core.metrics import BINS, SMALLEST_PROBABILITY, calibration_error_by_chance, gaps_by_bin, per_class
from thawline.core.score_input import Score, ScoreInput
from thawline.core.types import Floats

__all__ = ["SCORES", "Score", "ScoreInput", "ScoreKind", "compute_scores"]


@dataclass(frozen=True)
class ScoreKind:
    """One entry of the list.

    Attributes:
        name: Its key in JSON and its column in CSV.
        title: What people see.
        meaning: What it is, in a sentence.
        compute: Returns the score with its interval, or None where it does not apply.
        higher_is_better: Whether a better model scores higher.
        is_share: Whether it lies in [0, 1], so that it is told in per cent; else it is told as a number.
        is_brief: Whether the few lines of a terminal have it too.
    """

    name: str
    title: str
    meaning: str
    compute: Callable[[ScoreInput], Score | None]
    higher_is_better: bool = True
    is_share: bool = True
    is_brief: bool = True

    @property
    def explanation(self) -> str:
        """The meaning, and which way is better."""
        return f"{self.meaning} {'Higher' if self.higher_is_better else 'Lower'} is better."


def _accuracy(inputs: ScoreInput) -> Score:
    return inputs.share(inputs.top(1))


def _accuracy_without_leaks(inputs: ScoreInput) -> Score | None:
    clean = np.flatnonzero(inputs.leaked == 0)
    if len(clean) in (0, len(inputs.labels)):
        return None
    return inputs.share(inputs.top(1), of=clean)


def _top(k: int) -> Callable[[ScoreInput], Score | None]:
    """Return what counts the pictures whose true class is among the k most probable, of more than k classes."""

    def compute(inputs: ScoreInput) -> Score | None:
        has_more_classes = inputs.probabilities.shape[1] > k
        return inputs.share(inputs.top(k)) if has_more_classes else None

    return compute


def _weighted(inputs: ScoreInput, place: int) -> Score:
    """Return precision (place 0) or F1 (place 2) as the mean over the pictures of that of their class.

    A picture adds to the weight of its own class, and to hits and calls of the two classes that it has to do with.
    """
    confusion, labels, predicted = inputs.confusion, inputs.labels, inputs.predicted
    support, calls = confusion.sum(axis=1), confusion.sum(axis=0)
    of_class, weights = per_class(confusion)[place], support / len(labels)
    value, hits = float(weights @ of_class), (labels == predicted).astype(np.float64)
    if place == 0:
        added = weights[predicted] * (hits - of_class[predicted]) / np.maximum(calls, 1)[predicted]
    else:
        slopes = weights / np.maximum(support + calls, 1)
        added = slopes[labels] * (2 * hits - of_class[labels]) - slopes[predicted] * of_class[predicted]
    return inputs.mean_of(value, added + (of_class[labels] - value) / len(labels))


def _roc_auc(inputs: ScoreInput) -> Score | None:
    ranking = inputs.ranking
    if not ranking.is_asked.any():
        return None
    return inputs.class_mean(float(ranking.roc_auc[ranking.is_asked].mean()), ranking.roc_auc_added)


def _average_precision(inputs: ScoreInput) -> Score | None:
    ranking = inputs.ranking
    if not ranking.is_asked.any():
        return None
    return inputs.class_mean(float(ranking.average_precision[ranking.is_asked].mean()), ranking.average_precision_added)


def _loss(inputs: ScoreInput, losses: Floats, *, if_wrong: Floats, most: float) -> Score:
    """Return a mean loss with an interval that also holds what further mistakes may cost, where there were few or none.

    The ends reach at least as far as the interval of the share of mistakes does, times what a mistake costs: the mean
    of those that were made and of one more, as likely and as dear as the probabilities say that mistakes are.

    Args:
        inputs: What every score is computed from.
        losses: (N,) of the pictures.
        if_wrong: (N,) what a mistake would cost at each.
        most: The largest loss that is possible.
    """
    found, mistakes = inputs.mean(losses, most=most), 1 - inputs.top(1)
    doubts = np.maximum(1 - inputs.probabilities.max(axis=1).astype(np.float64), SMALLEST_PROBABILITY)
    one_more = float(np.average(if_wrong, weights=doubts))
    dear = (float(losses @ mistakes) + one_more) / (mistakes.sum() + 1)
    plain = float(losses @ (1 - mistakes)) / max(len(losses) - mistakes.sum(), 1)
    low, high = (plain + share * (dear - plain) for share in accuracy_interval(mistakes, inputs.groups))
    return Score(found.value, min(found.low, max(low, 0.0)), max(found.high, min(high, most)), found.n)


def _log_loss(inputs: ScoreInput) -> Score:
    doubts = 1 - inputs.probabilities.max(axis=1).astype(np.float64)
    if_wrong = -np.log(np.maximum(doubts, SMALLEST_PROBABILITY))
    return _loss(inputs, inputs.losses[0], if_wrong=if_wrong, most=-math.log(SMALLEST_PROBABILITY))


def _brier(inputs: ScoreInput) -> Score:
    sure = inputs.probabilities.max(axis=1).astype(np.float64)
    return _loss(inputs, inputs.losses[1], if_wrong=2 * sure**2, most=2.0)


def _calibration_error(inputs: ScoreInput) -> Score:
    """Return it with an interval from whose low end what chance alone gives is taken off."""
    index, confidence, right = gaps_by_bin(inputs.labels, inputs.probabilities)
    gaps = np.sign(np.bincount(index, right - confidence, minlength=BINS))
    found = inputs.mean(gaps[index] * (right - confidence))
    low = max(0.0, found.low - calibration_error_by_chance(inputs.probabilities))
    return Score(found.value, low, found.high, found.n)


SCORES = (
    ScoreKind("accuracy", "accuracy", "Share of the pictures whose most probable class is the true one.", _accuracy),
    ScoreKind(
        "accuracy_without_leaks",
        "accuracy without leaks",
        "The accuracy on the pictures of which no copy was used for choosing or training; where there are others.",
        _accuracy_without_leaks,
    ),
    ScoreKind(
        "top3",
        "top-3",
        "Share of the pictures whose true class is among the three most probable; of more than three classes.",
        _top(3),
        is_brief=False,
    ),
    ScoreKind(
        "top5",
        "top-5",
        "Share of the pictures whose true class is among the five most probable; of more than five classes.",
        _top(5),
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
    ScoreKind(
        "weighted_precision",
        "weighted precision",
        "The precision of each class, weighted by how many pictures it has.",
        lambda inputs: _weighted(inputs, 0),
        is_brief=False,
    ),
    ScoreKind(
        "weighted_f1",
        "weighted F1",
        "The F1 of each class, weighted by how many pictures it has.",
        lambda inputs: _weighted(inputs, 2),
        is_brief=False,
    ),
    ScoreKind(
        "roc_auc",
        "ROC-AUC",
        "How often a picture of a class is more probable in it than a picture of another class; mean over the classes.",
        _roc_auc,
        is_brief=False,
    ),
    ScoreKind(
        "average_precision",
        "average precision",
        "Mean over the classes, and over their pictures by falling probability, of how many of those before are right.",
        _average_precision,
        is_brief=False,
    ),
    ScoreKind(
        "log_loss",
        "log-loss",
        "Mean of minus the logarithm of the true class's probability: 0 is sure and right; sure mistakes weigh most.",
        _log_loss,
        higher_is_better=False,
        is_share=False,
        is_brief=False,
    ),
    ScoreKind(
        "brier",
        "Brier score",
        "Mean squared distance of all probabilities from the truth: 0 is sure and right, 2 is sure and wrong.",
        _brier,
        higher_is_better=False,
        is_share=False,
        is_brief=False,
    ),
    ScoreKind(
        "calibration_error",
        "calibration error",
        "How far the highest probability and the share of right answers lie apart, in 15 bins of that probability. "
        "With few pictures much of it is chance, which the low end of its interval leaves out.",
        _calibration_error,
        higher_is_better=False,
        is_brief=False,
    ),
)


def compute_scores(inputs: ScoreInput) -> dict[str, Score]:
    """Return every score that applies, by name, in the order of the list."""
    computed = {kind.name: kind.compute(inputs) for kind in SCORES}
    return {name: score for name, score in computed.items() if score is not None}
