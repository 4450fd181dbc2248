"""The first bytes of a file -> what it claims to be: format, size, length and orientation; or why it is no picture.

These few readers exist because they must run before a decoder may be trusted, and because Pillow reports damaged EXIF
by warnings, which cannot be caught in a thread. They never raise on any bytes.
"""

from __future__ import annotations

import re
import struct

__all__ = [
    "HEIF_ADVICE",
    "PNG_SIGNATURE",
    "bmp_bytes",
    "exif_orientation",
    "is_avif",
    "is_bmp",
    "is_heif",
    "is_webp",
    "png_bytes",
    "webp_bytes",
    "webp_size",
    "why_no_picture",
    "xmp_orientation",
]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_NO_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "Photoshop: export it as PNG or JPEG"),
    (b"%PDF", "a PDF, not a picture"),
    (b"PK\x03\x04", "a ZIP archive or office document: unpack it first"),
    (b"\xff\x0a", "JPEG XL: convert it first, for example with the package pillow-jxl-plugin"),
    (b"\0\0\0\x0cJXL ", "JPEG XL: convert it first, for example with the package pillow-jxl-plugin"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000: convert it first, Pillow can"),
    (b"\0\0\x01\0", "an icon (ICO): convert it first"),
    (b"qoif", "QOI: convert it first"),
    (b"\x1aE\xdf\xa3", "a video, not a picture"),
    (b"RIFF", "sound or video (RIFF), not a picture"),
)

HEIF_ADVICE = "HEIC: run `pip install 'thawline[heif]'`, which reads it, or convert it first"
"""What to do with a picture as phones take them, where its reader is not installed."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif"}

_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # lengths in bytes

_EXIF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ORIENTATION, _EXIF_POINTER, _GPS_POINTER = 0x0112, 0x8769, 0x8825


def why_no_picture(data: bytes) -> str:
    """Return what bytes are instead of a picture in a supported format, in a few words."""
    if not data:
        return "the file is empty"
    for start, reason in _NO_PICTURES:
        if data.startswith(start):
            return reason
    if data[4:8] == b"ftyp":
        return "a video, not a picture"
    if data[-18:-2] == b"TRUEVISION-XFILE":
        return "TGA: convert it first, Pillow can"
    if data[:1] == b"\n" and data[1:2] in {b"\0", b"\2", b"\3", b"\4", b"\5"} and data[2:3] in {b"\0", b"\1"}:
        return "PCX: convert it first, Pillow can"
    if data[:4] == b"\x28\0\0\0" and data[12:14] == b"\1\0":
        return "a bitmap without the header of its file (DIB): convert it first, Pillow can"
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return "SVG, a drawing: convert it to PNG first"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture"
    if b"\0" not in data[:1024] and _is_text(data[:1024]):
        return "text, not a picture"
    return "an unknown format"


def is_webp(data: bytes) -> bool:
    """Return whether bytes begin as a WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def is_bmp(data: bytes) -> bool:
    """Return whether bytes begin as a BMP does, with a header of a known length: texts may begin with `BM`."""
    return data[:2] == b"BM" and len(data) >= 18 and int.from_bytes(data[14:18], "little") in _BMP_HEADERS


def is_avif(data: bytes) -> bool:
    """Return whether bytes begin as an AVIF does."""
    return data[4:8] == b"ftyp" and not _iso_brands(data).isdisjoint({b"avif", b"avis"})


def is_heif(data: bytes) -> bool:
    """Return whether bytes begin as a HEIC or HEIF does; an AVIF may say so too, ask for that first."""
    return data[4:8] == b"ftyp" and not _iso_brands(data).isdisjoint(_HEIF_BRANDS)


def _iso_brands(data: bytes) -> set[bytes]:
    """Return the brands of a `ftyp` box, which distinguish AVIF, HEIC and video."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return {data[8:12]} | {data[start : start + 4] for start in range(16, end - 3, 4)}


def _is_text(head: bytes) -> bool:
    """Whether bytes read as UTF-8, apart from a character cut off at the end."""
    try:
        head[:-3].decode() if len(head) > 3 else head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 6 and error.start > 0
    return True


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP's canvas in pixels as its header claims them, or None where it does not say."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25 and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(data) >= 30 and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def webp_bytes(data: bytes) -> int:
    """Return the length of a WebP by its own account."""
    return 8 + int.from_bytes(data[4:8], "little")


def bmp_bytes(data: bytes) -> int:
    """Return the length of a BMP by its own account."""
    return int.from_bytes(data[2:6], "little")


def png_bytes(data: bytes) -> int:
    """Return the length of a PNG as far as its chunks tell: up to the end of the last one that has begun."""
    length = len(PNG_SIGNATURE)
    while length + 8 <= len(data):  # each chunk states its own length
        is_last = data[length + 4 : length + 8] == b"IEND"
        length += 12 + int.from_bytes(data[length : length + 4], "big")
        if is_last:
            break
    return length


def xmp_orientation(xmp: object) -> int:
    """Return the orientation that XMP says, 1 to 8; 1 where there is none. It counts where a file has no EXIF at all.

    Args:
        xmp: The packet as Pillow hands it out, bytes or text; or nothing.
    """
    data = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else b""
    found = re.search(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])(?!\d)""", data)
    return int(found[1]) if found else 1


def exif_orientation(exif: bytes) -> tuple[int, bool]:
    """Return the orientation, 1 to 8 (1 is upright, also when unknown), and whether the EXIF block is damaged.

    Args:
        exif: The block, with or without its `Exif` prefix.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1, True
    entries, damaged = _read_directory(exif, struct.unpack_from(order + "I", exif, 4)[0], order)
    for pointer in (_EXIF_POINTER, _GPS_POINTER):
        if pointer in entries:
            damaged |= _read_directory(exif, entries[pointer], order)[1]
    orientation = entries.get(_ORIENTATION, 1)
    if not 1 <= orientation <= 8:
        return 1, orientation != 0  # some cameras write 0 for `unknown`
    return orientation, damaged


def _read_directory(exif: bytes, start: int, order: str) -> tuple[dict[int, int], bool]:
    """Return tag -> value of the whole numbers of one EXIF directory, and whether any of it points past the end."""
    if start + 2 > len(exif):
        return {}, True
    count = struct.unpack_from(order + "H", exif, start)[0]
    entries: dict[int, int] = {}
    damaged = False
    for position in range(start + 2, start + 2 + 12 * count, 12):
        if position + 12 > len(exif):
            return entries, True
        tag, kind, number = struct.unpack_from(order + "HHI", exif, position)
        if kind not in _EXIF_TYPE_BYTES:
            damaged = True
            continue
        size = _EXIF_TYPE_BYTES[kind] * number
        if size > 4:
            damaged |= struct.unpack_from(order + "I", exif, position + 8)[0] + size > len(exif)
        elif kind in {3, 4, 13} and number == 1:
            entries[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), exif, position + 8)[0]
    return entries, damaged
