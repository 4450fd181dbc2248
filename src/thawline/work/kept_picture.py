"""A training picture -> the bytes of it that travel with a model as proof: small, and as odd as it was.

One idea: a small file is kept as it is, but for what a camera or a program wrote into it about place and owner; of a
large one a thumbnail in its own mode, turned as it was.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from thawline.core.errors import DataError
from thawline.core.rendering import Rendering
from thawline.data.formats import format_of
from thawline.data.headers import exif_orientation
from thawline.data.images import decode, encode_jpeg

__all__ = ["MAX_BYTES", "kept_pictures", "without_metadata"]

MAX_BYTES, MAX_TOTAL_BYTES = 64 << 10, 1 << 20
THUMBNAIL_PX = 320
_SHORTEST_JPEG = 4


def kept_pictures(pictures: list[bytes], *, rendering: Rendering) -> list[bytes]:
    """Return what is kept of encoded pictures, in order: each at most `MAX_BYTES`, or a thumbnail; 1 MB in all.

    Args:
        pictures: As they lie in the data set.
        rendering: Of the set.
    """
    kept, left = [], MAX_TOTAL_BYTES
    for place, data in enumerate(pictures):
        limit = min(MAX_BYTES, left // (len(pictures) - place))
        bare = without_metadata(data)
        if bare is not data and not _same(bare, data, rendering):
            bare = _thumbnail(data, rendering)
        kept.append(bare if len(bare) <= limit else _thumbnail(data, rendering))
        left = max(0, left - len(kept[-1]))
    return kept


def _same(one: bytes, other: bytes, rendering: Rendering) -> bool:
    try:
        first, second = (np.asarray(decode(data, rendering=rendering).image) for data in (one, other))
    except DataError:
        return False
    return np.array_equal(first, second)


def without_metadata(data: bytes) -> bytes:
    """Return a JPEG without what it says of place, camera and owner, but turned as it was; other files as they are.

    Its pixels are untouched, byte for byte.
    """
    if format_of(data).name != "JPEG" or not data.startswith(b"\xff\xd8\xff"):
        return data
    kept, at, orientation = [data[:2]], 2, 1
    while at + _SHORTEST_JPEG <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xFF):
        marker, size = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at : at + 2 + size]
        if marker == 0xE1 and segment[4:8] == b"Exif":
            orientation = exif_orientation(segment[4:])[0]
        if marker not in (0xE1, 0xED, 0xFE):  # EXIF and XMP, Photoshop's, comments
            kept.append(segment)
        at += 2 + size
    if at + 2 > len(data) or data[at] != 0xFF:
        return data
    if orientation != 1:
        kept.insert(1, _turned_segment(orientation))
    bare = b"".join([*kept, data[at:]])
    return bare if len(bare) != len(data) else data


def _turned_segment(orientation: int) -> bytes:
    """Return an EXIF segment that says how a picture is turned, and nothing else."""
    directory = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0II*\0\x08\0\0\0" + directory
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _thumbnail(data: bytes, rendering: Rendering) -> bytes:
    """Return a small picture in the mode of a large one, turned as that is; else as RGB."""
    try:
        kind = format_of(data)
        if kind.is_ordinary is not None and kind.is_ordinary(data):
            with kind.open(io.BytesIO(kind.tidied(data)[0])) as image:
                small = _small_in_mode(image)
            if small is not None and len(small) <= MAX_BYTES:
                decode(small, rendering=rendering)
                return small
    except Exception:  # noqa: S110  # whatever its reader says of it, its pixels are known
        pass
    return encode_jpeg(decode(data, THUMBNAIL_PX, rendering=rendering).image, THUMBNAIL_PX)


def _small_in_mode(image: ImageFile) -> bytes | None:
    """Return a thumbnail of an opened picture whose mode or turn is odd, or None where it is neither."""
    orientation = exif_orientation(exif)[0] if (exif := image.info.get("exif", b"")) else 1
    if image.mode == "RGB" and orientation == 1:
        return None
    scale = min(1.0, THUMBNAIL_PX / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    if image.mode == "P":
        has_layers = "transparency" in image.info
        small: Image.Image = image.convert("RGBA" if has_layers else "RGB").resize(size)
        small.quantize().save(buffer, "PNG")
    elif image.mode in {"RGB", "L", "CMYK"}:
        image.draft(None, (2 * size[0], 2 * size[1])) if image.mode != "CMYK" else None
        image.resize(size).save(buffer, "JPEG")
    elif image.mode in {"RGBA", "LA", "I;16", "1"}:
        image.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    else:
        return None
    small_data = buffer.getvalue()
    if orientation != 1 and small_data.startswith(b"\xff\xd8"):
        small_data = small_data[:2] + _turned_segment(orientation) + small_data[2:]
    return small_data
