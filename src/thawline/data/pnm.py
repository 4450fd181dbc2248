"""A netpbm picture (PBM, PGM, PPM) -> its values.

The one idea: Pillow finds size, depth and the place of the values; where it would then read them one by one in Python
(numbers written as text, and a full scale other than 255 or 65,535), NumPy reads them at once.
"""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError

__all__ = ["is_pnm", "is_slow_pnm", "pnm_is_ordinary", "pnm_values"]

_START = re.compile(rb"P[1-6f](?:\s|#[^\r\n]*[\r\n])+[0-9]")
_COMMENT = re.compile(rb"#[^\r\n]*")
_NUMBERS = re.compile(rb"[0-9\s]*")

FULL_SCALE = 65535

Values = npt.NDArray[Any]


def is_pnm(data: bytes) -> bool:
    """Return whether bytes begin as a netpbm picture does: a sign, and a number after it; texts may begin with `P3`."""
    return data[:1] == b"P" and _START.match(data[:1024]) is not None


def pnm_is_ordinary(data: bytes) -> bool:
    """Return whether a netpbm picture holds plain bytes: numbers as text take a while to read."""
    return data[1:2] not in b"123"


def is_slow_pnm(image: ImageFile) -> bool:
    """Return whether an opened netpbm picture is one that Pillow would read value by value."""
    return bool(image.tile) and image.tile[0].codec_name in {"ppm", "ppm_plain"}


def pnm_values(data: bytes, image: ImageFile) -> Values:
    """Return the values of an opened picture that `is_slow_pnm`: (H, W) or (H, W, 3), white at 255 or 65,535.

    The full scale that the file states becomes white: 255 where it is at most 255, else 65,535.

    Raises:
        DataError: The file ends before the picture is complete, or holds something else than its values.
    """
    width, height = image.size
    shape = (height, width, 3) if image.mode == "RGB" else (height, width)
    count = int(np.prod(shape))
    tile = image.tile[0]
    args = tile.args if isinstance(tile.args, tuple) else (tile.args, 1)
    maximum = 1 if image.mode == "1" else int(cast("int", args[1]))
    if tile.codec_name == "ppm_plain":
        values = _text_values(data[tile.offset :], count, is_bits=image.mode == "1")
    else:
        dtype = np.dtype(">u2" if maximum > 255 else "u1")
        if len(data) - tile.offset < count * dtype.itemsize:
            raise DataError(f"ends after {len(data):,} of {tile.offset + count * dtype.itemsize:,} bytes")
        values = np.frombuffer(data, dtype, count, tile.offset)
    if values.size < count:
        raise DataError(f"ends after {values.size:,} of {count:,} values")
    if image.mode == "1":
        pixels = 255 * (1 - values.astype(np.uint8))
        return pixels.reshape(shape)
    table = np.arange(FULL_SCALE + 1, dtype=np.uint64)
    white = FULL_SCALE if maximum > 255 else 255
    table = np.minimum((table * white + maximum // 2) // maximum, white)
    scaled: Values = table.astype(np.uint16 if maximum > 255 else np.uint8)[values]
    return scaled.reshape(shape)


def _text_values(text: bytes, count: int, *, is_bits: bool) -> Values:
    """Return the first `count` numbers of a text, or its 0 and 1 where these need no space between them."""
    text = _COMMENT.sub(b"", text)
    if _NUMBERS.fullmatch(text) is None:
        raise DataError("a netpbm picture whose values are not numbers")
    if is_bits:
        digits = np.frombuffer(text, dtype=np.uint8)
        bits: Values = digits[(digits == ord("0")) | (digits == ord("1"))][:count]
        return bits - ord("0")
    values = np.fromstring(text.decode("ascii"), dtype=np.int64, sep=" ", count=-1)[:count]
    return np.clip(values, 0, FULL_SCALE)
