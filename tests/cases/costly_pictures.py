"""Pictures that cost far more than their bytes: each function makes one, as large as it is told.

Used by tests with small numbers and by `benchmarks/attack/files.py` with large ones. Nothing here needs much memory.
"""

from __future__ import annotations

import io
import struct
import zlib
from itertools import repeat

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(image_format: str, width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    """Return a blank picture as Pillow writes it."""
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, image_format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deflated(pieces) -> bytes:
    """Return what pieces of bytes are compressed to, without holding them all."""
    compressor = zlib.compressobj(9)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])


def png(
    width: int,
    height: int,
    *,
    bits: int = 8,
    channels: int = 1,
    line_filter: int = 0,
    extra: bytes = b"",
    num_lines: int | None = None,
) -> bytes:
    """Return a blank PNG; `extra` are chunks before its pixels, of which it may hold fewer lines than it claims."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    line = bytes([line_filter]) + bytes((width * bits * channels + 7) // 8)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return (
        PNG_SIGNATURE
        + head
        + extra
        + chunk(b"IDAT", deflated(repeat(line, height if num_lines is None else num_lines)))
        + chunk(b"IEND", b"")
    )


def png_of_chunks(num: int) -> bytes:
    """Return a small PNG with many empty pieces."""
    return png(8, 8, extra=chunk(b"vpAg", b"") * num)


def png_of_texts(num: int, kind: bytes = b"zTXt") -> bytes:
    """Return a small PNG with texts, or other compressed side chunks, that each unpack to a megabyte less a little."""
    body = b"Comment\0\0" + deflated([bytes(1_000_000)])
    return png(8, 8, extra=chunk(kind, body) * num)


def png_of_profile(num_bytes: int) -> bytes:
    """Return a small PNG with a colour profile that unpacks to so many bytes."""
    return png(8, 8, extra=chunk(b"iCCP", b"icc\0\0" + deflated(repeat(bytes(1 << 20), num_bytes >> 20))))


def apng_of_frames(num: int) -> bytes:
    """Return a PNG that claims many frames, and has an empty one for each."""
    head = chunk(b"acTL", struct.pack(">II", num, 0))
    control = [struct.pack(">IIIIIHHBB", at, 8, 8, 0, 0, 1, 1, 0, 0) for at in range(num)]
    return png(8, 8, extra=head + b"".join(chunk(b"fcTL", body) for body in control))


def jpeg_of_scans(width: int, height: int, num: int) -> bytes:
    """Return a progressive JPEG with `num` further scans, each of a hundred bytes."""
    whole = encoded("JPEG", width, height, progressive=True, quality=50)
    return whole[:-2] + whole[whole.rfind(b"\xff\xda") : -2] * num + b"\xff\xd9"


def jpeg_that_claims(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG with another size in its header."""
    at = max(data.find(b"\xff" + bytes([marker]) + b"\0") for marker in (0xC0, 0xC2))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def webp_that_claims(width: int, height: int) -> bytes:
    """Return the header of a WebP with many bytes behind it."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 3500) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + bytes(3470)


def jpeg_of_segments(num_bytes: int, segment: bytes) -> bytes:
    """Return a JPEG whose header is repeated bytes: segments, padding or rubbish."""
    whole = encoded("JPEG", 32, 32)
    return whole[:2] + segment * (num_bytes // len(segment)) + whole[2:]


def run_length_bmp(width: int, height: int, body: bytes, *, bits: int = 8) -> bytes:
    """Return a BMP whose pixels are runs."""
    palette = bytes(4 << bits)
    start = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, {8: 1, 4: 2}[bits], len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body


def bmp_of_short_lines(width: int, num_lines: int) -> bytes:
    """Return a run-length BMP whose lines have one pixel: Pillow fills up each of them byte by byte."""
    return run_length_bmp(width, num_lines, b"\1\0\0\0" * num_lines)


def gif_of_blocks(num: int, *, code: int = 0xFE) -> bytes:
    """Return a small GIF with an extension of many blocks of one byte: a comment, or another one."""
    whole = encoded("GIF", 8, 8, "P")
    start = whole.index(b",", 13)
    return whole[:start] + bytes([0x21, code]) + b"\1x" * num + b"\0" + whole[start:]


def gif_of_frames(num: int) -> bytes:
    """Return a small GIF with many frames."""
    whole = encoded("GIF", 8, 8, "P")
    start = whole.rindex(b",")
    return whole[:start] + whole[start:-1] * num + b";"


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"", *, next_directory: int = 0) -> bytes:
    """Return a TIFF of one directory: (tag, type, count, value) each, and bytes behind it."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", next_directory) + tail


def tiff_of(width: int, height: int, *, strips: int = 1, compression: int = 1, data: bytes = b"") -> bytes:
    """Return a grey TIFF whose strips all lie at the same place."""
    rows = -(-height // strips)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (277, 3, 1, 1), (278, 4, 1, rows),
    ]  # fmt: skip
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    pixels = start + 8 * strips
    offsets = struct.pack(f"<{strips}I", *repeat(pixels, strips))
    lengths = struct.pack(f"<{strips}I", *repeat(len(data), strips))
    if strips == 1:
        return tiff([*entries, (273, 4, 1, start), (279, 4, 1, len(data))], data)
    return tiff([*entries, (273, 4, strips, start), (279, 4, strips, start + 4 * strips)], offsets + lengths + data)


def tiff_of_pages(num: int) -> bytes:
    """Return a TIFF with many directories, the last of which leads back to the first."""
    page = tiff_of(8, 8, data=bytes(64))[8:-64]
    pages = []
    for at in range(num):
        following = 8 if at == num - 1 else 8 + (at + 1) * len(page)
        pages.append(page[:-4] + struct.pack("<I", following))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(pages)


def avif_that_lies(width: int, height: int, *, claimed: tuple[int, int]) -> bytes:
    """Return an AVIF whose header claims another size than its pixels have."""
    whole = bytearray(encoded("AVIF", width, height))
    at = whole.index(b"ispe") + 8
    struct.pack_into(">II", whole, at, *claimed)
    return bytes(whole)
