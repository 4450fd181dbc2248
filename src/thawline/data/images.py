"""Encoded bytes -> an RGB picture, or the network's square input, or a `DataError` with a short reason.

The one idea: all decoding is here. The bytes say what they are (file names never do), the size is read from the header
and checked before a pixel is decoded, and whatever Pillow raises becomes one short reason. What is ordinary and light
is decoded by the calling thread, all else by a worker process with limits. Decoding runs in thread pools, so nothing
here touches state that threads share. Pillow resizes as well, so that a service needs no torch.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError
from thawline.core.rendering import Levels, Rendering
from thawline.data.bounds import check_claim, check_forecast, check_plain, is_light, turns
from thawline.data.confined import MAX_SECONDS, Facts, workers
from thawline.data.deep import plain_tiff, stored_values
from thawline.data.flatten import Flat, background_note, flatten, on_background, reduce_large
from thawline.data.formats import Format, format_of
from thawline.data.headers import exif_orientation, xmp_orientation
from thawline.data.jpeg_end import completed_jpeg, lacks_end
from thawline.data.levels import Extent
from thawline.data.square import side_px, squared
from thawline.data.tiff import MAX_BANDS, TiffLayout, is_plain, tiff_layout

if TYPE_CHECKING:  # a worker process starts faster without
    from thawline.core.types import InputSpec, Pixels

__all__ = [
    "MAX_MEGAPIXELS",
    "Admit",
    "Decoded",
    "decode",
    "decode_here",
    "encode_jpeg",
    "prepare",
    "prepare_with_remarks",
]

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

Admit = Callable[[ImageFile | None, int], AbstractContextManager[None]]
"""Asked before an opened picture is loaded, with the bytes that it takes; loading happens in its context. None instead
of a picture: numbers that lie in the file as they are."""


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
        extent: Which values it uses, where these have more than 8 bits.
        levels: Which of them became black and white.
        layers: RGBA, where something shows through: the same picture without a background.
    """

    image: Image.Image
    width_px: int
    height_px: int
    format: str
    repairs: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    extent: Extent | None = None
    levels: Levels | None = None
    layers: Image.Image | None = None

    def facts(self) -> Facts:
        """Return all but the pictures as plain data, for a message between processes."""
        facts = asdict(replace(self, image=None, layers=None))  # type: ignore[arg-type]
        return {name: fact for name, fact in facts.items() if name not in {"image", "layers"}}

    @classmethod
    def of(cls, facts: Facts, image: Image.Image) -> Decoded:
        """Return the picture that `facts` describes."""
        known: dict[str, Any] = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
        for name, kind in (("extent", Extent), ("levels", Levels)):
            known[name] = None if known[name] is None else kind(**known[name])
        return cls(image, **known)


def decode(
    data: bytes,
    size_px: int | None = None,
    *,
    max_megapixels: int = MAX_MEGAPIXELS,
    rendering: Rendering | None = None,
) -> Decoded:
    """Return the picture in `data`: its first frame, upright, RGB, 8 bits, transparency filled.

    Args:
        data: The encoded picture, of any allowed format.
        size_px: What the shorter side is scaled to afterwards, or less. A big JPEG is then decoded at a half, a
            quarter or an eighth, with both sides still at least twice `size_px`: a 12-megapixel photo ten times faster.
        max_megapixels: Larger pictures are refused from their header.
        rendering: What the set or the model has found for deep and transparent pictures. None: nothing is known yet,
            a deep picture is read by its own values, and white shows through.

    Raises:
        DataError: A short reason why these bytes give no picture, such as `ends after 8,192 of 51,204 bytes`.
    """
    kind = format_of(data)
    data, remarks = kind.tidied(data)
    picture = _decoded(data, kind, size_px=size_px, max_megapixels=max_megapixels, rendering=rendering)
    return replace(picture, remarks=(*remarks, *picture.remarks)) if remarks else picture


