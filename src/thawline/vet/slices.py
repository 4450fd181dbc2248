"""Answers of a model and facts of the pictures -> parts of the set on which it is significantly less often right.

One idea: a part is compared with what its mix of classes would give, so that a hard class is not taken for a bad light.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Slice", "Slices"]


@dataclass(frozen=True)
class Slice:
    """A part of the pictures on which the model is less often right than on the others.

    Attributes:
        fact: What they share: `size`, `aspect`, `brightness`, `contrast`, `colour`, `blur`, `format`, `folder` or
            `group`.
        name: Which part it is: `the 61 smallest pictures (under 180 px)`.
        words: The finding in a sentence.
        num_pictures: How many pictures are in it.
        num_wrong: How many of them were answered wrongly.
        accuracy: Share of them that was answered rightly, in [0, 1].
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        others: Share of all other pictures that was answered rightly, in [0, 1].
        expected: What its mix of classes would give: each class as often right as outside of the part, in [0, 1].
        is_class_mix: Whether its classes alone explain it: they are hard outside of the part as well.
        p_value: That it is less often right by chance, one-sided, before the correction over all parts.
        wrong: Paths of pictures in it that were answered wrongly, surest first; at most twelve.
    """

    fact: str
    name: str
    words: str
    num_pictures: int
    num_wrong: int
    accuracy: float
    low: float
    high: float
    others: float
    expected: float
    is_class_mix: bool
    p_value: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Slices:
    """The parts that were tried, and those on which the model is less often right.

    Attributes:
        num_tried: Parts that were tried; the false-discovery rate is held over all of them.
        found: Those that were found, the most wrong answers too many first; at most ten.
    """

    num_tried: int
    found: tuple[Slice, ...]
