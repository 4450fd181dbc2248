"""Errors at a few training-set sizes -> what the error will be at others, as many draws that fit what was seen.

One idea: errors fall as power laws towards a floor, error(n) = floor + rest · n^-slope (Hestness et al., "Deep learning
scaling is predictable, empirically", 2017; Mukherjee et al., J. Comput. Biol. 2003), but a few points do not say which:
so every floor and slope of a grid is fitted in its height, weighed by how well it fits (a Bayesian average over laws),
and the forecast is drawn from all of them. No curve is quite a power law: what it may bend beyond one grows with the
distance from the points, so that the largest sizes count most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats

__all__ = ["Laws", "fit_laws"]

FLOORS = np.arange(0, 1.0, 0.1)
"""Tried: share of the error at the largest size that no pictures will remove."""
SLOPES = np.geomspace(0.1, 1.6, 17)
"""Tried: 0.5 is what averaging gives; few real curves lie outside."""
TYPICAL_SLOPE, SLOPE_SPREAD = 0.5, 0.6
"""Beforehand: logarithms of slopes are spread so about that of the typical one."""
FLOOR_PULL = 2
"""Beforehand: a floor is the less likely, the more of the error stays: by the power of the part that goes."""
BEND = 0.08
"""How far a curve may bend from a power law while pictures double, as a share of its error; from the benchmark."""
NUM_DRAWS = 4000


@dataclass(frozen=True)
class Laws:
    """Power laws that fit what was seen, drawn by how well they do.

    Attributes:
        largest: Pictures of the largest size that was seen.
        height: (M,) error at that size, at least 0.
        floor: (M,) share of it that stays.
        slope: (M,) of the rest, above 0.
        bend: (M,) standard normal: how far, and which way, it bends beyond the largest size.
    """

    largest: float
    height: Floats
    floor: Floats
    slope: Floats
    bend: Floats

    def __repr__(self) -> str:
        return f"<Laws: {len(self.height):,} draws, error {float(self.height.mean()):.3f} at {self.largest:,.0f}>"

    def errors(self, pictures: float) -> Floats:
        """Return (M,) errors in [0, 1] at so many pictures."""
        ratio = pictures / self.largest
        law = self.floor + (1 - self.floor) * ratio**-self.slope
        bent = np.exp(self.bend * BEND * np.sqrt(max(np.log2(ratio), 0.0)))
        errors: Floats = np.clip(self.height * law * bent, 0, 1)
        return errors


def fit_laws(pictures: Floats, errors: Floats, *, covariance: Floats, seed: int = 0) -> Laws:
    """Return power laws that fit errors at some sizes.

    Args:
        pictures: (S,) sizes, ascending.
        errors: (S,) in [0, 1].
        covariance: (S, S) of the errors: that they are measured on the same few pictures, and on which were drawn.
        seed: Equal seeds give equal laws.
    """
    largest = float(pictures[-1])
    doublings = np.log2(largest / pictures)
    typical = np.maximum(errors, np.sqrt(np.diag(covariance)))
    bends = BEND**2 * np.minimum(doublings[:, None], doublings) * typical[:, None] * typical
    inverse = np.linalg.inv(covariance + bends + np.eye(len(errors)) * 1e-9)
    floor, slope = (part.ravel() for part in np.meshgrid(FLOORS, SLOPES, indexing="ij"))
    shape = floor[:, None] + (1 - floor[:, None]) * (pictures / largest) ** -slope[:, None]  # (G, S)
    weighed = shape @ inverse
    precision = (weighed * shape).sum(axis=1)
    height = weighed @ errors / precision
    left = errors - height[:, None] * shape
    fit = -0.5 * ((left @ inverse) * left).sum(axis=1) - 0.5 * np.log(precision)
    fit += FLOOR_PULL * np.log(1 - floor)
    fit -= 0.5 * (np.log(slope / TYPICAL_SLOPE) / SLOPE_SPREAD) ** 2
    chance = np.exp(fit - fit.max())
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(chance), NUM_DRAWS, p=chance / chance.sum())
    drawn = np.abs(height[chosen] + rng.normal(size=NUM_DRAWS) / np.sqrt(precision[chosen]))
    return Laws(largest, drawn, floor[chosen], slope[chosen], rng.normal(size=NUM_DRAWS))