def _decoded(
    data: bytes, kind: Format, *, size_px: int | None, max_megapixels: int, rendering: Rendering | None
) -> Decoded:
    """Return a picture that fills its bytes, decoded by this process or by a worker."""
    if kind.claimed_size is not None:
        size = _checked_size(kind.claimed_size(data), max_megapixels)
        check_claim(size, kind.pixel_bytes or 4, num_encoded=len(data))
    if kind.is_ordinary is not None and kind.is_ordinary(data) and not lacks_end(data):
        with suppress(_HeavyError):
            picture = decode_here(
                data, size_px=size_px, max_megapixels=max_megapixels, rendering=rendering, admit=_admit_light
            )
            return _with_background(picture, rendering)
    known = None if rendering is None else asdict(rendering)
    task = {"size_px": size_px, "max_megapixels": max_megapixels, "rendering": known}
    max_seconds = MAX_SECONDS + kind.seconds_per_mb * len(data) / 1e6
    facts, pixels = workers().ask(task, data, max_seconds=max_seconds, reserve=turns().reserved)
    image = Image.frombytes(facts.pop("mode"), tuple(facts.pop("size")), pixels)
    return _with_background(Decoded.of(facts, image), rendering)


def _with_background(picture: Decoded, rendering: Rendering | None) -> Decoded:
    """Return what `decode_here` did with its background, and that as a repair."""
    if picture.image.mode != "RGBA":
        return picture
    background = (rendering or Rendering()).background
    image, repairs = on_background(picture.image, background), (*picture.repairs, background_note(background))
    return replace(picture, image=image, layers=picture.image, repairs=repairs)


class _HeavyError(Exception):
    """A picture that a worker process should decode."""


@contextmanager
def _admit_light(image: ImageFile | None, num_bytes: int) -> Iterator[None]:
    """Admit what this process decodes itself, one after the other where it takes much memory."""
    if not is_light(image, num_bytes):
        raise _HeavyError
    if num_bytes < _SMALL_BYTES:
        yield
    else:
        with turns().reserved(num_bytes):
            yield


def decode_here(
    data: bytes, *, size_px: int | None, max_megapixels: int, admit: Admit, rendering: Rendering | None = None
) -> Decoded:
    """Return the picture in `data`, decoded by the calling thread; as `decode` otherwise, but RGBA where it has layers.

    Args:
        data: The encoded picture, of any allowed format.
        size_px: As in `decode`.
        max_megapixels: As in `decode`.
        rendering: As in `decode`.
        admit: Asked before the pixels are loaded.

    Raises:
        DataError: As `decode`, or what its header says takes more than is allowed.
    """
    kind = format_of(data)
    layout = tiff_layout(data) if kind.name == "TIFF" else None
    facts: dict[str, Any] = {"size_px": size_px, "max_megapixels": max_megapixels, "rendering": rendering}
    try:
        if lacks_end(data):
            with kind.open(io.BytesIO(data)) as image:
                full_size = _checked_size(image.size, max_megapixels)
                num_bytes = check_forecast(image, kind.pixel_bytes, full_size=full_size, num_encoded=len(data))
                with admit(image, num_bytes):
                    whole = completed_jpeg(data, kind.open)
                    picture = decode_here(whole, **facts, admit=lambda *_: nullcontext())
            return replace(picture, remarks=("its last bytes are missing, its pixels are all there",))
        if layout is not None and is_plain(layout):
            size = _checked_size((layout.width_px, layout.height_px), max_megapixels)
            with admit(None, check_plain(size, layout.pixel_bytes, num_encoded=len(data))):
                flat = flatten(plain_tiff(data, layout, least_px=size_px and 2 * size_px), rendering)
            return _upright(flat, size, kind, layout.orientation)
        if layout is not None and layout.num_bands > MAX_BANDS:
            raise DataError(layout.why_not())
        with kind.open(io.BytesIO(data)) as image:
            full_size = _checked_size(image.size, max_megapixels)
            if size_px is not None:
                image.draft(None, (2 * size_px, 2 * size_px))  # formats that cannot be decoded smaller ignore it
            num_bytes = check_forecast(image, kind.pixel_bytes, full_size=full_size, num_encoded=len(data))
            with admit(image, num_bytes):
                return _decode_open(
                    image, data, kind, layout, size_px=size_px, full_size=full_size, rendering=rendering
                )
    except (DataError, _HeavyError):
        raise
    except Exception as error:  # Pillow's readers raise a dozen kinds on hostile bytes; each means the same to a person
        raise DataError(_reason(error, data, kind, layout)) from None


