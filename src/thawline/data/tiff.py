"""A TIFF -> its layout, and its values where they are stored plainly; or a true sentence why it is no picture here.

The one idea: Pillow reads the usual TIFFs, but not deep colours, bands one after the other in more than 8 bits, nor
floats of several bands. Where such values are not compressed they are strips or tiles of numbers, read here; where they
are, the sentence says what would have to be converted.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from thawline.core.errors import DataError
from thawline.data.bounds import MAX_STRIPS

__all__ = ["MAX_BANDS", "TiffLayout", "is_plain", "tiff_layout", "tiff_values"]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, NUM_BANDS, STRIP_ROWS, PLANAR = 273, 274, 277, 278, 284
TILE_WIDTH, TILE_HEIGHT, TILES, EXTRA, SAMPLE_FORMAT, NO_DATA = 322, 323, 324, 338, 339, 42113

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
PREMULTIPLIED, ALPHA = 1, 2
MAX_BANDS = 6
"""Of a pixel, in Pillow's reader."""

_TYPES = {1: "u", 2: "i", 3: "f"}
_WORDS = {1: "", 2: " signed", 3: " float"}

Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class TiffLayout:
    """How the values of a TIFF's first picture lie in its file.

    Attributes:
        tags: All tags, as Pillow reads them.
        order: `<` or `>`.
        width_px: Of the picture as stored, before any turn.
        height_px: Likewise.
        bits: Of a value, the widest of the bands.
        sample_format: 1 whole numbers, 2 signed ones, 3 floats.
        num_bands: Values of a pixel.
        photometric: What the first bands mean: 0 and 1 grey, 2 RGB, 3 a palette, …
        is_planar: Whether one band follows the other.
        is_uniform: Whether all bands are stored alike.
        compression: As Pillow calls it; `raw` for none.
        extra: What further bands mean: 0 unknown, 1 alpha that is multiplied in, 2 alpha.
    """

    tags: ImageFileDirectory_v2
    order: str
    width_px: int
    height_px: int
    bits: int
    sample_format: int
    num_bands: int
    photometric: int
    is_planar: bool
    is_uniform: bool
    compression: str
    extra: tuple[int, ...]

    @property
    def kind(self) -> str:
        """How values are stored, in words: `16-bit`, `16-bit signed`, `32-bit float`."""
        return f"{self.bits}-bit{_WORDS.get(self.sample_format, ' of an unknown type')}"

    @property
    def pixel_bytes(self) -> int:
        """Memory that reading a pixel takes."""
        return 2 * self.num_bands * self.bits // 8 + 8

    @property
    def num_colours(self) -> int:
        """Bands that a person sees: 3 of an RGB picture, else 1."""
        return 3 if self.photometric == RGB else 1

    @property
    def orientation(self) -> int:
        """Turn, 1 to 8 as in EXIF."""
        value = self.tags.get(ORIENTATION, 1)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1

    @property
    def no_data(self) -> float | None:
        """The value that stands for `not measured`, as GDAL writes it."""
        try:
            return float(str(self.tags.get(NO_DATA, "")).strip("\0 "))
        except ValueError:
            return None

    def why_not(self) -> str:
        """Return what the file holds instead of a picture, and the way out."""
        bands = "one band" if self.num_bands == 1 else f"{self.num_bands} bands"
        packing = "" if self.compression == "raw" else f", compressed ({self.compression.removeprefix('tiff_')})"
        if self.num_bands != self.num_colours and not self.extra:
            return (
                f"a TIFF of {bands} ({self.kind}) that does not say which are red, green and blue: "
                "export three of them, or one, as a picture"
            )
        return f"a TIFF of {bands} ({self.kind}{packing}) that cannot be read here: save it as 8-bit or 16-bit PNG"


def tiff_layout(data: bytes) -> TiffLayout | None:
    """Return the layout of the first picture, or None where the tags do not give one."""
    stream = io.BytesIO(data)
    head = stream.read(16 if data[2:3] == b"+" or data[3:4] == b"+" else 8)
    try:
        tags = ImageFileDirectory_v2(head)
        stream.seek(tags.next)
        tags.load(stream)
        bits, formats = _numbers(tags, BITS, (1,)), _numbers(tags, SAMPLE_FORMAT, (1,))
        (width,), (height,) = _numbers(tags, WIDTH), _numbers(tags, HEIGHT)
        return TiffLayout(
            tags,
            order="<" if data[:2] == b"II" else ">",
            width_px=width,
            height_px=height,
            bits=max(bits),
            sample_format=formats[0],
            num_bands=_numbers(tags, NUM_BANDS, (len(bits),))[0],
            photometric=_numbers(tags, PHOTOMETRIC, (0,))[0],
            is_planar=_numbers(tags, PLANAR, (1,))[0] == 2,
            is_uniform=len({*bits}) == len({*formats}) == 1,
            compression=COMPRESSION_INFO.get(_numbers(tags, COMPRESSION, (1,))[0], "in an unknown way"),
            extra=_numbers(tags, EXTRA, ()),
        )
    except Exception:  # hostile tags raise a dozen kinds; then Pillow's own reader says what is wrong
        return None


