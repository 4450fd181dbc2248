"""The picture formats that Thawline reads, in one table; encoded bytes -> their entry.

The one idea: whatever differs from format to format is a column here, so that a new format is one entry: check,
decoding, export and shards go through the table. Bytes say what they are; file names never do.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from thawline.core.errors import DataError
from thawline.data import bounds, headers
from thawline.data.jpeg_end import tidy_jpeg
from thawline.data.png_chunks import tidy_png
from thawline.data.pnm import is_pnm, pnm_is_ordinary

__all__ = ["ENDINGS", "FORMATS", "STRAY", "Format", "format_of"]


@dataclass(frozen=True)
class Format:
    """A picture format.

    Attributes:
        name: As the ledger and Pillow call it.
        title: As people write it.
        endings: What file names end in; an exported file ends in the first.
        matches: Whether encoded bytes begin as this format does.
        open: Pillow's own reader, called directly: no other format is tried, and a JPEG with further frames inside
            (MPO) stays a JPEG.
        claimed_size: Width and height by the header alone, or None where it does not say: for a format whose reader
            allocates the picture before it can be asked for its size.
        claimed_bytes: Length of the whole file by its own account, 0 where it does not say.
        is_ordinary: Whether opening these bytes costs no more than their length and size say, so that a thread of this
            process may do it; raises `DataError` where they take too much. None: never.
        tidy: From the bytes of a file to those of its picture, with remarks on the rest; None: they are the same.
        pixel_bytes: Memory that its decoder takes for each pixel, where it is more than Pillow keeps of it.
        seconds_per_mb: Processor time beyond the usual that a worker may take for each megabyte of the file, where all
            of it has to be decoded whatever size is wanted.
        is_upright: Whether Pillow turns the picture as its EXIF says while it loads it.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    matches: Callable[[bytes], bool]
    open: Callable[[io.BytesIO], ImageFile]
    claimed_size: Callable[[bytes], tuple[int, int] | None] | None = None
    claimed_bytes: Callable[[bytes], int] | None = None
    is_ordinary: Callable[[bytes], bool] | None = None
    tidy: Callable[[bytes], tuple[bytes, tuple[str, ...]]] | None = None
    pixel_bytes: int | None = None
    seconds_per_mb: float = 0.0
    is_upright: bool = False

    def tidied(self, data: bytes) -> tuple[bytes, tuple[str, ...]]:
        """Return the bytes of the picture in a file of this format, and remarks on the others."""
        if self.tidy is None:
            return data, ()
        own = data if self.matches(data) else data.lstrip(STRAY)
        before = (f"{len(data) - len(own):,} bytes before its beginning",) if own is not data else ()
        own, remarks = self.tidy(own)
        return own, (*before, *remarks)


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF is not searched for a print resolution: broken EXIF must not get in the way of its pixels."""

    def _read_dpi_from_exif(self) -> None:
        return


STRAY = b"\r\n\t \0"
"""What may stand before a picture that was copied out of something else."""

_LOOK_BYTES = 64


def _open_heif(stream: io.BytesIO) -> ImageFile:
    """Return an opened HEIC or HEIF picture; its reader is an extra, since it brings libraries under the GPL."""
    try:
        import pillow_heif
    except ImportError:
        raise DataError(headers.HEIF_ADVICE) from None
    pillow_heif.options.DECODE_THREADS = 1  # the threads that ask are enough

    class Heif(pillow_heif.HeifImageFile):
        def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:
            """Stay with the picture itself: a thumbnail inside may be of any quality."""

    image: ImageFile = Heif(stream)  # type: ignore[no-untyped-call]
    return image


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(starts)


FORMATS = (
    Format(
        "JPEG",
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        _begins(b"\xff\xd8\xff"),
        _Jpeg,
        is_ordinary=bounds.jpeg_is_ordinary,
        tidy=tidy_jpeg,
    ),
    Format(
        "PNG",
        "PNG",
        (".png",),
        _begins(headers.PNG_SIGNATURE),
        PngImageFile,
        claimed_bytes=headers.png_bytes,
        is_ordinary=bounds.png_is_ordinary,
        tidy=tidy_png,
    ),
    Format("GIF", "GIF", (".gif",), _begins(b"GIF87a", b"GIF89a"), GifImageFile, is_ordinary=bounds.gif_is_ordinary),
    Format(
        "WEBP",
        "WebP",
        (".webp",),
        headers.is_webp,
        WebPImageFile,
        claimed_size=headers.webp_size,
        claimed_bytes=headers.webp_bytes,
        is_ordinary=bounds.webp_is_ordinary,
        pixel_bytes=16,
    ),
    Format(
        "BMP",
        "BMP",
        (".bmp", ".dib"),
        headers.is_bmp,
        BmpImageFile,
        claimed_bytes=headers.bmp_bytes,
        is_ordinary=bounds.bmp_is_ordinary,
    ),
    Format(
        "TIFF",
        "TIFF",
        (".tif", ".tiff"),
        _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        TiffImageFile,
        is_ordinary=bounds.tiff_is_ordinary,
        is_upright=True,
    ),
    Format("AVIF", "AVIF", (".avif",), headers.is_avif, AvifImageFile, pixel_bytes=12, seconds_per_mb=0.2),
    Format(
        "HEIF",
        "HEIC",
        (".heic", ".heif", ".hif"),
        headers.is_heif,
        _open_heif,
        pixel_bytes=12,
        seconds_per_mb=0.2,
        is_upright=True,
    ),
    Format(
        "PPM",
        "PPM, PGM, PBM",
        (".pnm", ".ppm", ".pgm", ".pbm", ".pfm"),
        is_pnm,
        PpmImageFile,
        is_ordinary=pnm_is_ordinary,
    ),
)

ENDINGS = frozenset(ending for item in FORMATS for ending in item.endings)
"""What the names of picture files end in, in lower case."""


def format_of(data: bytes) -> Format:
    """Return the format of an encoded picture.

    Raises:
        DataError: It is none of `FORMATS`; says what it is instead.
    """
    for item in FORMATS:
        if item.matches(data):
            return item
    if (late := data[:_LOOK_BYTES].lstrip(STRAY)) != data[:_LOOK_BYTES]:
        for item in FORMATS:
            if item.tidy is not None and item.matches(late):
                return item
    raise DataError(headers.why_no_picture(data))
