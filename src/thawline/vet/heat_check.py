"""A model's answers to a picture that is erased, or filled in, place by place -> whether a map of it tells the truth.

One idea: where the places that a map names first are erased first, the probability must fall at once; where they are
shown first, it must rise at once. The area under the one curve is to be small, under the other large.

Source: Petsiuk, Das & Saenko, "RISE: Randomized input sampling for explanation of black-box models", BMVC 2018. There a
picture is filled in from a blurred one; here from the mean colour, as it is erased to, since a blur leaves enough for a
model of few classes to be sure from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Pixels

__all__ = ["HeatCheck", "centre_scores", "check_heat", "random_scores"]

NUM_STEPS = 10
AT_ONCE = 8
CENTRE_SPREAD = 0.5
"""Standard deviation of the map that favours the middle, in halves of a side."""


@dataclass(frozen=True)
class HeatCheck:
    """How a probability changes where places are erased, or shown, in the order of a map.

    Attributes:
        deletion: Area under the probability while the picture is erased, in [0, 1]; small is good.
        insertion: Area under it while the picture is filled in, in [0, 1]; large is good.
    """

    deletion: float
    insertion: float

    @property
    def gain(self) -> float:
        """Insertion less deletion, in [-1, 1]: one number for both."""
        return self.insertion - self.deletion


def check_heat(
    answer: Callable[[Pixels], Floats],
    pixels: Pixels,
    *,
    scores: Floats,
    fill: Pixels,
    num_steps: int = NUM_STEPS,
) -> HeatCheck:
    """Return how well a map orders the places of one picture; of equal scores the upper left comes first.

    Args:
        answer: (B, H, W, 3) uint8 pictures -> (B,) probabilities of the class that the map is for.
        pixels: (H, W, 3) uint8 of the picture.
        scores: (G, G) of the map, the first to be erased or shown highest.
        fill: What is there where the picture is not: a colour (3,), or a picture (H, W, 3).
        num_steps: Steps from nothing to everything.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"check a map: it has the shape {scores.shape}; a square of cells is required.")
    height, width, _ = pixels.shape
    side, num_cells = len(scores), scores.size
    rank = np.empty(num_cells, dtype=np.int64)
    rank[np.argsort(-scores.ravel(), kind="stable")] = np.arange(num_cells)
    rows, columns = np.arange(height) * side // height, np.arange(width) * side // width
    rank_of_pixel = rank.reshape(side, side)[rows][:, columns, None]
    ends = np.round(np.linspace(0, num_cells, num_steps + 1))
    erased = [np.where(rank_of_pixel < end, fill, pixels) for end in ends]
    shown = [np.where(rank_of_pixel < end, pixels, fill) for end in ends[1:-1]]  # its ends are those of erasing
    pictures = np.stack([*erased, *shown]).astype(np.uint8)
    parts = [answer(pictures[start : start + AT_ONCE]) for start in range(0, len(pictures), AT_ONCE)]
    shares = np.concatenate(parts).astype(np.float64)
    falling = shares[: num_steps + 1]
    rising = np.array([falling[-1], *shares[num_steps + 1 :], falling[0]])
    return HeatCheck(_area(falling), _area(rising))


def _area(curve: Floats) -> float:
    """Return the area under a curve from 0 to 1."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def centre_scores(side: int) -> Floats:
    """Return the (side, side) map that looks at the middle of every picture: what pictures taken by people favour."""
    place = np.linspace(-1, 1, side)
    scores: Floats = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * CENTRE_SPREAD**2))
    return scores


def random_scores(side: int, *, seed: int) -> Floats:
    """Return a (side, side) map without any meaning: every cell's score is drawn alone."""
    return np.random.default_rng(seed).random((side, side))
