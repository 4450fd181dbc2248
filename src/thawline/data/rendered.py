"""What the pictures of a set store -> its `Rendering`, and the thumbnails that follow it.

The one idea: the range of deep values and the background of transparent pictures are found once, from the thumbnails of
all pictures, and then hold for each of them. White shows through, unless drawings vanish on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from thawline.core.rendering import Background, Levels, Rendering
from thawline.core.types import Pixels
from thawline.data.flatten import BACKGROUNDS, background_note
from thawline.data.images import Decoded
from thawline.data.levels import Extent, find_levels, levels_note, range_of

__all__ = ["Stored", "find_rendering", "is_blank", "rendered", "stored"]

BLANK = 2.0
"""A thumbnail whose levels spread less than this (standard deviation, of 255) shows nothing."""

SHOWN = 6.0
"""From this spread on a drawing is seen on its background: a thin white line over black has 20 and more."""


@dataclass(frozen=True)
class Stored:
    """What is kept of a deep or transparent picture until the rendering of its set is known.

    Attributes:
        thumbnail: (T, T, 3) uint8 RGB, or (T, T, 4) RGBA where something shows through.
        extent: Which values it uses, where these are deep.
        levels: Which of them are black and white in the thumbnail.
        repairs: As `Decoded.repairs`.
        remarks: As `Decoded.remarks`.
    """

    thumbnail: Pixels
    extent: Extent | None
    levels: Levels | None
    repairs: tuple[str, ...]
    remarks: tuple[str, ...]


def stored(picture: Decoded, thumbnail: Pixels) -> Stored | None:
    """Return what to keep of a picture that was decoded without a rendering, or None where it needs none.

    Args:
        picture: The picture.
        thumbnail: Made of its `layers`, where it has some, else of its `image`.
    """
    if picture.layers is None and picture.extent is None:
        return None
    return Stored(thumbnail, picture.extent, picture.levels, picture.repairs, picture.remarks)


def find_rendering(pictures: Sequence[Stored]) -> tuple[Rendering, tuple[str, ...]]:
    """Return how a set is rendered, and in sentences what was found; the order of the pictures does not matter."""
    extents = [picture.extent for picture in pictures if picture.extent is not None]
    levels = find_levels(extents)
    counts = Counter(extent.kind for extent in extents)
    notes = [
        f"{_pictures(counts[item.kind])} with {item.kind} levels: {range_of(item)}, which is what the set uses, become "
        "black to white in all of them alike; a model keeps this range."
        for item in levels
    ]
    rendering = Rendering(levels)
    clear = [picture for picture in pictures if picture.thumbnail.shape[2] == 4]
    if clear:
        shown: dict[Background, int] = {}
        for name in BACKGROUNDS:
            shown[name] = _num_shown(clear, replace(rendering, background=name))
            if shown[name] == len(clear):
                break
        best = max(shown, key=lambda name: shown[name])  # of equals the first
        rendering = replace(rendering, background=best)
        if best != "white":
            notes.append(
                f"{_pictures(len(clear))} with transparent parts: {best} shows through, since on it {shown[best]:,} of "
                f"the drawings can be seen, and on white {shown['white']:,}; a model keeps this background."
            )
    return rendering, tuple(notes)


def rendered(picture: Stored, rendering: Rendering) -> tuple[Pixels, tuple[str, ...], tuple[str, ...]]:
    """Return a picture's thumbnail, (T, T, 3) uint8, its repairs and its remarks, as its set is rendered."""
    renamed = {background_note("white"): background_note(rendering.background)}
    remarks = picture.remarks
    pixels = picture.thumbnail[..., :3]
    if picture.extent is not None and picture.levels is not None:
        own, extent = picture.levels, picture.extent
        final = next(item for item in rendering.levels if item.kind == own.kind)
        if final != own:
            values = own.low + pixels / 255 * (own.high - own.low)
            scaled = (values - final.low) / (final.high - final.low)
            pixels = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
            renamed[levels_note(own)] = levels_note(final)
        if extent.highest > final.high or extent.lowest < final.low:
            used = range_of(Levels(final.kind, extent.lowest, extent.highest))
            remarks = (*remarks, f"its values, {used}, were clipped to the set's, {range_of(final)}")
    if picture.thumbnail.shape[2] == 4:
        alpha = picture.thumbnail[..., 3:] / 255
        ground = np.array(BACKGROUNDS[rendering.background])
        pixels = np.rint(pixels * alpha + ground * (1 - alpha)).astype(np.uint8)
    return pixels, tuple(renamed.get(repair, repair) for repair in picture.repairs), remarks


def is_blank(thumbnails: Pixels) -> npt.NDArray[np.bool_]:
    """Return (N,) whether a picture shows nothing: one colour, or nearly so.

    Args:
        thumbnails: (N, T, T, 3) uint8 RGB.
    """
    blank = np.zeros(len(thumbnails), dtype=bool)
    if len(thumbnails):
        pixels = thumbnails.reshape(len(thumbnails), -1)
        most = 2 * BLANK * thumbnails.shape[1]  # what a single pixel can be off the others with that spread
        for number in np.flatnonzero(np.ptp(pixels[:, ::3], axis=1) <= most).tolist():
            blank[number] = _spread(thumbnails[number]) < BLANK
    return blank


def _num_shown(pictures: Sequence[Stored], rendering: Rendering) -> int:
    """Return how many of the transparent pictures can be seen on a background."""
    return sum(_spread(rendered(picture, rendering)[0]) >= SHOWN for picture in pictures)


def _spread(thumbnail: Pixels) -> float:
    """Return the largest standard deviation of a channel, in levels."""
    return float(thumbnail.reshape(-1, 3).std(axis=0).max())


def _pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"
