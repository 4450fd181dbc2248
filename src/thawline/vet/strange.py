"""Where pictures lie -> those that are least like any other: a thumb on the lens, a screenshot, another subject.

One idea: how strange a picture is, its nearest neighbours say. What counts as strange is told from the bulk of the same
set, by the median and the spread around it, which a few odd pictures do not move.

Sources: Ramaswamy, Rastogi & Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD 2000
(distance to neighbours); Iglewicz & Hoaglin, "How to detect and handle outliers", 1993 (the cut-off of 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Ints
from thawline.vet.space import Space

__all__ = ["Strange", "strangest", "unscaled_space"]

NEIGHBOURS = 20
"""Fewer in small sets, a fifth of the pictures: several odd pictures of one kind are no company for each other."""
MOST = 24
FEW = 8
CUT_OFF = 3.5
TO_DEVIATION = 1.4826
"""The median distance from the median, times this, is the standard deviation of a bell curve."""
FEWEST_PICTURES = 3


@dataclass(frozen=True)
class Strange:
    """A picture that is little like any other.

    Attributes:
        row: Its place in the data set.
        likeness: How alike its five nearest others are on average, in [-1, 1].
        nearest: The place of the one most alike.
        stands_out: Whether it is beyond what the spread of the set explains.
    """

    row: int
    likeness: float
    nearest: int
    stands_out: bool


def strangest(space: Space, copies: Ints, *, most: int = MOST) -> tuple[Strange, ...]:
    """Return the pictures least like any other, strangest first: all that stand out, eight at least, `most` at most.

    Copies are no company: one of each group is asked about, among the others.

    Args:
        space: Where the N pictures lie.
        copies: (N,) groups of copies.
        most: How many at most.
    """
    rows = np.unique(copies, return_index=True)[1].astype(np.int64)
    rows.sort()
    if len(rows) < FEWEST_PICTURES:
        return ()
    k = min(NEIGHBOURS, max(FEWEST_PICTURES, len(rows) // 5), len(rows) - 1)
    nearest, alike = space.nearest(rows, rows, k=k)
    likeness = alike.mean(axis=1, dtype=np.float64)
    middle = float(np.median(likeness))
    deviation = TO_DEVIATION * float(np.median(np.abs(likeness - middle)))
    stands_out = likeness < middle - CUT_OFF * max(deviation, 1e-6)
    order = np.argsort(likeness, kind="stable")
    num = min(max(int(stands_out.sum()), FEW), most)
    return tuple(
        Strange(int(rows[at]), float(likeness[at]), int(nearest[at, 0]), bool(stands_out[at])) for at in order[:num]
    )


def unscaled_space(features: Floats) -> Space:
    """Return where N pictures lie by (N, D) raw features, rooted but neither centred nor scaled.

    `space_of` spreads pictures evenly over all directions, which shows neighbourhoods best; here what is far from
    everything is to stay far.
    """
    x = np.asarray(features, dtype=np.float32)
    x = np.copysign(np.sqrt(np.abs(x)), x)
    lengths = np.sqrt(np.einsum("nd,nd->n", x, x))
    return Space(x / np.maximum(lengths, 1e-12)[:, None])
