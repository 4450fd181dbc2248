"""The bytes of a JPEG -> exactly one picture with its end, and remarks; or how much of it is missing.

The one idea: libjpeg fills what is missing without a word, so it cannot be asked whether a picture without an end is
whole. But it makes what is missing of whatever comes next: decoded with other bytes after it, a picture that is cut
short looks otherwise, and from the first row that does so on it is missing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError

__all__ = ["completed_jpeg", "lacks_end", "tidy_jpeg"]

END = b"\xff\xd9"

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MOST_SEGMENTS = 200_000
_MOST_PIXELS = 8 << 20  # of the pictures that are compared
_RESTARTS = [b"\xff" + bytes([0xD0 + number]) for number in range(8)]
_FILLERS = [
    b"".join(bytes((7 * at * at + seed * at + seed) % 251 for at in range(300)) + mark for mark in _RESTARTS * 2)
    for seed in (83, 171)
]

Open = Callable[[io.BytesIO], ImageFile]


def tidy_jpeg(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the first picture in a JPEG file, up to its end where it has one, and remarks on what follows it.

    Args:
        data: Begins with JPEG's signature.
    """
    if data.endswith(END) and b"\xff\xd9\xff\xd8\xff" not in data:
        return data, ()
    end = _end_of(data)
    if end is None or end == len(data):
        return data, ()
    rest = data[end:]
    if rest.lstrip(b"\0").startswith(b"\xff\xd8\xff"):
        remark = "used the first of several pictures in the file"
    else:
        remark = f"{len(rest):,} {'zero' if not rest.strip(bytes(1)) else 'further'} bytes after its end"
    return data[:end], (remark,)


def lacks_end(data: bytes) -> bool:
    """Return whether bytes are a JPEG without an end."""
    return data.startswith(b"\xff\xd8\xff") and not data.endswith(END)


def completed_jpeg(data: bytes, open_jpeg: Open) -> bytes:
    """Return a JPEG that lacks its end with one.

    Args:
        data: Without the end.
        open_jpeg: Pillow's reader.

    Raises:
        DataError: It is cut short; says how much is missing.
    """
    body = data.rstrip(b"\0\xff")
    try:
        missing = _missing_rows(body, open_jpeg)
    except OSError:  # what follows it made it worse: it is not whole
        raise DataError(f"ends after {len(data):,} bytes, before the picture is complete: data are missing") from None
    if missing[0] and body != data:  # its last byte may have been 255, which is written as 255 and 0
        body += b"\xff\0"
        missing = _missing_rows(body, open_jpeg)
    rows, height = missing
    if rows:
        raise DataError(
            f"ends after {len(data):,} bytes, before the picture is complete: "
            f"{rows:,} of its {height:,} rows are missing"
        )
    if not _has_all_passes(body):
        raise DataError(f"ends after {len(data):,} bytes, before the picture is complete: later passes are missing")
    return body + END


def _end_of(data: bytes) -> int | None:
    """Return where the first picture ends, or None where it has no end."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 2 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF:
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            found = _MARKER.search(data, at)
            if found is None:
                return None
            at = found.start()
    return None


def _missing_rows(body: bytes, open_jpeg: Open) -> tuple[int, int]:
    """Return how many rows of a picture without an end depend on what follows it, and how many it has."""
    whole, height = _rows(body + END, open_jpeg)
    first = len(whole)
    for filler in _FILLERS:
        other, _ = _rows(body + filler + END, open_jpeg)
        differs = np.flatnonzero(whole != other)
        first = min([first, *differs[:1].tolist()])
    return (len(whole) - first) * height // max(1, len(whole)), height


def _rows(data: bytes, open_jpeg: Open) -> tuple[npt.NDArray[np.int64], int]:
    """Return a number for each row of a decoded picture, and the height of the original."""
    with open_jpeg(io.BytesIO(data)) as image:
        width, height = image.size
        if width * height > _MOST_PIXELS:
            factor = min(8, 2 * int((width * height / _MOST_PIXELS) ** 0.5))
            image.draft(None, (width // factor, height // factor))
        image.load()
        pixels = np.asarray(image)
    weights = 1 + np.arange(pixels[0].size, dtype=np.int64) % 65521
    sums = np.array([int(row.ravel().astype(np.int64) @ weights) for row in pixels], dtype=np.int64)
    return sums, height


def _has_all_passes(body: bytes) -> bool:
    """Return whether every coefficient of every component was written down to its last bit."""
    at, components, left = 2, set[int](), dict[tuple[int, int], int]()
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(body) or body[at] != 0xFF:
            break
        marker, size = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        segment = body[at + 4 : at + 2 + size]
        at += 2 + size
        if marker in {0xC0, 0xC1, 0xC2} and len(segment) > 5:
            components = set(segment[6 : 6 + 3 * segment[5] : 3])
        if marker != 0xDA or not segment:
            continue
        num = segment[0]
        first, last, bits = (*segment[1 + 2 * num : 4 + 2 * num], 0, 0, 0)[:3]
        for component in segment[1 : 1 + 2 * num : 2]:
            left.update({(component, place): bits & 15 for place in range(first, min(last, 63) + 1)})
        found = _MARKER.search(body, at)
        if found is None:
            break
        at = found.start()
    return all(left.get((component, place), 1) == 0 for component in components for place in range(64))
