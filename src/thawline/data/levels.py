"""Stored values of more than 8 bits -> 8-bit pixels, by one range for all pictures of a set.

The one idea: a file does not say which of its values are used. A 16-bit file may hold the 12 bits of a detector or a
few hundred counts, and read by the range of its format it is black. So the range is taken from the whole set, once:
what one picture alone suggests would make dark pictures as bright as bright ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thawline.core.rendering import Levels

if TYPE_CHECKING:  # a worker process starts faster without
    from thawline.core.types import Pixels

__all__ = ["Deep", "Extent", "extent_of", "find_levels", "levels_note", "range_of", "to_8_bits"]

FULL_SCALES = (1, *(2**bits - 1 for bits in (8, 10, 12, 14, 15, 16, 24, 32)))
"""Largest values of the usual formats: fractions, then bits of a detector."""

MIN_USE = 0.5
"""A set that stays below this share of a full scale has a range of its own: counts, a dark exposure."""

STRAY = 8.0
"""Values this many times above the rest are hot pixels or another unit, and must not make the rest black."""

STRAY_PIXELS, STRAY_PICTURES, MIN_PICTURES = 0.001, 0.01, 20
"""Largest share of such pixels in a picture, and of such pictures in a set; smaller sets have none."""

SENTINELS = (-9999.0, -99999.0, -32768.0, -2147483648.0)
"""Values that usually stand for `not measured`."""

BEYOND = 3e38
"""Floats beyond it stand for `not measured`, too."""

_SAMPLE = 1 << 20
_CHUNK = 1 << 22

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Deep:
    """A picture of more than 8 bits as its file holds it.

    Attributes:
        values: (H, W) grey or (H, W, 3) RGB; whole numbers or floats of any width.
        kind: How they are stored, in words: `16-bit`, `16-bit signed`, `32-bit float`, …
        alpha: (H, W) uint8 opacity, or None where all is opaque.
        is_inverted: Whether the smallest value is white.
        no_data: The value that the file itself calls `not measured`.
    """

    values: Values
    kind: str
    alpha: Pixels | None = None
    is_inverted: bool = False
    no_data: float | None = None


@dataclass(frozen=True)
class Extent:
    """Which values a picture uses.

    Attributes:
        kind: As in `Deep`.
        lowest: Its smallest value.
        low: The value that all but a thousandth of its pixels reach.
        high: The value that all but a thousandth of its pixels stay within.
        highest: Its largest value.
    """

    kind: str
    lowest: float
    low: float
    high: float
    highest: float


@np.errstate(all="ignore")  # what damaged files call numbers
def extent_of(deep: Deep) -> Extent:
    """Return which values a picture uses; those that stand for `not measured` are left out.

    A picture without any value has the extent 0 to 0.
    """
    missing = _missing(deep)
    values = deep.values if missing is None else deep.values[~missing]
    if not values.size:
        return Extent(deep.kind, 0.0, 0.0, 0.0, 0.0)
    sample = values.ravel()[:: max(1, values.size // _SAMPLE)]
    low, high = np.percentile(sample, [100 * STRAY_PIXELS, 100 * (1 - STRAY_PIXELS)], method="nearest").tolist()
    return Extent(deep.kind, float(values.min()), float(low), float(high), float(values.max()))


def find_levels(extents: Iterable[Extent]) -> tuple[Levels, ...]:
    """Return the range of every kind in a set, sorted by kind; the order of the pictures does not matter.

    White is the smallest usual full scale (255, 1,023, 4,095, …) of which the set uses more than half, else its largest
    value. Black is 0, or the smallest value where some are negative. Hot pixels and single pictures that are `STRAY`
    times brighter than all others count as what they are.
    """
    by_kind: dict[str, list[Extent]] = defaultdict(list)
    for extent in extents:
        by_kind[extent.kind].append(extent)
    return tuple(_range(kind, by_kind[kind]) for kind in sorted(by_kind))


def levels_note(levels: Levels) -> str:
    """Return in words what was scaled to what."""
    return f"scaled {levels.kind} levels, {range_of(levels)}, to 8 bits"


def range_of(levels: Levels) -> str:
    """Return the range alone, in words."""
    return f"{_number(levels.low)} to {_number(levels.high)}"


@np.errstate(all="ignore")  # what damaged files call numbers
def to_8_bits(deep: Deep, levels: Levels) -> tuple[Pixels, tuple[str, ...], tuple[str, ...]]:
    """Return (H, W) or (H, W, 3) uint8 pixels, repairs, and remarks on values outside the range.

    Args:
        deep: The picture.
        levels: The range that becomes 0 to 255.
    """
    values, low, high = deep.values, levels.low, levels.high
    missing = _missing(deep)
    pixels = np.empty(values.shape, dtype=np.uint8)
    rows = max(1, _CHUNK // max(1, values[0].size))
    table = _table(values.dtype, levels)
    brighter = darker = 0
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        part = part.astype(np.float64) if table is None else part
        if missing is not None:
            part = np.where(missing[start : start + rows], part.dtype.type(low), part)
        pixels[start : start + rows] = _scaled(part, levels) if table is None else table[part]
        brighter += int((part > high).sum())
        darker += int((part < low).sum())
    if deep.is_inverted:
        np.subtract(255, pixels, out=pixels)
    repairs: tuple[str, ...] = ()
    if missing is not None:
        pixels[missing] = 0
        repairs = (f"{int(missing.sum()):,} values that were not measured became black",)
    outside = [(brighter, f"brighter than {_number(high)}"), (darker, f"darker than {_number(low)}")]
    remarks = tuple(
        f"{count:,} values {words}, where the range ends, were clipped" for count, words in outside if count
    )
    return pixels, repairs, remarks


def _table(dtype: np.dtype[np.generic], levels: Levels) -> Pixels | None:
    """Return the 8-bit level of every possible value, where these are few and not negative."""
    if dtype.kind != "u" or dtype.itemsize > 2:
        return None
    return _scaled(np.arange(1 << (8 * dtype.itemsize), dtype=np.float64), levels)


def _scaled(values: npt.NDArray[np.float64], levels: Levels) -> Pixels:
    """Return values as 0 to 255."""
    shares = (values - levels.low) / max(levels.high - levels.low, 1e-300)
    scaled: Pixels = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return scaled


def _missing(deep: Deep) -> npt.NDArray[np.bool_] | None:
    """Return where nothing was measured, or None where all was."""
    values, dtype = deep.values, deep.values.dtype
    if dtype.kind == "u" and deep.no_data is None:
        return None
    if dtype.kind == "f":
        missing = ~np.isfinite(values) | (np.abs(values) > BEYOND)
    else:
        missing = np.zeros(values.shape, dtype=bool)
    marks = [deep.no_data] if deep.no_data is not None else [mark for mark in SENTINELS if values.size]
    for mark in marks:
        missing |= values == mark
    return missing if missing.any() else None


def _range(kind: str, extents: Sequence[Extent]) -> Levels:
    """Return the range of the pictures of one kind."""
    peaks = [_kept(extent.highest, extent.high) for extent in extents]
    num_stray = max(1, int(STRAY_PICTURES * len(peaks))) if len(peaks) >= MIN_PICTURES else 0
    usual = sorted(peaks)[-1 - num_stray]
    top = max((peak for peak in peaks if peak <= STRAY * usual), default=usual)
    bottom = min(_kept(-extent.lowest, -extent.low) * -1 for extent in extents)
    low = min(bottom, 0.0)
    if low < 0:
        return Levels(kind, low, top if top > low else low + 1)
    full = next((scale for scale in FULL_SCALES if scale >= top and _may_be(scale, kind)), top)
    high = float(full if top > MIN_USE * full else top)
    return Levels(kind, 0.0, high if high > 0 else 1.0)


def _kept(extreme: float, usual: float) -> float:
    """Return the extreme value of a picture, or the usual one where the extreme is far beyond it."""
    return usual if extreme > STRAY * usual > 0 else extreme


def _may_be(scale: float, kind: str) -> bool:
    """Whether a full scale suits a kind: fractions are floats."""
    return scale > 1 or kind.endswith("float")


def _number(value: float) -> str:
    """Return a level as people write it."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"
