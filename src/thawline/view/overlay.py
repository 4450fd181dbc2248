"""A small picture and where a model looks on it -> one JPEG with the heat laid over.

One idea: colour is left to the heat. The picture becomes grey, so that warm means "speaks for the class" and nothing
else; the scale rises evenly in lightness, so that it is read in print and by people who see few colours.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from thawline.data.images import encode_jpeg

__all__ = ["overlay_jpeg"]

WIDTH_PX = 200
STRONGEST = 0.65
"""How much of a place at full heat is colour, the rest being picture."""
UNSEEN = 0.45
"""Brightness of what lies outside the square that the model sees."""
COLOURS = "inferno"


def overlay_jpeg(
    jpeg: bytes,
    rows: Sequence[Sequence[int]],
    *,
    box: tuple[float, float, float, float],
    longest_px: int = WIDTH_PX,
) -> bytes:
    """Return the picture in grey with the heat in colour, as a JPEG; what the model does not see is darkened.

    Args:
        jpeg: The picture, or a small one of it.
        rows: Heat from top to bottom, 0 to 255, of the square that the model sees.
        box: Left, top, right and bottom of that square, in shares of the picture's width and height; it may reach
            beyond the picture.
        longest_px: Longer side of the result in pixels, whatever the size of the picture.
    """
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("L")
    scale = longest_px / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    grey = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)[..., None]
    heat, is_seen = _heat_on((width, height), np.asarray(rows, dtype=np.uint8), box)
    share = STRONGEST * heat[..., None]
    mixed = (1 - share) * grey + share * 255 * _colours(heat)
    shown = np.where(is_seen[..., None], mixed, UNSEEN * grey)
    return encode_jpeg(Image.fromarray(shown.round().clip(0, 255).astype(np.uint8)), longest_px)


def _heat_on(size: tuple[int, int], rows: Any, box: tuple[float, float, float, float]) -> tuple[Any, Any]:
    """Return (H, W) heat in [0, 1] of a picture of some size, 0 outside the square, and (H, W) whether it is inside."""
    width, height = size
    left, right = round(box[0] * width), max(round(box[0] * width) + 1, round(box[2] * width))
    top, bottom = round(box[1] * height), max(round(box[1] * height) + 1, round(box[3] * height))
    square = Image.fromarray(rows).resize((right - left, bottom - top), Image.Resampling.BICUBIC)
    heat = Image.new("L", size, 0)
    heat.paste(square, (left, top))
    is_seen = np.zeros((height, width), dtype=np.bool_)
    is_seen[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return np.asarray(heat, dtype=np.float64) / 255, is_seen


def _colours(heat: Any) -> Any:
    """Return (H, W, 3) colours in [0, 1] of (H, W) heat in [0, 1]."""
    from matplotlib import colormaps

    return colormaps[COLOURS](heat)[..., :3]
