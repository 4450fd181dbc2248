"""Pure scores: (labels, predictions or probabilities) -> numbers; `core.intervals` says how far to trust them."""

from __future__ import annotations

import numpy as np

from thawline.core.types import Floats, Ints

__all__ = [
    "BINS",
    "SMALLEST_PROBABILITY",
    "balanced_accuracy",
    "calibration_error_by_chance",
    "class_means",
    "confusion_matrix",
    "expected_calibration_error",
    "gaps_by_bin",
    "macro_f1",
    "own_losses",
    "per_class",
    "places_of_truth",
    "require_equal_lengths",
    "within_top_k",
]

BINS = 15
"""Of the highest probability, for the calibration error and the reliability diagram."""
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


def require_equal_lengths(**arrays: Floats | Ints) -> None:
    """Refuse arrays that have not one entry a picture, or no picture at all; all functions of scores do so."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        found = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise ValueError(f"metrics: {found}; they must have one entry a picture, for at least one picture.")


def places_of_truth(labels: Ints, probabilities: Floats) -> Ints:
    """Return (N,) how many classes come before the true one: 0 where it is the most probable.

    Of equally probable classes the one with the lower index comes first, as in `argmax`, so that the share of 0 is the
    accuracy and a model that says the same of every class gains nothing.

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K) probabilities, or any scores in which more is likelier.

    Raises:
        ValueError: The lengths differ, or there is no picture. So in every function of this module.
    """
    require_equal_lengths(labels=labels, probabilities=probabilities)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = (probabilities == own) & (np.arange(probabilities.shape[1]) < labels[:, None])
    places: Ints = ((probabilities > own) | before).sum(axis=1)
    return places


def within_top_k(labels: Ints, probabilities: Floats, *, k: int) -> Floats:
    """Return (N,) 1.0 where the true class is among the k most probable, by `places_of_truth`, else 0.0.

    Args:
        labels: As there.
        probabilities: As there.
        k: At least 1.
    """
    if k < 1:
        raise ValueError(f"within_top_k: k is {k}; it must be at least 1.")
    within: Floats = (places_of_truth(labels, probabilities) < k).astype(np.float64)
    return within


def confusion_matrix(labels: Ints, predicted: Ints, *, num_classes: int) -> Ints:
    """Return how often each class was taken for each: (K, K) int64, rows true, columns predicted.

    Args:
        labels: (N,) true class indices in [0, K).
        predicted: (N,) predicted class indices in [0, K).
        num_classes: K; classes without a picture keep a row and a column of zeros.
    """
    require_equal_lengths(labels=labels, predicted=predicted)
    low, high = min(labels.min(), predicted.min()), max(labels.max(), predicted.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"confusion_matrix: classes {low} to {high} found, 0 to {num_classes - 1} required.")
    cells = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def per_class(confusion: Ints) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of every class: three (K,) float64 in [0, 1], 0 where undefined.

    Args:
        confusion: (K, K) counts, rows true, columns predicted.
    """
    hits = np.diagonal(confusion).astype(np.float64)
    support, calls = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = hits / np.maximum(calls, 1)
    recall = hits / np.maximum(support, 1)
    return precision, recall, 2 * hits / np.maximum(support + calls, 1)


def class_means(confusion: Ints) -> Floats:
    """Return (3,) precision, recall and F1, each in [0, 1], as means over the classes that have pictures.

    A class that is never predicted has 0 of each.

    Args:
        confusion: (K, K) counts, rows true, columns predicted, not all zero.
    """
    present = confusion.sum(axis=1) > 0
    if not present.any():
        raise ValueError("metrics: the confusion matrix counts no picture; at least one is required.")
    return np.array([scores[present].mean() for scores in per_class(confusion)])


def balanced_accuracy(confusion: Ints) -> float:
    """Return the mean recall over the classes that have pictures, in [0, 1].

    Brodersen, Ong, Stephan and Buhmann (2010), "The balanced accuracy and its posterior distribution".

    Args:
        confusion: As in `class_means`.

    >>> balanced_accuracy(np.array([[8, 0], [1, 1]]))
    0.75
    """
    return float(class_means(confusion)[1])


def macro_f1(confusion: Ints) -> float:
    """Return the mean F1 over the classes that have pictures, in [0, 1].

    Args:
        confusion: As in `class_means`.
    """
    return float(class_means(confusion)[2])


def own_losses(labels: Ints, probabilities: Floats) -> tuple[Floats, Floats]:
    """Return (N,) log-losses in nats and (N,) Brier scores in [0, 2] of the pictures, one by one.

    The log-loss is that of the true class's probability, which counts as at least `SMALLEST_PROBABILITY`: float32 can
    tell no smaller one from 0 next to 1. The Brier score is the sum over all classes of the squared distance between
    the probability and what is true: Brier (1950), "Verification of forecasts expressed in terms of probability".

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K) in [0, 1], rows sum to 1.
    """
    require_equal_lengths(labels=labels, probabilities=probabilities)
    true = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0].astype(np.float64)
    squares = np.einsum("nk,nk->n", probabilities, probabilities, dtype=np.float64)
    brier = np.clip(squares - 2 * true + 1, 0, 2)
    return -np.log(np.clip(true, SMALLEST_PROBABILITY, 1)), brier


def expected_calibration_error(labels: Ints, probabilities: Floats, *, bins: int = BINS) -> float:
    """Return how far confidence and accuracy lie apart on average, in [0, 1]; 0 is calibrated.

    Equal-width bins of the highest probability, closed on the right, each weighted by its pictures: Guo, Pleiss, Sun
    and Weinberger (2017), "On calibration of modern neural networks".

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K) in [0, 1], rows sum to 1.
        bins: Number of bins over [0, 1].
    """
    index, confidence, right = gaps_by_bin(labels, probabilities, bins=bins)
    return _calibration_error(confidence, index, right)


def calibration_error_by_chance(
    probabilities: Floats, *, bins: int = BINS, num_draws: int = 200, seed: int = 0
) -> float:
    """Return the mean calibration error that a calibrated model with these probabilities would show by chance.

    Fewer pictures make it larger: an error is worth a thought only where it is well above. Answers are drawn as right
    with the probability that they state: Vaicenavicius et al. (2019), "Evaluating model calibration in classification",
    consistency resampling.

    Args:
        probabilities: (N, K) in [0, 1], rows sum to 1.
        bins: As in `expected_calibration_error`.
        num_draws: Draws of N right or wrong answers.
        seed: Equal seeds give equal numbers.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    index, rng = _bins(confidence, bins), np.random.default_rng(seed)
    draws = (rng.random(len(confidence)) < confidence for _ in range(num_draws))
    return float(np.mean([_calibration_error(confidence, index, right.astype(np.float64)) for right in draws]))


def gaps_by_bin(labels: Ints, probabilities: Floats, *, bins: int = BINS) -> tuple[Ints, Floats, Floats]:
    """Return (N,) the bin of every picture, (N,) its highest probability, and (N,) 1.0 where it is right, else 0.0.

    Args:
        labels: As in `expected_calibration_error`.
        probabilities: As there.
        bins: As there.
    """
    require_equal_lengths(labels=labels, probabilities=probabilities)
    confidence = probabilities.max(axis=1).astype(np.float64)
    return _bins(confidence, bins), confidence, (probabilities.argmax(axis=1) == labels).astype(np.float64)


def _bins(confidence: Floats, bins: int) -> Ints:
    """Return the bin of every confidence: equal widths over [0, 1], closed on the right."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _calibration_error(confidence: Floats, index: Ints, right: Floats) -> float:
    gaps = np.bincount(index, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))
