"""An encoded picture -> whether decoding it here is cheap for certain, what it takes, or why it takes too much.

The one idea: a file of a few kilobytes can ask for minutes and gigabytes, so what a header says is held against fixed
limits first. What is ordinary and small by its own account is decoded in this process; all else goes to a worker
process (`confined.py`), where the same limits are enforced whatever the header says.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition

from PIL import ImageMode
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError
from thawline.core.runtime import num_workers
from thawline.data.headers import webp_size

__all__ = [
    "LARGE_PIXELS",
    "MAX_BYTES",
    "MAX_CHUNKS",
    "MAX_HONEST_BYTES",
    "MAX_STRIPS",
    "Turns",
    "bmp_is_ordinary",
    "check_claim",
    "check_forecast",
    "check_plain",
    "gif_is_ordinary",
    "is_light",
    "jpeg_is_ordinary",
    "png_is_ordinary",
    "tiff_is_ordinary",
    "turns",
    "webp_is_ordinary",
]

MAX_BYTES = 256 << 20
"""Memory that decoding a picture may take beyond the process itself."""

MAX_HONEST_BYTES = 640 << 20
"""The same for a picture whose file is long enough to hold what it claims."""

HONEST_RATIO = 200
"""A file that claims more than this many times its length gets no more memory: photos reach 50, drawings 150, and what
deflate makes of nothing 1,000."""

LARGE_PIXELS = 8 << 20
"""More decoded pixels than this (a 4K screen is just below) are decoded by a worker and reduced before all else."""

MAX_SCANS = 100
"""Passes over a JPEG; ordinary progressive ones have 10, thorough optimisers write up to 60."""

MAX_SCANNED_MEGAPIXELS = 2_000
"""Scans times megapixels of a JPEG: a second or two of work."""

MAX_JPEG_HEADER = 16 << 20
"""Bytes before the first scan of a JPEG; depth maps of phones take a few of these megabytes."""

MAX_CHUNKS = 100_000
"""Pieces of a PNG."""

MAX_STRIPS = 100_000
"""Pieces of a TIFF: Pillow makes a list of them."""

MAX_RUN_LENGTH_MEGAPIXELS = 4
"""Run-length BMPs are decoded by Python code, at 70 to 200 ms a megapixel."""

SHARED_BYTES, SHARED_BYTES_PER_WORKER = 512 << 20, 160 << 20
"""What pictures that are decoded at once may take together, more on many processors; a single one may always start."""

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # what Pillow keeps; else 4
_PLAIN_CODECS = {"raw", "zip", "gif", "jpeg"}  # written in C, linear in the pixels, silent
_MOST_SEGMENTS, _MOST_JPEG_HEADER, _LIGHT_SCANNED_MEGAPIXELS = 500, 1 << 20, 200
_MOST_LIGHT_CHUNKS, _MOST_GIF, _MOST_WEBP_PIXELS = 10_000, 2 << 20, 4 << 20
_MOST_TIFF_ENTRIES, _MOST_TIFF_VALUES = 200, 20_000
_MOST_WEBP_TREES, _WEBP_TREE_BYTES, _WEBP_BLOCK_PIXELS = 64 << 20, 11_000, 16


def jpeg_is_ordinary(data: bytes) -> bool:
    """Return whether a JPEG is a plain baseline or progressive one of few scans, so that its cost is its size's.

    Raises:
        DataError: It has more scans, or a longer header, than is allowed.
    """
    start = _jpeg_start(data)
    if start is None:
        if data.find(b"\xff\xda", 0, MAX_JPEG_HEADER) < 0 and len(data) > MAX_JPEG_HEADER:
            raise DataError(
                f"a JPEG with no picture in its first {MAX_JPEG_HEADER >> 20} MiB, the most that is searched"
            )
        return False
    marker, megapixels, num_missing, scan = start
    if marker in {0xC0, 0xC1} and not num_missing:
        return scan <= _MOST_JPEG_HEADER  # a sequential picture ends with its first scan
    scans = data.count(b"\xff\xda", scan)
    if scans > MAX_SCANS:
        raise DataError(f"a JPEG of {scans:,} scans, over the {MAX_SCANS} allowed")
    if scans * megapixels > MAX_SCANNED_MEGAPIXELS:
        raise DataError(
            f"a JPEG of {scans:,} scans of {megapixels:,.0f} megapixels, together over the "
            f"{MAX_SCANNED_MEGAPIXELS:,} megapixels allowed"
        )
    return marker == 0xC2 and scan <= _MOST_JPEG_HEADER and scans * megapixels <= _LIGHT_SCANNED_MEGAPIXELS


def _jpeg_start(data: bytes) -> tuple[int, float, int, int] | None:
    """Return frame marker, megapixels, components that the first scan lacks, and where it begins; None if unclear."""
    at, frame = 2, None
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xDA:
            return None if frame is None or at + 5 > len(data) else (*frame[:2], frame[2] - data[at + 4], at)
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            if frame is not None or at + 10 > len(data):
                return None
            height, width = struct.unpack_from(">HH", data, at + 5)
            frame = (marker, width * height / 1e6, data[at + 9])
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD9 or marker == 0xFF:  # no segment, or padding
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def png_is_ordinary(data: bytes) -> bool:
    """Return whether a PNG has few enough pieces to be opened here.

    Raises:
        DataError: It has more of them than are allowed.
    """
    at, num = 8, 0
    while at + 8 <= len(data):
        num += 1
        if num > MAX_CHUNKS:
            raise DataError(f"a PNG of more than the {MAX_CHUNKS:,} chunks allowed")
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return num <= _MOST_LIGHT_CHUNKS


def gif_is_ordinary(data: bytes) -> bool:
    """Return whether a GIF is short: its blocks are walked by Python code, up to the second frame."""
    return len(data) <= _MOST_GIF


def bmp_is_ordinary(data: bytes) -> bool:
    """Return True: a BMP is opened at no cost; how it is compressed is seen then."""
    return True


def webp_is_ordinary(data: bytes) -> bool:
    """Return whether a WebP is small, and has room for few code tables where a part of it is lossless.

    A lossless picture may bring a set of tables of 11 KB for each block of 16 pixels, in 20 bits of its file.
    """
    width, height = webp_size(data) or (1 << 14, 1 << 14)
    if width * height > _MOST_WEBP_PIXELS:
        return False
    if b"VP8L" not in data and b"ALPH" not in data:
        return True
    return min(width * height // _WEBP_BLOCK_PIXELS, len(data) * 8 // 20) * _WEBP_TREE_BYTES <= _MOST_WEBP_TREES


def tiff_is_ordinary(data: bytes) -> bool:
    """Return whether the first directory of a TIFF is short and its pixels are not compressed: libtiff stays out.

    Raises:
        DataError: It has more strips or tiles than are allowed.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return False
    start = struct.unpack_from(order + "I", data, 4)[0] + 2
    if start > len(data):
        return False
    num = struct.unpack_from(order + "H", data, start - 2)[0]
    if num > _MOST_TIFF_ENTRIES or start + 12 * num > len(data):
        return False
    for at in range(start, start + 12 * num, 12):
        tag, _, count = struct.unpack_from(order + "HHI", data, at)
        if count > MAX_STRIPS and tag in {273, 279, 324, 325}:
            raise DataError(f"a TIFF of {count:,} strips or tiles, over the {MAX_STRIPS:,} allowed")
        is_compressed = tag == 259 and struct.unpack_from(order + "H", data, at + 8)[0] != 1
        if is_compressed or (count > _MOST_TIFF_VALUES and tag in {258, 273, 279, 324, 325, 330}):
            return False
    return True


