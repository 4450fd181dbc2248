"""A picture, covered part by part, and how sure a model is each time -> which parts speak for its answer.

One idea: a model in whatever form can be asked again, so it is: with a small window covered at each place, and with one
half of the picture covered, in many ways. Where covering costs most of the answer's log-odds, the map is bright.
Windows alone miss what is there twice, halves alone are coarse; together they are nearly as good as the gradients of
`vet/heat.py`, which need torch (`benchmarks/heat.py --covered`).

Sources: Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (windows); Petsiuk, Das &
Saenko, "RISE: Randomized input sampling for explanation of black-box models", BMVC 2018 (random halves).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thawline.core.types import Bools, Floats, InputSpec, Pixels
from thawline.use.answer import Prepared

__all__ = ["NUM_HALVES", "NUM_WINDOWS", "SIDE", "covered", "covers", "heat_of_covers", "shown_spec"]

SIDE = 7
"""Cells along each side of a map."""
WINDOW = 2
"""Cells along each side of a covered window."""
NUM_WINDOWS = (SIDE - WINDOW + 1) ** 2
NUM_HALVES = 64

UNMOVED = 0.01
"""Log-odds: a model whose answer never moves by more looks at nothing in particular."""


def covers(num_halves: int = NUM_HALVES) -> Bools:
    """Return (36 + num_halves, 7, 7) which cells are kept: the windows from top to bottom, then halves by pairs.

    Args:
        num_halves: An even number; a half and what it leaves follow one another. The same ones every time.
    """
    windows = np.ones((NUM_WINDOWS, SIDE, SIDE), dtype=np.bool_)
    across = SIDE - WINDOW + 1
    for place, window in enumerate(windows):
        top, left = divmod(place, across)
        window[top : top + WINDOW, left : left + WINDOW] = False
    rng = np.random.default_rng(0)
    cells = [rng.permutation(SIDE**2).reshape(SIDE, SIDE) < SIDE**2 // 2 for _ in range(num_halves // 2)]
    halves = [half for picked in cells for half in (picked, ~picked)]
    return np.concatenate([windows, *(half[None] for half in halves)])


def shown_spec(specs: Sequence[InputSpec]) -> InputSpec:
    """Return the preparation whose square a map is of: of several that which shows most."""
    return max(specs, key=lambda spec: spec.crop_share)


def covered(prepared: Prepared, specs: Sequence[InputSpec], *, kept: Bools) -> Iterator[Prepared]:
    """Yield a prepared picture with the mean colour where cells are not kept, once for each of the covers.

    Args:
        prepared: Squares, one for each of the preparations.
        specs: The preparations.
        kept: (M, 7, 7), of `covers`; cells of the square of `shown_spec`.
    """
    shown = shown_spec(specs)
    cells = [_cells(spec, shown) for spec in specs]
    colours = [np.round(255 * np.array(spec.mean)).astype(np.uint8) for spec in specs]
    for cover in kept:
        padded = np.pad(cover, 1, constant_values=True)  # what is not in the square of the map stays as it is
        yield tuple(
            np.where(padded[own][:, own, None], square, colour)
            for square, own, colour in zip(prepared, cells, colours, strict=True)
        )


def _cells(own: InputSpec, shown: InputSpec) -> Floats:
    """Return (size_px,) which cell each pixel along a side of a square lies in, counted from 1; 0 or 8 beyond."""
    wider = own.crop_share / shown.crop_share if own.fit == "crop" else 1.0
    middles = (np.arange(own.size_px) + 0.5) / own.size_px
    places = np.floor((0.5 + (middles - 0.5) * wider) * SIDE).astype(np.int64) + 1
    return places.clip(0, SIDE + 1)


def heat_of_covers(share: float, shares: Floats, *, kept: Bools) -> Pixels:
    """Return (7, 7) uint8, from top to bottom: how much each cell speaks for the class, the most as 255.

    All is 0 where the answer hardly moves, whatever is covered; what speaks against the class is 0 too.

    Args:
        share: The probability of the class for the whole picture.
        shares: (M,) the same for each cover.
        kept: (M, 7, 7), of `covers`.
    """
    odds, whole = _log_odds(shares), float(_log_odds(np.array([share]))[0])
    if np.abs(odds - whole).max(initial=0.0) < UNMOVED:
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    hidden = ~kept[:NUM_WINDOWS]
    lost = ((whole - odds[:NUM_WINDOWS, None, None]) * hidden).sum(axis=0) / hidden.sum(axis=0)
    total = _in_spreads(lost)
    halves = kept[NUM_WINDOWS:]
    if len(halves):
        own = odds[NUM_WINDOWS:, None, None]
        with_it, without = ((own * part).sum(axis=0) / part.sum(axis=0).clip(min=1) for part in (halves, ~halves))
        total = total + _in_spreads(with_it - without)
    bright = total.clip(min=0.0)
    scaled: Pixels = np.round(255 * bright / max(float(bright.max()), 1e-9)).astype(np.uint8)
    return scaled


def _log_odds(shares: Floats) -> Floats:
    clipped = np.asarray(shares, dtype=np.float64).clip(1e-7, 1 - 1e-7)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def _in_spreads(values: Floats) -> Floats:
    """Return values as deviations from their mean, in units of their spread: maps of two kinds can then be added."""
    deviations: Floats = (values - values.mean()) / (values.std() + 1e-9)
    return deviations