def _decode_open(
    image: ImageFile,
    data: bytes,
    kind: Format,
    layout: TiffLayout | None,
    *,
    size_px: int | None,
    full_size: tuple[int, int],
    rendering: Rendering | None,
) -> Decoded:
    """Load the first frame of an opened picture and bring it to upright RGB or RGBA."""
    repairs = []
    if getattr(image, "is_animated", False):
        repairs.append("used the first of several frames")
    least_px = None if size_px is None else 2 * size_px
    deep = stored_values(image, data, layout=layout, least_px=least_px)
    if deep is None:
        image.load()
    exif = image.info.get("exif", b"")
    orientation = 1 if exif or kind.is_upright else xmp_orientation(image.info.get("xmp"))
    if exif and not kind.is_upright:
        orientation, damaged = exif_orientation(exif)
        if damaged:
            repairs.append("ignored damaged EXIF" + (" and did not rotate the picture" if orientation == 1 else ""))
    flat = flatten(deep or reduce_large(image, least_px), rendering)
    flat = replace(flat, repairs=(*repairs, *flat.repairs))
    return _upright(flat, image.size if kind.is_upright else full_size, kind, orientation)


def _upright(flat: Flat, size: tuple[int, int], kind: Format, orientation: int) -> Decoded:
    """Return a picture turned as its EXIF says, 1 to 8; `size` is that of the original, before that turn."""
    if orientation in _TRANSPOSE:
        flat = replace(flat, image=flat.image.transpose(_TRANSPOSE[orientation]))
    width_px, height_px = size if orientation < 5 else size[::-1]
    return Decoded(width_px=width_px, height_px=height_px, format=kind.name, **vars(flat))


def prepare(data: bytes, spec: InputSpec, *, max_megapixels: int = MAX_MEGAPIXELS) -> Pixels:
    """Return the network's input of one picture: (size_px, size_px, 3) uint8, RGB, before mean and std.

    The same bytes and spec give the same pixels everywhere: training, prediction, export and service all call this.

    Raises:
        DataError: As `decode`.
    """
    return prepare_with_remarks(data, spec, max_megapixels=max_megapixels)[0]


def prepare_with_remarks(
    data: bytes, spec: InputSpec, *, max_megapixels: int = MAX_MEGAPIXELS
) -> tuple[Pixels, tuple[str, ...]]:
    """Return what `prepare` does, and what is odd about the picture, in words.

    Raises:
        DataError: As `decode`.
    """
    picture = decode(data, size_px=side_px(spec), max_megapixels=max_megapixels, rendering=spec.rendering)
    return squared(picture.image, spec), picture.remarks


def encode_jpeg(image: Image.Image, max_px: int, *, quality: int = 85) -> bytes:
    """Return `image` as JPEG bytes, its longer side at most `max_px`: for the pictures of a report."""
    scale = min(1.0, max_px / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
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


def _reason(error: Exception, data: bytes, kind: Format, layout: TiffLayout | None) -> str:
    """Return in a few words why Pillow gave up on `data`."""
    text = " ".join(str(error).split())
    needed = 0 if kind.claimed_bytes is None else kind.claimed_bytes(data)
    if needed > len(data):
        return f"ends after {len(data):,} of {needed:,} bytes"
    if "truncated" in text.lower() or "not enough image data" in text.lower():
        return f"ends after {len(data):,} bytes, before the picture is complete"
    if layout is not None and "unknown pixel mode" in text:
        return layout.why_not()
    if isinstance(error, MemoryError):
        return "needs more memory to decode than it may take"
    return f"damaged {kind.name}: {text[:100] or type(error).__name__}"
