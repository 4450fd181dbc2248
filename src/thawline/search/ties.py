"""The rule of ties: the two numbers that make it, the rule itself, and the words in which people read it.

A strategy is tied with the leader where a paired test does not tell the two apart and the paired interval rules out a
loss of more than a margin: with few pictures the test alone would call almost anything a tie. Why these numbers:
`docs/decisions/0005-what-a-tie-is.md`. Texts and pages take the words from here, so that they change with the numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats

__all__ = ["MARGIN", "MARGIN_WORDS", "SIGNIFICANCE", "TEST_WORDS", "TIE_WORDS", "is_tie"]

SIGNIFICANCE = 0.05
"""p-value up to which the paired test tells two strategies apart."""

MARGIN = 0.05
"""Loss of score, as a share, that the paired interval must rule out."""

MARGIN_WORDS = f"{100 * MARGIN:g} points"
TEST_WORDS = f"a paired test at {100 * SIGNIFICANCE:g} %"
TIE_WORDS = f"{TEST_WORDS} cannot tell them apart, within {MARGIN_WORDS}"


def is_tie(p_value: float | Floats, low: float | Floats) -> npt.NDArray[np.bool_]:
    """Return whether strategies are tied with the leader, in the shape of the arguments.

    Args:
        p_value: Of the paired test against the leader.
        low: Lower end of the paired interval of the difference from the leader.
    """
    return (np.asarray(p_value) > SIGNIFICANCE) & (np.asarray(low) >= -MARGIN)