def check_forecast(image: ImageFile, pixel_bytes: int | None, *, full_size: tuple[int, int], num_encoded: int) -> int:
    """Return the memory in bytes that loading an opened picture and bringing it to RGB takes, by its header.

    Args:
        image: Opened, after `draft`, not loaded.
        pixel_bytes: What its decoder takes for each pixel, where that is more than Pillow keeps of it.
        full_size: Width and height of the picture before `draft`, in pixels.
        num_encoded: Length of the file in bytes.

    Raises:
        DataError: It takes more memory or time than is allowed; says how much.
    """
    full_pixels = full_size[0] * full_size[1]
    if image.tile and image.tile[0][0] == "bmp_rle" and full_pixels > MAX_RUN_LENGTH_MEGAPIXELS * 1e6:
        raise DataError(
            f"a run-length BMP of {full_pixels / 1e6:,.1f} megapixels, over the {MAX_RUN_LENGTH_MEGAPIXELS} allowed"
        )
    num_bytes = _forecast(image, pixel_bytes, full_pixels)
    _check_bytes(num_bytes, image.mode, full_pixels, num_encoded=num_encoded)
    return num_bytes


def check_claim(size: tuple[int, int], pixel_bytes: int, *, num_encoded: int) -> None:
    """Refuse a picture by its header alone, where opening it takes the memory of all its pixels.

    Args:
        size: Claimed width and height in pixels.
        pixel_bytes: Memory that its decoder takes for each.
        num_encoded: Length of the file in bytes.

    Raises:
        DataError: It takes more memory than is allowed.
    """
    full_pixels = size[0] * size[1]
    _check_bytes(full_pixels * pixel_bytes, "RGBA", full_pixels, num_encoded=num_encoded)