def is_plain(layout: TiffLayout) -> bool:
    """Return whether `tiff_values` reads such a file, and Pillow does not read it rightly."""
    readable = (
        layout.compression == "raw"
        and layout.is_uniform
        and layout.bits in {8, 16, 32, 64}
        and layout.sample_format in _TYPES
        and not (layout.sample_format == 3 and layout.bits == 8)
        and layout.photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO, RGB}
        and layout.tags.get(FILL_ORDER, 1) == 1
        and layout.num_bands in {layout.num_colours, layout.num_colours + len(layout.extra)}
    )
    return readable and (layout.bits > 8 or layout.sample_format != 1 or (layout.is_planar and layout.num_bands > 1))


def tiff_values(data: bytes, layout: TiffLayout) -> Values:
    """Return the values of a picture for which `is_plain` holds: (H, W, bands), as stored; memory: twice the picture.

    Raises:
        DataError: The file ends before the picture is complete, or its parts do not make one.
    """
    dtype = np.dtype(f"{layout.order}{_TYPES[layout.sample_format]}{layout.bits // 8}")
    if len(data) < layout.width_px * layout.height_px * layout.num_bands * dtype.itemsize // 2:
        _missing(data)  # a header that claims more than the file holds must not allocate it
    planes = layout.num_bands if layout.is_planar else 1
    depth = layout.num_bands // planes
    read = _read_tiles if TILES in layout.tags else _read_strips
    parts = [read(data, layout, dtype=dtype, plane=plane, depth=depth) for plane in range(planes)]
    return parts[0] if planes == 1 else np.concatenate(parts, axis=2)


def _read_strips(data: bytes, layout: TiffLayout, *, dtype: np.dtype[Any], plane: int, depth: int) -> Values:
    """Return one plane, (H, W, depth), of a picture in strips."""
    width, height = layout.width_px, layout.height_px
    rows = min(max(1, _numbers(layout.tags, STRIP_ROWS, (height,))[0]), height)
    count = -(-height // rows)
    offsets = _numbers(layout.tags, STRIPS)[plane * count : (plane + 1) * count]
    out = np.empty((height, width, depth), dtype=dtype)
    for number in range(count):
        part = out[number * rows : (number + 1) * rows]
        part[...] = _block(data, offsets, number, dtype=dtype, shape=part.shape)
    return out


def _read_tiles(data: bytes, layout: TiffLayout, *, dtype: np.dtype[Any], plane: int, depth: int) -> Values:
    """Return one plane, (H, W, depth), of a picture in tiles; those at the edges are cut."""
    width, height = layout.width_px, layout.height_px
    (tile_width,), (tile_height,) = _numbers(layout.tags, TILE_WIDTH), _numbers(layout.tags, TILE_HEIGHT)
    across, down = -(-width // max(1, tile_width)), -(-height // max(1, tile_height))
    if across * down > MAX_STRIPS or tile_width * tile_height > 4 * max(width * height, 1 << 20):
        raise DataError(f"a TIFF of {across * down:,} tiles of {tile_width:,}×{tile_height:,} px")
    count = across * down
    offsets = _numbers(layout.tags, TILES)[plane * count : (plane + 1) * count]
    out = np.empty((height, width, depth), dtype=dtype)
    for number in range(count):
        top, left = number // across * tile_height, number % across * tile_width
        part = out[top : top + tile_height, left : left + tile_width]
        block = _block(data, offsets, number, dtype=dtype, shape=(tile_height, tile_width, depth))
        part[...] = block[: part.shape[0], : part.shape[1]]
    return out


def _block(
    data: bytes, offsets: tuple[int, ...], number: int, *, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Values:
    """Return the values of one strip or tile."""
    size = int(np.prod(shape))
    if number >= len(offsets) or offsets[number] + size * dtype.itemsize > len(data):
        _missing(data)
    return np.frombuffer(data, dtype, size, offsets[number]).reshape(shape)


def _missing(data: bytes) -> None:
    raise DataError(f"ends after {len(data):,} bytes, before the picture is complete")


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Return a tag's whole numbers; raises `DataError` where it has others, or none and no default is given."""
    value = tags.get(tag, default)
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise DataError(f"a damaged TIFF: its tag {tag} is {str(value)[:40]}")
    return tuple(int(number) for number in numbers)
