"""Held-out answers and a promised error rate -> how many pictures a model answers, how many of them rightly.

One idea: a model that may say "not sure" is right more often on what it still answers; the curve shows the exchange at
every threshold, and one threshold is chosen that keeps a promise. Conformal sets are the other way to be honest: so
many classes that the true one is among them nine times in ten.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from thawline.core.intervals import accuracy_interval
from thawline.core.types import Bools, Floats, Ints
from thawline.heads.abstention import CONFIDENCE, first_of_groups
from thawline.vet.answered import Answered

__all__ = [
    "Abstaining",
    "CoveragePoint",
    "Kept",
    "Sets",
    "abstaining",
    "class_sets",
    "conformal_sets",
    "coverage_curve",
]

MOST_POINTS = 100
LEVEL = 0.9
"""Probability with which a conformal set holds the true class."""
FEWEST_CALIBRATED, MOST_CALIBRATED = 20, 5000
"""Independent pictures that set the size of conformal sets."""
LONGEST_SET = 10


@dataclass(frozen=True)
class CoveragePoint:
    """What comes of answering the surest pictures alone.

    Attributes:
        coverage: Share of the pictures that are answered, in (0, 1].
        min_probability: The least probability at which a picture is answered.
        accuracy: Share of the answered that are right.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: Pictures that are answered.
    """

    coverage: float
    min_probability: float
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Kept:
    """What a threshold does on some pictures: "answers 92 % of the pictures, 99 % of them right".

    Attributes:
        num_pictures: That it was asked about.
        num_answered: That it answers.
        answered: Their share.
        answered_low: Lower end of its 95 % interval.
        answered_high: Upper end.
        right: Share of the answered that are right; None where none is answered.
        right_low: Lower end of its 95 % interval.
        right_high: Upper end.
    """

    num_pictures: int
    num_answered: int
    answered: float
    answered_low: float
    answered_high: float
    right: float | None
    right_low: float
    right_high: float


@dataclass(frozen=True)
class Sets:
    """Sets of classes that hold the true one with a stated probability.

    Attributes:
        level: That probability, such as 0.9.
        coverage: Share of the checked pictures whose true class was in their set.
        low: Lower end of its 95 % interval.
        high: Upper end.
        mean_size: Classes in a set, on average.
        sizes: How many sets have 0, 1, 2 and more classes, by place.
        checked_on: `test`, or `half of the held-out pictures` where there is no test.
        num_checked: Pictures that they were checked on.
        num_calibration: Independent pictures that set their size.
    """

    level: float
    coverage: float
    low: float
    high: float
    mean_size: float
    sizes: tuple[int, ...]
    checked_on: str
    num_checked: int
    num_calibration: int


@dataclass(frozen=True)
class Abstaining:
    """What a model answers where it may say "not sure", and "none of these" to what looks strange.

    Attributes:
        error_rate: Promised share of wrong answers among the answered; None where no promise was asked for or possible.
        confidence: With which the promise is kept, such as 0.95.
        min_probability: The least probability of an answer that keeps it; None where nothing is promised, and all
            pictures are answered but those that look like none of the classes.
        out_of_fold: What comes of it on pictures that were held out of training, which set the threshold.
        test: The same on the test pictures, which had no part in it; None where there are none.
        curve: At most 100 points, from the surest pictures to all; of the test where there is one, else out of fold.
        curve_on: `test` or `out of fold`.
        sets: Conformal sets; None where there are too few pictures.
        note: What a person should know, such as why nothing is promised; empty where there is nothing.
    """

    error_rate: float | None
    confidence: float
    min_probability: float | None
    out_of_fold: Kept
    test: Kept | None
    curve: tuple[CoveragePoint, ...]
    curve_on: str
    sets: Sets | None
    note: str = ""


def abstaining(
    answered: Answered,
    *,
    is_outside: Bools,
    error_rate: float | None,
    min_probability: float | None,
    note: str = "",
) -> Abstaining:
    """Return what a model answers where it may abstain, out of fold and on the test.

    Args:
        answered: Held-out answers.
        is_outside: (N,) whether the model says "none of these" to each of them.
        error_rate: What is promised, if anything.
        min_probability: The threshold that keeps it; None: only strange pictures are left unanswered.
        note: What a person should know.
    """
    is_test: Bools = answered.is_test.astype(np.bool_)
    is_kept = ~is_outside & (answered.confidence >= (min_probability or 0.0))
    out_of_fold, test = (_kept(answered, part, is_kept) if part.any() else None for part in (~is_test, is_test))
    whole = out_of_fold or test
    if whole is None:
        raise ValueError("abstaining: no picture was held out; at least one is needed.")
    shown = is_test if is_test.any() else ~is_test
    return Abstaining(
        error_rate=error_rate,
        confidence=CONFIDENCE,
        min_probability=min_probability,
        out_of_fold=whole,
        test=test,
        curve=coverage_curve(answered, shown, is_outside=is_outside),
        curve_on="test" if is_test.any() else "out of fold",
        sets=class_sets(answered),
        note=note,
    )


def _kept(answered: Answered, part: Bools, is_kept: Bools) -> Kept:
    """Return what is answered of some pictures, and how much of it rightly."""
    kept = part & is_kept
    groups = answered.groups
    low, high = accuracy_interval(is_kept[part].astype(np.float64), groups[part])
    right: float | None = None
    right_low, right_high = 0.0, 1.0
    if kept.any():
        right = float(answered.is_right[kept].mean())
        right_low, right_high = accuracy_interval(answered.is_right[kept].astype(np.float64), groups[kept])
    return Kept(
        num_pictures=int(part.sum()),
        num_answered=int(kept.sum()),
        answered=float(is_kept[part].mean()),
        answered_low=low,
        answered_high=high,
        right=right,
        right_low=right_low,
        right_high=right_high,
    )


def coverage_curve(answered: Answered, part: Bools, *, is_outside: Bools) -> tuple[CoveragePoint, ...]:
    """Return how right the surest answers are, for at most 100 thresholds, from the highest to the lowest.

    Pictures of equal probability are answered together or not at all; those that look strange, never.

    Args:
        answered: Held-out answers.
        part: (N,) bool; the pictures that count.
        is_outside: (N,) bool; those that are never answered.
    """
    rows = np.flatnonzero(part & ~is_outside)
    if not len(rows):
        return ()
    order = rows[np.argsort(-answered.confidence[rows], kind="stable")]
    confidence = answered.confidence[order]
    ends = np.flatnonzero(np.append(confidence[1:] < confidence[:-1], True)) + 1
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, MOST_POINTS).round().astype(np.int64))]
    points = []
    for count in chosen.tolist():
        surest = order[:count]
        right = answered.is_right[surest].astype(np.float64)
        low, high = accuracy_interval(right, answered.groups[surest])
        share = count / int(part.sum())
        points.append(CoveragePoint(share, float(confidence[count - 1]), float(right.mean()), low, high, count))
    return tuple(points)


def class_sets(answered: Answered, *, level: float = LEVEL) -> Sets | None:
    """Return sets of classes that hold the true one with a probability of `level`, and how often they do.

    They are set by pictures out of fold and checked on the test; without one, set by half of the groups and checked on
    the others. Copies count once in setting them. Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers
    with bounded error levels", JASA 2019, as MAPIE has it. None where there are too few pictures.

    Args:
        answered: Held-out answers.
        level: In (0, 1).
    """
    is_test, checked_on = answered.is_test, "test"
    if not is_test.any() or is_test.all():
        _, place = np.unique(answered.groups, return_inverse=True)
        is_test = np.random.default_rng(0).permutation(place.max() + 1)[place] % 2 == 1
        checked_on = "half of the held-out pictures"
    inside, checked = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    calibrated = inside[first_of_groups(answered.groups[inside])]
    if len(calibrated) < FEWEST_CALIBRATED or not len(checked):
        return None
    rng = np.random.default_rng(0)
    calibrated, checked = (_at_most(rows, rng) for rows in (calibrated, checked))
    shares, labels = answered.probabilities, answered.labels
    sets = conformal_sets(shares[calibrated], labels[calibrated], asked=shares[checked], level=level)
    holds = sets[np.arange(len(checked)), labels[checked]].astype(np.float64)
    low, high = accuracy_interval(holds, answered.groups[checked])
    sizes = np.minimum(sets.sum(axis=1), LONGEST_SET)
    return Sets(
        level=level,
        coverage=float(holds.mean()),
        low=low,
        high=high,
        mean_size=float(sets.sum(axis=1).mean()),
        sizes=tuple(np.bincount(sizes, minlength=min(sets.shape[1], LONGEST_SET) + 1).tolist()),
        checked_on=checked_on,
        num_checked=len(checked),
        num_calibration=len(calibrated),
    )


def _at_most(rows: Ints, rng: np.random.Generator) -> Ints:
    return rows if len(rows) <= MOST_CALIBRATED else np.sort(rng.choice(rows, MOST_CALIBRATED, replace=False))


class _Known:
    """What MAPIE takes for a fitted estimator: it is given probabilities and returns them."""

    def __init__(self, num_classes: int) -> None:
        self.classes_ = np.arange(num_classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, x: Floats, y: Ints) -> _Known:
        return self

    def predict(self, x: Floats) -> Ints:
        most_probable: Ints = x.argmax(axis=1)
        return most_probable

    def predict_proba(self, x: Floats) -> Floats:
        return x


def conformal_sets(calibrated: Floats, labels: Ints, *, asked: Floats, level: float) -> Bools:
    """Return (m, K) bool: which classes are in the set of each of m pictures.

    Args:
        calibrated: (n, K) probabilities of independent held-out pictures, rows summing to 1.
        labels: (n,) their classes.
        asked: (m, K) probabilities of the pictures that are asked about.
        level: Probability with which a set holds the true class.
    """
    from mapie.classification import SplitConformalClassifier

    def whole(shares: Floats) -> Floats:
        exact = shares.astype(np.float64)
        summed: Floats = exact / exact.sum(axis=1, keepdims=True)
        return summed

    estimator: Any = _Known(calibrated.shape[1])
    conformal = SplitConformalClassifier(estimator, confidence_level=level, conformity_score="lac", prefit=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has no picture in the calibration
        conformal.conformalize(whole(calibrated), labels)
        _, sets = conformal.predict_set(whole(asked))
    found: Bools = sets[:, :, 0].astype(np.bool_)
    return found
