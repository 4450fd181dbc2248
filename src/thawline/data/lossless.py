"""Pixels held as an array -> PNG bytes that are the same on every machine and with every version of every library.

The one idea: a picture is known by the hash of its bytes, so its bytes must not depend on a compressor. These
are not compressed at all (PNG 1.2, filter 0; RFC 1951, stored blocks); the table that holds them is.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thawline.core.errors import DataError
from thawline.data.headers import PNG_SIGNATURE

__all__ = ["encode_png"]

LONGEST_BLOCK = 0xFFFF
COLOURS = {1: 0, 3: 2, 4: 6}
"""Channels of a pixel → what PNG calls them: grey, RGB, RGB with opacity."""


def encode_png(pixels: NDArray[Any]) -> bytes:
    """Return a picture as PNG, without loss.

    Args:
        pixels: (height, width), (height, width, 3) or (height, width, 4) uint8: grey, or red, green and blue, perhaps
            with opacity.

    Raises:
        DataError: Any other shape or type.
    """
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in {3, 4})
    if pixels.dtype != np.uint8 or not is_picture or not pixels.size:
        raise DataError(
            f"encode: an array of {pixels.shape} {pixels.dtype} is not a picture; required is (h, w[, 3 or 4]) uint8."
        )
    height, width = pixels.shape[:2]
    lines = np.zeros((height, 1 + pixels.size // height), np.uint8)  # a filter byte of 0 opens every line
    lines[:, 1:] = pixels.reshape(height, -1)
    colours = COLOURS[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return b"".join(
        [PNG_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", _stored(lines.tobytes())), _chunk(b"IEND", b"")]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk: length, kind, data and their sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stored(data: bytes) -> bytes:
    """Return a zlib stream that holds the data as it is."""
    starts = range(0, len(data), LONGEST_BLOCK)
    blocks = [data[start : start + LONGEST_BLOCK] for start in starts]
    framed = [
        struct.pack("<BHH", number == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks)
    ]
    return b"\x78\x01" + b"".join(framed) + struct.pack(">I", zlib.adler32(data))
