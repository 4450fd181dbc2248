"""An upright RGB picture -> the network's square input: cropped, padded or squeezed.

The one idea: a crop is never made after a resize but with it. Pillow resizes the part of the picture that the square
shows, and its antialiasing sees the pixels around that part, so the result is what resizing first would give.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # a worker process starts faster without
    from thawline.core.types import InputSpec, Pixels

__all__ = ["shown_box", "side_px", "squared"]

_RESAMPLE = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def side_px(spec: InputSpec) -> int:
    """Return the pixels that the shorter side of a whole picture has where its square is shown: 256 for 0.875 of 224.

    Of a letterbox it is the longer side that has so many.
    """
    return math.ceil(spec.size_px / spec.crop_share)


def shown_box(size: tuple[int, int], spec: InputSpec) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the square that a network sees of a picture, in shares of width and height.

    Of a letterbox they lie below 0 and above 1 where the square is padded.

    Args:
        size: Width and height of the upright picture in pixels.
        spec: How it is prepared.
    """
    width, height = size
    if spec.fit == "stretch":
        return 0.0, 0.0, 1.0, 1.0
    side = min(size) * spec.crop_share if spec.fit == "crop" else max(size)
    across, down = side / width / 2, side / height / 2
    return 0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down


def squared(image: Image.Image, spec: InputSpec) -> Pixels:
    """Return an RGB picture as the network's input: (size_px, size_px, 3) uint8."""
    side, resample = spec.size_px, _RESAMPLE[spec.interpolation]
    width, height = image.size
    if spec.fit == "stretch":
        square = image.resize((side, side), resample)
    elif spec.fit == "crop":
        short = min(width, height) * spec.crop_share
        left, top = (width - short) / 2, (height - short) / 2
        square = image.resize((side, side), resample, box=(left, top, left + short, top + short))
    else:
        scale = side / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        red, green, blue = (round(255 * value) for value in spec.mean)
        square = Image.new("RGB", (side, side), (red, green, blue))
        square.paste(image.resize(inner, resample), ((side - inner[0]) // 2, (side - inner[1]) // 2))
    return np.asarray(square)
