"""Shares of different pictures, each with its interval -> one share that takes all of them in; and whether they differ.

One idea: an interval says how many independent pictures a share is worth. That number weighs it against another share,
whatever both were measured by.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from thawline.core.intervals import wilson
from thawline.core.scores import Score

__all__ = ["differ_by_chance", "num_worth", "pooled"]

_STEPS = 60


def num_worth(score: Score) -> float:
    """Return how many independent pictures have a Wilson interval as wide as the score's; `score.n` at most.

    Found by bisection: at a given share the interval shrinks as the number grows.
    """
    width, few, many = score.high - score.low, 1e-3, float(score.n)
    if width <= _width(score.value, many):
        return many
    for _ in range(_STEPS):
        middle = (few * many) ** 0.5
        few, many = (few, middle) if _width(score.value, middle) < width else (middle, many)
    return many


def pooled(scores: Sequence[Score]) -> Score:
    """Return the mean of shares weighed by what each is worth, with its 95 % Wilson interval.

    Args:
        scores: One or more, of different pictures.
    """
    worth = [num_worth(score) for score in scores]
    total = sum(worth)
    value = sum(score.value * number for score, number in zip(scores, worth, strict=True)) / total
    value = min(1.0, max(0.0, value))
    low, high = wilson(min(total, value * total), total)
    return Score(value, min(low, value), max(high, value), sum(score.n for score in scores))


def differ_by_chance(one: Score, other: Score) -> float:
    """Return the two-sided p-value that two shares of different pictures differ by chance.

    The score test of two proportions, with the numbers that the shares are worth; 1 where both are 0 or both are 1.
    """
    worth = num_worth(one), num_worth(other)
    common = (one.value * worth[0] + other.value * worth[1]) / sum(worth)
    variance = common * (1 - common) * (1 / worth[0] + 1 / worth[1])
    if variance <= 0:
        return 1.0
    return 2 * NormalDist().cdf(-abs(one.value - other.value) / variance**0.5)


def _width(value: float, number: float) -> float:
    low, high = wilson(value * number, number)
    return high - low
