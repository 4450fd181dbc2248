"""Pure scores: (labels, predictions or probabilities) -> numbers; `core.intervals` says how far to trust them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats, Ints

__all__ = [
    "balanced_accuracy",
    "calibration_error_by_chance",
    "class_means",
    "confusion_matrix",
    "expected_calibration_error",
    "macro_f1",
    "per_class",
    "require_equal_lengths",
    "within_top_k",
]


def require_equal_lengths(**arrays: Floats | Ints) -> None:
    """Refuse arrays that have not one entry a picture, or no picture at all; all functions of scores do so."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        found = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise ValueError(f"metrics: {found}; they must have one entry a picture, for at least one picture.")


def within_top_k(labels: Ints, probabilities: Floats, *, k: int) -> Floats:
    """Return (N,) 1.0 where the true class is among the k most probable, else 0.0.

    Of equally probable classes the one with the lower index comes first, as in `argmax`, so that the mean for k = 1 is
    the accuracy and a model that says the same of every class gains nothing.

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K) probabilities, or any scores in which more is likelier.
        k: At least 1.

    Raises:
        ValueError: The lengths differ, or there is no picture. So in every function of this module.
    """
    require_equal_lengths(labels=labels, probabilities=probabilities)
    if k < 1:
        raise ValueError(f"within_top_k: k is {k}; it must be at least 1.")
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = (probabilities == own) & (np.arange(probabilities.shape[1]) < labels[:, None])
    within: Floats = (((probabilities > own) | before).sum(axis=1) < k).astype(np.float64)
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


def expected_calibration_error(labels: Ints, probabilities: Floats, *, bins: int = 15) -> float:
    """Return how far confidence and accuracy lie apart on average, in [0, 1]; 0 is calibrated.

    Equal-width bins of the highest probability, closed on the right, each weighted by its pictures: Guo, Pleiss, Sun
    and Weinberger (2017), "On calibration of modern neural networks".

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K) in [0, 1], rows sum to 1.
        bins: Number of bins over [0, 1].
    """
    require_equal_lengths(labels=labels, probabilities=probabilities)
    confidence = probabilities.max(axis=1).astype(np.float64)
    return _calibration_error(confidence, _bins(confidence, bins), probabilities.argmax(axis=1) == labels)


def calibration_error_by_chance(probabilities: Floats, *, bins: int = 15, num_draws: int = 200, seed: int = 0) -> float:
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
    drawn = [_calibration_error(confidence, index, rng.random(len(confidence)) < confidence) for _ in range(num_draws)]
    return float(np.mean(drawn))


def _bins(confidence: Floats, bins: int) -> Ints:
    """Return the bin of every confidence: equal widths over [0, 1], closed on the right."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _calibration_error(confidence: Floats, index: Ints, right: npt.NDArray[np.bool_]) -> float:
    gaps = np.bincount(index, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))
