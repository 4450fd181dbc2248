"""Two rules of a comparison, the numbers that make them, and the words in which people read them.

*Tied* is what the pictures cannot tell from the leader: the 95 % interval of the difference in score holds zero. *As
good* is what they show to lose hardly anything, which is far more: only that may win for being cheaper, and it is
judged by credit, which tells apart what scores alike. Why these numbers: `docs/decisions/0005-what-a-tie-is.md`. Texts
and pages take the words from here, so that they change with the numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats

__all__ = [
    "AS_GOOD_WORDS",
    "FEW",
    "FEW_WORDS",
    "MARGIN",
    "MARGIN_WORDS",
    "SAVING",
    "SIGNIFICANCE",
    "TEST_WORDS",
    "TIE_WORDS",
    "is_as_good",
    "is_tie",
]

SIGNIFICANCE = 0.05
"""p-value up to which the paired test tells two strategies apart."""

MARGIN = 0.05
"""Loss of score, as a share, that pictures must rule out before a tie says much."""

CREDIT_MARGIN = 0.003
"""How much credit (`search.credit`) a cheaper winner may lose against the leader: nearly so much accuracy."""

ERRORS = 1.645
"""Standard errors that what it loses must lie below the margin: 95 % on one side."""

SAVING = 0.02
"""Share of the backbone that a strategy must save to count as cheaper."""

FEW = 15
"""Pictures a class, on average, below which comparing strategies tells less than is known beforehand."""
FEW_WORDS = f"with fewer than {FEW} pictures a class, what is safest on average, not what came out best"

MARGIN_WORDS = f"{100 * MARGIN:g} points"
TEST_WORDS = f"a paired test at {100 * SIGNIFICANCE:g} %"
TIE_WORDS = f"{TEST_WORDS} cannot tell them apart"
AS_GOOD_WORDS = f"shown to lose at most {100 * CREDIT_MARGIN:g} points"


def is_tie(low: float | Floats, high: float | Floats) -> npt.NDArray[np.bool_]:
    """Return whether strategies are tied with the leader, in the shape of the arguments.

    Args:
        low: Lower end of the interval of the difference from the leader.
        high: Upper end.
    """
    return (np.asarray(low) <= 0) & (np.asarray(high) >= 0)


def is_as_good(lost: Floats, error: Floats) -> npt.NDArray[np.bool_]:
    """Return whether strategies are as good as the leader, so that the cheapest of them may win.

    Args:
        lost: The leader's mean credit less theirs.
        error: Standard error of it.
    """
    return lost + ERRORS * error <= CREDIT_MARGIN
