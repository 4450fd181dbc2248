"""What a check reads of every picture -> facts that have nothing to do with what it shows: light, size, file.

The one idea: the thumbnail that is kept anyway says most of it, for all pictures at once; only the brightest levels are
counted in the decoded picture, since a thumbnail blurs what editing leaves there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from thawline.core.types import Floats, Ints, Pixels
from thawline.data.copies import THUMBNAIL_PX

__all__ = ["FACTS", "THRESHOLDS", "Facts", "count_levels", "jpeg_table", "measure"]

FACTS = (
    "brightness", "darkest", "brightest", "contrast", "saturation", "warmth", "is_grey", "sharpness", "border",
    "border_spread", "corners", "corners_spread", "width_px", "height_px", "pixels", "aspect", "bytes_per_pixel",
    "jpeg_table",
)  # fmt: skip
"""Names of the columns of `Facts.values`, in order."""

THRESHOLDS = (240, 251, 254, 255)
"""Levels of 0 to 255: which share of a picture is at least as bright."""
MOST_WHITE = 0.1
"""A picture with more of it at 254 and above stands on white: its brightest levels say nothing of the exposure."""
LEAST_BRIGHT = 0.002
"""A picture with less of it at 240 and above has no highlights to judge by."""

_FEWEST = 1e-4
"""Added to the density of a band: what a handful of pixels say is not listened to."""
_LEVELS, _TOP = 256, 16
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_BLOCK = 32  # thumbnails that stay in the processor's cache
_MAX_COUNTED_PX = 512
_SAME = 2.0  # levels between the channels of a grey picture, which JPEG may part


@dataclass(frozen=True, repr=False, eq=False)
class Facts:
    """Facts of N pictures.

    Attributes:
        paths: N names as shown to people.
        formats: N names of formats, `JPEG`, `PNG`, ….
        values: (N, F) float32, a column for each of `FACTS`, all finite. Light and contrast are in levels of 0 to 255,
            `sharpness` is the logarithm of the variance of the Laplacian of the thumbnail plus one, `jpeg_table` the
            sum of the table by which a JPEG was made coarse (0 of other formats), `is_grey` 0 or 1.
        tops: (N, 4) float32 shares of the pixels, all channels together, that are at least as bright as `THRESHOLDS`.
    """

    paths: tuple[str, ...]
    formats: tuple[str, ...]
    values: Floats
    tops: Floats

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<Facts of {len(self):,} pictures>"

    def column(self, name: str) -> Floats:
        """Return (N,) one of `FACTS`."""
        found: Floats = self.values[:, FACTS.index(name)]
        return found

    def of(self, paths: Sequence[str]) -> Facts:
        """Return the facts of some of the pictures, in the order in which they are named."""
        rows = np.array([self._places[path] for path in paths], dtype=np.int64)
        formats = tuple(self.formats[row] for row in rows.tolist())
        return Facts(tuple(paths), formats, self.values[rows], self.tops[rows])

    @property
    def has_highlights(self) -> Ints:
        """(N,) bool; whether a picture has bright parts, and they are not a white ground."""
        has_bright, is_white = self.tops[:, 0] >= LEAST_BRIGHT, self.tops[:, 2] > MOST_WHITE
        return np.asarray(has_bright & ~is_white)

    @property
    def spikes(self) -> Floats:
        """(N, 2) float: logarithms of how much denser level 255 is than 254, and these two than 251 to 253.

        What was made brighter afterwards piles up at the top; what a camera saw falls off towards it, or is cut off
        with a slope of its own.
        """
        _, from_251, from_254, from_255 = self.tops.T
        densities = (from_255, from_254 - from_255), (from_254 / 2, (from_251 - from_254) / 3)
        spikes: Floats = np.column_stack([np.log((one + _FEWEST) / (other + _FEWEST)) for one, other in densities])
        return spikes

    @cached_property
    def _places(self) -> dict[str, int]:
        return {path: place for place, path in enumerate(self.paths)}


def count_levels(image: Image.Image) -> tuple[float, ...] | None:
    """Return which share of an RGB picture is at least as bright as each of `THRESHOLDS`, all channels together.

    None where the picture is as small as a thumbnail, which then says it as well. Of a large one a grid is counted.
    """
    if max(image.size) <= THUMBNAIL_PX:
        return None
    if max(image.size) > _MAX_COUNTED_PX:
        width, height = (min(side, _MAX_COUNTED_PX // 2) for side in image.size)
        image = image.resize((width, height), Image.Resampling.NEAREST)
    counts = image.histogram()
    total = 3 * image.width * image.height
    tops = [counts[end - _TOP : end] for end in (_LEVELS, 2 * _LEVELS, 3 * _LEVELS)]
    return tuple(sum(sum(top[level - _LEVELS :]) for top in tops) / total for level in THRESHOLDS)


def jpeg_table(data: bytes) -> int:
    """Return the sum of the first table by which a JPEG was made coarse: about 500 at quality 90; 0 of what is none.

    Read from the segments of the file, since an embedded preview may have tables too. Never raises.
    """
    if data[:2] != b"\xff\xd8":
        return 0
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDB:
            deep = data[place + 4] >> 4 if place + 4 < len(data) else 0
            table = data[place + 5 : place + 5 + 64 * (2 if deep else 1)]
            return sum(table) if not deep else sum(table[1::2]) + 256 * sum(table[::2])
        if marker == 0xDA:
            return 0
        place += 1 if marker == 0xFF else 2 + length
    return 0


def measure(
    paths: Sequence[str],
    thumbnails: Pixels,
    *,
    tops: Sequence[tuple[float, ...] | None],
    files: Floats,
    formats: Sequence[str],
) -> Facts:
    """Return the facts of N pictures.

    Args:
        paths: N names.
        thumbnails: (N, T, T, 3) uint8 RGB.
        tops: N times what `count_levels` returned.
        files: (N, 4) width and height in pixels, bytes, and `jpeg_table`.
        formats: N names of formats.
    """
    num = len(paths)
    light, above = np.empty((num, 12), dtype=np.float32), np.empty((num, len(THRESHOLDS)), dtype=np.float32)
    for start in range(0, num, _BLOCK):
        block = slice(start, start + _BLOCK)
        light[block] = _light(thumbnails[block])
        above[block] = _above(thumbnails[block])
    for row, top in enumerate(tops):
        if top is not None:
            above[row] = top
    width, height, num_bytes, table = np.asarray(files, dtype=np.float32).reshape(num, 4).T
    pixels = np.maximum(width * height, 1)
    sizes = (width, height, pixels, width / np.maximum(height, 1), num_bytes / pixels, table)
    values = np.column_stack([light, *sizes]).astype(np.float32)
    return Facts(tuple(paths), tuple(formats), values, above)


def _above(thumbnails: Pixels) -> Floats:
    """Return (n, 4) which share of the pixels of each thumbnail is at least as bright as each of `THRESHOLDS`."""
    flat = thumbnails.ravel()
    bright = np.flatnonzero(flat >= _LEVELS - _TOP)
    size = len(flat) // len(thumbnails)
    places = bright // size * _TOP + flat[bright] - (_LEVELS - _TOP)
    counts = np.bincount(places, minlength=_TOP * len(thumbnails)).reshape(-1, _TOP)
    from_above = counts[:, ::-1].cumsum(axis=1)[:, ::-1] / size
    return from_above[:, [level - _LEVELS + _TOP for level in THRESHOLDS]].astype(np.float32)


def _light(thumbnails: Pixels) -> Floats:
    """Return (n, 12): the columns of `FACTS` before `width_px`."""
    num, side = len(thumbnails), thumbnails.shape[1]
    red, green, blue = np.ascontiguousarray(thumbnails.transpose(3, 0, 1, 2))
    grey = red * _GREY[0]
    grey += green * _GREY[1]
    grey += blue * _GREY[2]
    colourful = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    colour, reds, blues = (own.reshape(num, -1).sum(axis=1) / side**2 for own in (colourful, red, blue))
    laplacian = 4 * grey[:, 1:-1, 1:-1]
    for around in (grey[:, :-2, 1:-1], grey[:, 2:, 1:-1], grey[:, 1:-1, :-2], grey[:, 1:-1, 2:]):
        laplacian -= around
    frame = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    edge = side // 8
    ends = (slice(None, edge), slice(-edge, None))
    corners = np.concatenate([grey[:, down, right].reshape(num, -1) for down in ends for right in ends], axis=1)
    flat = grey.reshape(num, -1)
    columns: list[Floats] = [flat.mean(axis=1), flat.min(axis=1), flat.max(axis=1), _spread(flat), colour, reds - blues]
    columns += [(colour < _SAME).astype(np.float32), np.log1p(_spread(laplacian.reshape(num, -1)) ** 2)]
    columns += [frame.mean(axis=1), _spread(frame), corners.mean(axis=1), _spread(corners)]
    return np.column_stack(columns).astype(np.float32)


def _spread(values: Floats) -> Floats:
    """Return (n,) standard deviations of (n, m) values."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread: Floats = np.sqrt(np.einsum("nm,nm->n", centred, centred) / values.shape[1])
    return spread