def _check_bytes(num_bytes: int, mode: str, full_pixels: int, *, num_encoded: int) -> None:
    """Compare a forecast with what a file of this length may take."""
    is_honest = full_pixels * len(ImageMode.getmode(mode).bands) <= HONEST_RATIO * num_encoded
    allowed = MAX_HONEST_BYTES if is_honest else MAX_BYTES
    if num_bytes > allowed:
        raise DataError(
            f"{full_pixels / 1e6:,.1f} megapixels of mode {mode} take {num_bytes >> 20:,} MiB to decode, over the "
            f"{allowed >> 20} MiB allowed for a file of {num_encoded:,} bytes"
        )


def _forecast(image: ImageFile, pixel_bytes: int | None, full_pixels: int) -> int:
    """Return the bytes that loading takes; what is large is reduced before it is converted."""
    pixels = image.width * image.height
    loaded = pixels * (pixel_bytes or _PIXEL_BYTES.get(image.mode, 4))
    if image.info.get("progressive"):  # all coefficients are held until the last scan
        loaded += int(full_pixels * 2 * _components(image))
    if pixels > LARGE_PIXELS:
        return loaded
    is_deep = image.mode == "F" or image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)
    is_clear = "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}
    return loaded + pixels * (32 if is_deep else 20 if is_clear else 4)


def _components(image: ImageFile) -> float:
    """Return how many values a pixel of a JPEG has on average: 1.5 where colours have half the resolution."""
    areas = [rows * columns for _, rows, columns, _ in getattr(image, "layer", ())]
    return sum(areas) / max([*areas, 1]) if areas else len(image.getbands())


def check_plain(size: tuple[int, int], pixel_bytes: int, *, num_encoded: int) -> int:
    """Return the memory in bytes that reading values takes which lie in the file as they are.

    Args:
        size: Width and height in pixels.
        pixel_bytes: Memory for each, file included.
        num_encoded: Length of the file in bytes.

    Raises:
        DataError: It takes more memory than is allowed.
    """
    num_bytes = size[0] * size[1] * pixel_bytes
    _check_bytes(num_bytes, "RGB", size[0] * size[1], num_encoded=num_encoded)
    return num_bytes


def is_light(image: ImageFile | None, num_bytes: int) -> bool:
    """Return whether an opened picture may be loaded in this process: small, and by a decoder in C that is silent."""
    if image is None:
        return num_bytes <= 4 * LARGE_PIXELS
    codecs = {tile[0] for tile in image.tile}
    return codecs <= _PLAIN_CODECS and image.width * image.height <= LARGE_PIXELS and num_bytes <= MAX_BYTES


class Turns:
    """Memory that is shared by all pictures being decoded: who asks for much waits until others have finished.

    Args:
        most_bytes: What they may take together; one alone may take more.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._changed = Condition()

    @contextmanager
    def reserved(self, num_bytes: int) -> Iterator[None]:
        """Wait until there is room for `num_bytes`, and keep it for the length of the context."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + num_bytes <= self._most)
            self._taken += num_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= num_bytes
                self._changed.notify_all()


@cache
def turns() -> Turns:
    """Return the turns of this process: a forked child has its own."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=turns.cache_clear)
    return Turns(max(SHARED_BYTES, num_workers() * SHARED_BYTES_PER_WORKER))
