"""A picture of more than 8 bits -> its values as stored; None for all others.

The one idea: Pillow has no colours of 16 bits and keeps their high bytes alone, so that 12-bit values are black. Read a
second time as if the bytes were swapped, it gives the low ones.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL.ImageFile import ImageFile

from thawline.data.flatten import reduction, strip_rows
from thawline.data.levels import Deep
from thawline.data.pnm import is_slow_pnm, pnm_values
from thawline.data.tiff import ALPHA, PREMULTIPLIED, WHITE_IS_ZERO, TiffLayout, tiff_values

if TYPE_CHECKING:  # a worker process starts faster without
    from thawline.core.types import Pixels

__all__ = ["plain_tiff", "stored_values"]

Values = npt.NDArray[Any]

ENOUGH = 128
"""Where the high bytes of a large picture reach half of their range, they say all that 8 bits can."""

PNM_KIND = "16-bit netpbm"
"""Of its own, because such a file states its full scale, and Pillow stretches to it."""


def stored_values(
    image: ImageFile, data: bytes, *, layout: TiffLayout | None, least_px: int | None = None
) -> Deep | None:
    """Return what an opened PNG, TIFF or netpbm picture stores where that is more than 8 bits; turned if TIFF says so.

    Netpbm pictures that Pillow would read slowly are returned too, with values of 8 bits. The picture is loaded.

    Args:
        image: The picture.
        data: Its bytes.
        layout: Of a TIFF, where its tags give one.
        least_px: A large picture is reduced, both sides staying at least so long; None: never.
    """
    factor = reduction(image.size, least_px)
    if image.format == "PNG":
        return _png(image, data, factor)
    if image.format == "TIFF":
        return _tiff(image, data, factor, layout)
    if image.format == "PPM":
        return _pnm(image, data)
    return None


def plain_tiff(data: bytes, layout: TiffLayout, *, least_px: int | None = None) -> Deep:
    """Return the values of a TIFF that `tiff.is_plain`, not turned; 8-bit ones included.

    Args:
        data: The file.
        layout: Its layout.
        least_px: As in `stored_values`.

    Raises:
        DataError: As `tiff_values`.
    """
    values = tiff_values(data, layout)
    if (factor := reduction((layout.width_px, layout.height_px), least_px)) > 1:
        rows = strip_rows(layout.width_px, factor)
        strips = [_shrunk(values[top : top + rows], factor) for top in range(0, len(values), rows)]
        whole = np.concatenate(strips)
        values = _whole(whole, values.dtype) if values.dtype.kind == "u" else whole
    colours = values[..., : layout.num_colours]
    alpha = None
    if layout.extra and layout.num_bands > layout.num_colours and layout.extra[0] in {PREMULTIPLIED, ALPHA}:
        alpha = _opacity(values[..., layout.num_colours])
        if layout.extra[0] == PREMULTIPLIED:
            colours = _unmultiplied(colours, alpha)
    seen = colours[..., 0] if layout.num_colours == 1 else colours
    return Deep(seen, layout.kind, alpha, layout.photometric == WHITE_IS_ZERO, layout.no_data)


def _png(image: ImageFile, data: bytes, factor: int) -> Deep | None:
    """Return the values of a 16-bit PNG."""
    raw = _raw_mode(image)
    if ";16" not in raw:
        return None
    clear = image.info.get("transparency")
    if image.mode == "I;16":
        values = _whole(_loaded(image, factor=factor if clear is None else 1), np.uint16)
        alpha = None if clear is None else _opaque(values != clear)
    elif raw.startswith("LA"):  # four bytes a pixel, whatever they mean
        pairs = _whole(_loaded(image, "RGBA", factor=factor, dtype=">u2"), np.uint16)
        values, alpha = pairs[..., 0], _opacity(pairs[..., 1])
    else:
        values = _both_bytes(image, data, factor if clear is None else 1)
        alpha = _opacity(values[..., 3]) if image.mode == "RGBA" else None
        if image.mode == "RGB" and isinstance(clear, tuple):
            alpha = _opaque((values != np.array(clear)).any(axis=2))
        values = values[..., :3]
    return Deep(values, "16-bit", alpha)


def _tiff(image: ImageFile, data: bytes, factor: int, layout: TiffLayout | None) -> Deep | None:
    """Return the values of a deep TIFF that Pillow can read, compressed ones above all."""
    raw = _raw_mode(image)
    is_grey = image.mode == "F" or image.mode.startswith("I")
    if not is_grey and not (";16" in raw and image.mode in {"RGB", "RGBA"}):
        return None
    if layout is None or (not is_grey and layout.is_planar):  # Pillow hands out the high bytes of such bands only
        return None
    if is_grey:
        values = _loaded(image, factor=factor)
        values = _whole(values, np.uint16) if image.mode.startswith("I;") else values
        if layout.sample_format == 1 and values.dtype == np.int32:
            values = values.view(np.uint32)
        return Deep(values, layout.kind, None, layout.photometric == WHITE_IS_ZERO, layout.no_data)
    bands = _both_bytes(image, data, factor)
    alpha = _opacity(bands[..., 3]) if image.mode == "RGBA" else None
    colours = bands[..., :3]
    if alpha is not None and layout.extra[:1] == (PREMULTIPLIED,):
        colours = _unmultiplied(colours, alpha)
    return Deep(colours, layout.kind, alpha, no_data=layout.no_data)


def _pnm(image: ImageFile, data: bytes) -> Deep | None:
    """Return the values of a netpbm picture of more than 8 bits, or of one that Pillow reads value by value."""
    if is_slow_pnm(image):
        values: Values = pnm_values(data, image)
        return Deep(values, "8-bit" if values.dtype == np.uint8 else PNM_KIND)
    if image.mode == "F":
        return Deep(_loaded(image), "32-bit float")
    if image.mode == "I":
        return Deep(_loaded(image).astype(np.uint16), PNM_KIND)
    return None


def _loaded(image: ImageFile, raw: str | None = None, *, factor: int = 1, dtype: str | None = None) -> Values:
    """Return the loaded picture as an array, averaged over squares of `factor` pixels.

    Args:
        image: The picture, opened.
        raw: Pillow's name for how its bytes lie, where it is not the picture's own.
        factor: With 1 values are whole numbers as stored, else floats.
        dtype: How neighbouring bytes are read together.
    """
    if raw is not None:
        _as_raw(image, raw)
    image.load()
    num_rows = image.height if factor == 1 else strip_rows(image.width, factor)
    strips = []
    for top in range(0, image.height, num_rows):
        is_all = num_rows >= image.height
        strip = image if is_all else image.crop((0, top, image.width, min(top + num_rows, image.height)))
        values: Values = np.asarray(strip)
        strips.append(_shrunk(values if dtype is None else values.view(dtype), factor))
    return strips[0] if len(strips) == 1 else np.concatenate(strips)


def _shrunk(values: Values, factor: int) -> Values:
    """Return the averages over squares of `factor` pixels; what could be `not measured` is picked, not averaged."""
    if factor == 1:
        return values
    if values.dtype.kind != "u":
        return values[::factor, ::factor].copy()
    height, width = (side // factor for side in values.shape[:2])
    squares = values[: height * factor, : width * factor].reshape(height, factor, width, factor, *values.shape[2:])
    averages: Values = squares.mean(axis=(1, 3))
    return averages


def _whole(values: Values, dtype: npt.DTypeLike) -> Values:
    """Return averages as whole numbers; others as they are."""
    return values if values.dtype.kind != "f" else np.rint(values).astype(dtype)


def _both_bytes(image: ImageFile, data: bytes, factor: int) -> Values:
    """Return (H, W, bands) uint16 of a picture of which Pillow keeps the high bytes."""
    raw = _raw_mode(image).replace("RGBa", "RGBA")  # alpha that is multiplied in is divided out later, at full depth
    if factor > 1:
        _as_raw(image, raw)
        image.load()
        high: Values = np.asarray(image.reduce(factor))
        if high[..., :3].max() >= ENOUGH:
            return high.astype(np.uint16) * 257
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    with type(image)(io.BytesIO(data)) as again:
        low = _loaded(again, raw[:-1] + ("B" if little else "L"), factor=factor)
    high = _loaded(image, raw if factor == 1 else None, factor=factor)
    if factor > 1:
        return _whole(high * 256 + low, np.uint16)
    values: Values = high.astype(np.uint16) << 8
    values |= low
    return values


def _as_raw(image: ImageFile, raw: str) -> None:
    """Let Pillow understand the bytes of an opened picture as `raw`."""
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]


def _raw_mode(image: ImageFile) -> str:
    """Return Pillow's name for how the bytes of an opened picture lie."""
    args = image.tile[0].args if image.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _opacity(alpha: Values) -> Pixels | None:
    """Return a band of alpha as (H, W) uint8, or None where all is opaque."""
    if alpha.dtype.kind == "f":
        level = np.rint(np.clip(np.nan_to_num(alpha), 0, 1) * 255)
    else:
        level = np.clip(alpha, 0, None) >> (8 * alpha.dtype.itemsize - 8)
    opacity = level.astype(np.uint8)
    return None if (opacity == 255).all() else opacity


def _opaque(mask: npt.NDArray[np.bool_]) -> Pixels | None:
    """Return where a picture is opaque as (H, W) uint8, or None where it is everywhere."""
    return None if mask.all() else mask.astype(np.uint8) * np.uint8(255)


def _unmultiplied(colours: Values, alpha: Pixels | None) -> Values:
    """Return colours without the alpha that was multiplied into them."""
    if alpha is None:
        return colours
    whole = colours.astype(np.float64) * (255 / np.maximum(alpha, 1))[..., None]
    top = np.iinfo(colours.dtype).max if colours.dtype.kind != "f" else np.inf
    return np.minimum(whole, top).astype(colours.dtype)
