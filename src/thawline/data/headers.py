"""The first bytes of a file -> what it is, how big it claims to be, how it is turned, and whether its end is missing.

These few readers exist because they must run before a decoder may be trusted, and because Pillow reports damaged EXIF
by warnings, which cannot be caught in a thread. They never raise on any bytes.
"""

from __future__ import annotations

import struct

__all__ = ["exif_orientation", "missing_bytes", "name_format", "webp_size"]

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"8BPS", "Photoshop: export it as PNG or JPEG"),
    (b"%PDF", "a PDF, not a picture"),
    (b"PK\x03\x04", "a ZIP archive or office document: unpack it first"),
    (b"\xff\x0a", "JPEG XL: convert it first, for example with the package pillow-jxl-plugin"),
    (b"\0\0\0\x0cJXL ", "JPEG XL: convert it first, for example with the package pillow-jxl-plugin"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000: convert it first, Pillow can"),
    (b"\0\0\x01\0", "an icon (ICO): convert it first"),
    (b"qoif", "QOI: convert it first"),
    (b"\x1aE\xdf\xa3", "a video, not a picture"),
)

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif"}

_EXIF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ORIENTATION, _EXIF_POINTER, _GPS_POINTER = 0x0112, 0x8769, 0x8825


def name_format(data: bytes) -> str:
    """Return `JPEG`, `PNG`, `GIF`, `WEBP`, `BMP`, `TIFF` or `AVIF`, or else why the bytes are no picture we read."""
    if not data:
        return "the file is empty"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF":
        return "WEBP" if data[8:12] == b"WEBP" else "sound or video (RIFF), not a picture"
    if (
        data[:2] == b"BM"
        and len(data) >= 18
        and struct.unpack_from("<I", data, 14)[0] in {12, 40, 52, 56, 64, 108, 124}
    ):
        return "BMP"
    if data[4:8] == b"ftyp":
        return _name_iso_media(data)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return "SVG, a drawing: convert it to PNG first"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture"
    if b"\0" not in data[:1024] and _is_text(data[:1024]):
        return "text, not a picture"
    return "no picture format that we know"


def _name_iso_media(data: bytes) -> str:
    """Tell AVIF, HEIC and video apart by the brands of their `ftyp` box."""
    end = min(struct.unpack_from(">I", data)[0], len(data), 256)
    brands = {data[8:12]} | {data[start : start + 4] for start in range(16, end - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIC: convert it first, for example with the package pillow-heif"
    return "a video, not a picture"


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


def missing_bytes(data: bytes, format_name: str) -> int | None:
    """Return how long the file would have to be by its own account, in bytes, when it is shorter; else None."""
    needed = 0
    if format_name == "WEBP" and len(data) >= 8:
        needed = 8 + int.from_bytes(data[4:8], "little")
    elif format_name == "BMP" and len(data) >= 6:
        needed = int.from_bytes(data[2:6], "little")
    elif format_name == "PNG":
        needed = 8
        while needed + 8 <= len(data):  # each chunk states its own length
            if data[needed + 4 : needed + 8] == b"IEND":
                return None
            needed += 12 + int.from_bytes(data[needed : needed + 4], "big")
    return needed if needed > len(data) else None


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
