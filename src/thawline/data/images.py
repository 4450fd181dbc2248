"""Encoded bytes -> an RGB picture, or the network's square input, or a `DataError` with a short reason.

The one idea: all decoding is here. The bytes say what they are (file names never do), the size is read from the header
and checked before a pixel is decoded, and whatever Pillow raises becomes one short reason. What is ordinary and light
is decoded by the calling thread, all else by a worker process with limits. Decoding runs in thread pools, so nothing
here touches state that threads share. Pillow resizes as well, so that a service needs no torch.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError
from thawline.data.bounds import LARGE_PIXELS, check_claim, check_forecast, is_light, turns
from thawline.data.confined import workers
from thawline.data.formats import Format, format_of
from thawline.data.headers import exif_orientation

if TYPE_CHECKING:  # a worker process starts faster without
    from thawline.core.types import InputSpec, Pixels

__all__ = ["MAX_MEGAPIXELS", "Admit", "Decoded", "decode", "decode_here", "encode_jpeg", "prepare"]

MAX_MEGAPIXELS = 200
"""Larger pictures are refused from their header: a WebP of 3.5 KB can claim 1.7 GB."""

# Pillow remarks on odd tags by warnings, which are process-wide and cannot be caught in a thread; what matters of them
# is a repair in our ledger instead.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Python prints what Pillow logs as an error


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SMALL_BYTES = 16 << 20  # pictures that take less wait for nobody
_STRIP_PIXELS = 1 << 20

Admit = Callable[[ImageFile, int], AbstractContextManager[None]]
"""Asked before an opened picture is loaded, with the bytes that it takes; loading happens in its context."""

_RESAMPLE = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Decoded:
    """A picture as people see it.

    Attributes:
        image: RGB, turned as its EXIF says; smaller than the original where a reduced decode was requested.
        width_px: Width of the original after turning.
        height_px: Height of the original after turning.
        format: The name of one of `FORMATS`, by content.
        repairs: What had to be changed or ignored of its pixels, in words; empty for most pictures.
        remarks: What is odd about the file although its pixels are sound, in words; empty for most pictures.
    """

    image: Image.Image
    width_px: int
    height_px: int
    format: str
    repairs: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def decode(data: bytes, size_px: int | None = None, *, max_megapixels: int = MAX_MEGAPIXELS) -> Decoded:
    """Return the picture in `data`: its first frame, upright, RGB, 8 bits, transparency filled with white.

    Args:
        data: The encoded picture, of any allowed format.
        size_px: Side of the square that the picture is for. A big JPEG is then decoded at a half, a quarter or
            an eighth, with both sides still at least twice `size_px`: a 12-megapixel photo ten times faster.
        max_megapixels: Larger pictures are refused from their header.

    Raises:
        DataError: A short reason why these bytes give no picture, such as `ends after 8,192 of 51,204 bytes`.
    """
    kind = format_of(data)
    if kind.claimed_size is not None:
        size = _checked_size(kind.claimed_size(data), max_megapixels)
        check_claim(size, kind.pixel_bytes or 4, num_encoded=len(data))
    if kind.is_ordinary is not None and kind.is_ordinary(data):
        with suppress(_HeavyError):
            return decode_here(data, size_px=size_px, max_megapixels=max_megapixels, admit=_admit_light)
    task = {"size_px": size_px, "max_megapixels": max_megapixels}
    facts, pixels = workers().ask(task, data, reserve=turns().reserved)
    image = Image.frombytes("RGB", tuple(facts.pop("size")), pixels)
    known: dict[str, Any] = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    return Decoded(image, **known)


class _HeavyError(Exception):
    """A picture that a worker process should decode."""


@contextmanager
def _admit_light(image: ImageFile, num_bytes: int) -> Iterator[None]:
    """Admit what this process decodes itself, one after the other where it takes much memory."""
    if not is_light(image, num_bytes):
        raise _HeavyError
    if num_bytes < _SMALL_BYTES:
        yield
    else:
        with turns().reserved(num_bytes):
            yield


def decode_here(data: bytes, *, size_px: int | None, max_megapixels: int, admit: Admit) -> Decoded:
    """Return the picture in `data`, decoded by the calling thread; as `decode` otherwise.

    Args:
        data: The encoded picture, of any allowed format.
        size_px: As in `decode`.
        max_megapixels: As in `decode`.
        admit: Asked before the pixels are loaded.

    Raises:
        DataError: As `decode`, or what its header says takes more than is allowed.
    """
    kind = format_of(data)
    try:
        with kind.open(io.BytesIO(data)) as image:
            full_size = _checked_size(image.size, max_megapixels)
            if size_px is not None:
                image.draft(None, (2 * size_px, 2 * size_px))  # formats that cannot be decoded smaller ignore it
            num_bytes = check_forecast(image, kind.pixel_bytes, full_size=full_size, num_encoded=len(data))
            with admit(image, num_bytes):
                return _decode_open(image, kind, size_px, full_size=full_size)
    except (DataError, _HeavyError):
        raise
    except Exception as error:  # Pillow's readers raise a dozen kinds on hostile bytes; each means the same to a person
        raise DataError(_reason(error, data, kind)) from None


def _decode_open(image: ImageFile, kind: Format, size_px: int | None, *, full_size: tuple[int, int]) -> Decoded:
    """Load the first frame of an opened picture and bring it to upright RGB."""
    width_px, height_px = full_size
    repairs = []
    if getattr(image, "is_animated", False):
        repairs.append("used the first of several frames")
    image.load()
    if kind.is_upright:
        width_px, height_px = image.size
    exif = image.info.get("exif", b"")
    orientation = 1
    if exif and not kind.is_upright:
        orientation, damaged = exif_orientation(exif)
        if damaged:
            repairs.append("ignored damaged EXIF" + (" and did not rotate the picture" if orientation == 1 else ""))
    upright, notes = _to_rgb(image if size_px is None else _reduce_large(image, 2 * size_px))
    if orientation in _TRANSPOSE:
        upright = upright.transpose(_TRANSPOSE[orientation])
        if orientation >= 5:
            width_px, height_px = height_px, width_px
    return Decoded(upright, width_px, height_px, kind.name, (*repairs, *notes))


def prepare(data: bytes, spec: InputSpec, *, max_megapixels: int = MAX_MEGAPIXELS) -> Pixels:
    """Return the network's input of one picture: (size_px, size_px, 3) uint8, RGB, before mean and std.

    The same bytes and spec give the same pixels everywhere: training, prediction, export and service all call this.

    Raises:
        DataError: As `decode`.
    """
    image = decode(data, size_px=spec.size_px, max_megapixels=max_megapixels).image
    side, resample = spec.size_px, _RESAMPLE[spec.interpolation]
    width, height = image.size
    if spec.fit == "stretch":
        square = image.resize((side, side), resample)
    elif spec.fit == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        square = image.resize((side, side), resample, box=(left, top, left + short, top + short))
    else:
        scale = side / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        red, green, blue = (round(255 * value) for value in spec.mean)
        square = Image.new("RGB", (side, side), (red, green, blue))
        square.paste(image.resize(inner, resample), ((side - inner[0]) // 2, (side - inner[1]) // 2))
    return np.asarray(square)


def encode_jpeg(image: Image.Image, max_px: int) -> bytes:
    """Return `image` as JPEG bytes, its longer side at most `max_px`: for the grids of a report."""
    scale = min(1.0, max_px / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _checked_size(size: tuple[int, int] | None, max_megapixels: int) -> tuple[int, int]:
    """Return the size that a header claims; refuse no area, or more than the cap."""
    if size is None or min(size) < 1:
        raise DataError("its header states no size")
    megapixels = size[0] * size[1] / 1e6
    if megapixels > max_megapixels:
        raise DataError(
            f"{size[0]:,}×{size[1]:,} px are {megapixels:,.0f} megapixels, over the {max_megapixels} allowed"
        )
    return size


def _reduce_large(image: Image.Image, least_px: int) -> Image.Image:
    """Return a large picture at a whole fraction of its size, both sides at least `least_px`; others as they are.

    Neighbours are averaged, strip by strip where Pillow cannot do so in the picture's mode; levels keep their depth.
    """
    factor = min(image.size) // least_px
    if factor < 2 or image.width * image.height <= LARGE_PIXELS:
        return image
    is_clear = "transparency" in image.info
    if image.mode not in {"1", "P", "PA"} and not image.mode.startswith("I;") and not is_clear:
        return image.reduce(factor)
    mode = {"1": "L", "P": "RGB", "PA": "RGBA"}.get(image.mode, "I" if image.mode.startswith("I;") else image.mode)
    kept = image.mode if image.mode.startswith("I;") else "RGBA" if is_clear else mode
    reduced = Image.new(kept, (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    num_rows = factor * max(1, _STRIP_PIXELS // (image.width * factor))
    for top in range(0, image.height, num_rows):
        strip = image.crop((0, top, image.width, min(top + num_rows, image.height)))
        strip = strip.convert("RGBA" if is_clear else mode).reduce(factor)
        reduced.paste(strip.convert(kept), (0, top // factor))
    return reduced


def _to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Return `image` as 8-bit RGB and what that took beyond a plain conversion."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image.copy(), ()
    if mode == "1" or (mode == "L" and "transparency" not in image.info):
        return image.convert("RGB"), ()
    if mode == "F" or mode.startswith("I"):
        return _scale_levels(image), (f"scaled levels of mode {mode} to 8 bits",)
    if mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() == (255, 255):
            return layered.convert("RGB"), ()
        ground = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(ground, layered).convert("RGB"), ("filled transparency with white",)
    notes = (f"converted {mode} to RGB",) if mode not in {"P", "YCbCr"} else ()
    return image.convert("RGB"), notes


def _scale_levels(image: Image.Image) -> Image.Image:
    """Return grey levels of more than 8 bits as RGB, scaled from the range that their mode implies, never clipped."""
    levels = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(levels.min()), float(levels.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif image.mode == "F" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    scaled = (levels - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")


def _reason(error: Exception, data: bytes, kind: Format) -> str:
    """Return in a few words why Pillow gave up on `data`."""
    text = " ".join(str(error).split())
    needed = 0 if kind.claimed_bytes is None else kind.claimed_bytes(data)
    if needed > len(data):
        return f"ends after {len(data):,} of {needed:,} bytes"
    if "truncated" in text.lower() or "not enough image data" in text.lower():
        return f"ends after {len(data):,} bytes, before the picture is complete"
    if isinstance(error, MemoryError):
        return "needs more memory to decode than it may take"
    return f"damaged {kind.name}: {text[:100] or type(error).__name__}"
