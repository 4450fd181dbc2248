"""Held-out answers and a promised error rate -> how many pictures a model answers, how many of them rightly.

One idea: a model that may say "not sure" is right more often on what it still answers; the curve shows the exchange at
every threshold, and one threshold is chosen that keeps a promise. Conformal sets are the other way to be honest: so
many classes that the true one is among them nine times in ten.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Abstaining", "CoveragePoint", "Kept", "Sets"]


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
