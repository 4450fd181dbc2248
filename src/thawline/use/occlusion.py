"""A picture, covered part by part, and how sure a model is each time -> which parts speak for its answer.

One idea: a model in whatever form can be asked again, so it is: with a small window covered at each place, and with one
half of the picture covered, in many ways. Where covering costs most of the answer's log-odds, the map is bright.
Windows alone miss what is there twice, halves alone are coarse; together they are nearly as good as the gradients of
`vet/heat.py`, which need torch (`benchmarks/heat.py --covered`).

Sources: Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (windows); Petsiuk, Das &
Saenko, "RISE: Randomized input sampling for explanation of black-box models", BMVC 2018 (random halves).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thawline.core.types import Bools, Floats, InputSpec, Ints, Pixels
from thawline.data.images import MAX_MEGAPIXELS, decode
from thawline.data.square import shown_box, side_px
from thawline.use.answer import Answering, Prepared
from thawline.use.onnx_model import OnnxModel, WholeOnnxModel

__all__ = ["NUM_HALVES", "NUM_WINDOWS", "SIDE", "Seen", "can_look", "covered", "covers", "heat_of_covers", "seen"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in shares of a width and a height."""

SIDE = 7
"""Cells along each side of a map."""
WINDOW = 2
"""Cells along each side of a covered window."""
NUM_WINDOWS = (SIDE - WINDOW + 1) ** 2
NUM_HALVES = 64

UNMOVED = 0.01
"""Log-odds: a model whose answer never moves by more looks at nothing in particular."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture as a model takes it, and where in it the map lies.

    Attributes:
        prepared: Of the model.
        frames: For each array of `prepared`: the square of the map in it, in shares of its width and height.
        colours: For each array: (3,) uint8, what covers it.
        box: The square of the map in shares of the picture's width and height.
    """

    prepared: Prepared
    frames: tuple[Box, ...]
    colours: tuple[Pixels, ...]
    box: Box


def can_look(model: Answering) -> bool:
    """Return whether there are maps of a model: it says how it prepares pictures, so that parts can be covered."""
    return isinstance(model, OnnxModel)


def seen(model: OnnxModel, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> Seen:
    """Return an encoded picture as a model takes it, and where the map lies: in what it sees, of several ways the most.

    Args:
        model: With a map: see `can_look`.
        data: The encoded picture.
        max_megapixels: As in `thawline.data.images.decode`.

    Raises:
        DataError: It cannot be read.
    """
    shown = max(model.inputs, key=lambda spec: spec.crop_share)
    decoded = decode(data, side_px(shown), max_megapixels=max_megapixels, rendering=shown.rendering)
    box = shown_box((decoded.width_px, decoded.height_px), shown)
    colours = tuple(np.round(255 * np.array(spec.mean)).astype(np.uint8) for spec in model.inputs)
    if isinstance(model, WholeOnnxModel):  # it resizes every covered picture again, so they are small
        image = decoded.image
        scale = min(1.0, 2 * side_px(shown) / min(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return Seen((np.asarray(image.resize(size)),), (box,), colours[:1], box)
    prepared, _ = model.prepare(data, max_megapixels=max_megapixels)
    return Seen(prepared, tuple(_frame(spec, shown) for spec in model.inputs), colours, box)


def _frame(own: InputSpec, shown: InputSpec) -> Box:
    """Return where the square that one preparation shows lies in that of another."""
    half = 0.5 * (shown.crop_share / own.crop_share if own.fit == "crop" else 1.0)
    return 0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half


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


def covered(picture: Seen, kept: Bools) -> Iterator[Prepared]:
    """Yield a picture as the model takes it with the mean colour where cells are not kept, once for each cover.

    Args:
        picture: From `seen`.
        kept: (M, 7, 7), of `covers`; cells of the square of the map.
    """
    places = [
        (_cells(array.shape[0], top, bottom), _cells(array.shape[1], left, right))
        for array, (left, top, right, bottom) in zip(picture.prepared, picture.frames, strict=True)
    ]
    for cover in kept:
        padded = np.pad(cover, 1, constant_values=True)  # what is not in the square of the map stays as it is
        yield tuple(
            np.where(padded[rows][:, columns, None], array, colour)
            for array, (rows, columns), colour in zip(picture.prepared, places, picture.colours, strict=True)
        )


def _cells(count: int, low: float, high: float) -> Ints:
    """Return (count,) which cell each pixel along a side lies in, counted from 1; 0 or 8 beyond the square."""
    middles = (np.arange(count) + 0.5) / count
    places: Ints = np.floor((middles - low) / (high - low) * SIDE).astype(np.int64) + 1
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
