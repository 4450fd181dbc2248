"""A loaded picture of any mode, or deep values -> 8-bit RGB, or RGBA where a background shows through.

The one idea: what a file alone does not say (which of its values are used, what lies behind it) is the rendering of
its set, and comes from outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from thawline.core.rendering import Background, Levels, Rendering
from thawline.data.bounds import LARGE_PIXELS
from thawline.data.levels import Deep, Extent, extent_of, find_levels, levels_note, to_8_bits

__all__ = [
    "BACKGROUNDS",
    "Flat",
    "background_note",
    "flatten",
    "on_background",
    "reduce_large",
    "reduction",
    "strip_rows",
]

BACKGROUNDS: dict[Background, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
}
"""What can show through transparent pixels, in the order of preference."""

_STRIP_PIXELS = 1 << 20
_LAYERED = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_PLAIN = frozenset({"RGB", "1", "L", "P", "YCbCr"})


@dataclass(frozen=True)
class Flat:
    """A picture of 8 bits, and what that took.

    Attributes:
        image: RGB, or RGBA where something shows through.
        repairs: As in `Decoded`.
        remarks: As in `Decoded`.
        extent: Which values it uses, where these have more than 8 bits.
        levels: Which of them became black and white.
    """

    image: Image.Image
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    extent: Extent | None = None
    levels: Levels | None = None


def flatten(image: Image.Image | Deep, rendering: Rendering | None) -> Flat:
    """Return a picture as 8-bit RGB or RGBA.

    Args:
        image: As loaded.
        rendering: Of its set; None: nothing is known, and deep values are read by their own range.
    """
    if isinstance(image, Deep):
        return _shallow(image, rendering)
    if image.mode in _LAYERED or "transparency" in image.info:
        layers = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        is_opaque = layers.getchannel("A").getextrema() == (255, 255)
        return Flat(layers.convert("RGB") if is_opaque else layers)
    repairs = () if image.mode in _PLAIN else (f"converted {image.mode} to RGB",)
    return Flat(image.copy() if image.mode == "RGB" else image.convert("RGB"), repairs)


def reduction(size: tuple[int, int], least_px: int | None) -> int:
    """Return by which whole number the sides of a large picture may be divided so that both stay at `least_px`."""
    return 1 if least_px is None or size[0] * size[1] <= LARGE_PIXELS else max(1, min(size) // least_px)


def strip_rows(width_px: int, factor: int) -> int:
    """Return how many rows of a picture that is divided by `factor` are worked on at a time."""
    return factor * max(1, _STRIP_PIXELS // (width_px * factor))


def reduce_large(image: Image.Image, least_px: int | None) -> Image.Image:
    """Return a large picture at a whole fraction of its size, both sides at least `least_px`; others as they are.

    Neighbours are averaged, strip by strip where Pillow cannot do so in the picture's mode; levels keep their depth.
    """
    factor = reduction(image.size, least_px)
    if factor == 1:
        return image
    is_clear = "transparency" in image.info
    if image.mode not in {"1", "P", "PA"} and not image.mode.startswith("I;") and not is_clear:
        return image.reduce(factor)
    mode = {"1": "L", "P": "RGB", "PA": "RGBA"}.get(image.mode, "I" if image.mode.startswith("I;") else image.mode)
    kept = image.mode if image.mode.startswith("I;") else "RGBA" if is_clear else mode
    reduced = Image.new(kept, (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    num_rows = strip_rows(image.width, factor)
    for top in range(0, image.height, num_rows):
        strip = image.crop((0, top, image.width, min(top + num_rows, image.height)))
        strip = strip.convert("RGBA" if is_clear else mode).reduce(factor)
        reduced.paste(strip.convert(kept), (0, top // factor))
    return reduced


def on_background(layers: Image.Image, background: Background) -> Image.Image:
    """Return an RGBA picture on a background, as RGB."""
    ground = Image.new("RGBA", layers.size, BACKGROUNDS[background])
    return Image.alpha_composite(ground, layers).convert("RGB")


def background_note(background: Background) -> str:
    """Return in words what was filled with what."""
    return f"filled transparency with {background}"


def _shallow(deep: Deep, rendering: Rendering | None) -> Flat:
    """Return deep values as 8-bit RGB or RGBA."""
    if deep.kind == "8-bit":
        flat = Flat(_image(255 - deep.values if deep.is_inverted else deep.values))
    else:
        known = {} if rendering is None else {item.kind: item for item in rendering.levels}
        extent = extent_of(deep)
        levels = known.get(deep.kind) or find_levels([extent])[0]
        pixels, repairs, remarks = to_8_bits(deep, levels)
        note = levels_note(levels)
        if rendering is not None and deep.kind not in known:
            remarks = (f"the model has seen no {deep.kind} levels: {note}, as this picture alone suggests",)
        flat = Flat(_image(pixels), (note, *repairs), remarks, extent, levels)
    if deep.alpha is None:
        return flat
    layers = flat.image.copy()
    layers.putalpha(Image.fromarray(deep.alpha))
    return replace(flat, image=layers)


def _image(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    """Return grey or RGB pixels as an RGB picture."""
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
