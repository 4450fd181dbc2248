"""The bytes of a PNG -> the same picture without its side chunks, and remarks on what is wrong with these.

The one idea: texts, profiles and print sizes say nothing about pixels, so no fault in them and no length of them may
keep a picture out. What the pixels need is handed on untouched.
"""

from __future__ import annotations

import struct
import zlib

from thawline.data.bounds import MAX_CHUNKS
from thawline.data.headers import PNG_SIGNATURE

__all__ = ["tidy_png"]

_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
_CHECKED_BY_PILLOW = {b"IHDR", b"PLTE"}
_LEAST_BYTES = {b"gAMA": 4, b"pHYs": 9, b"cHRM": 32, b"sRGB": 1, b"tRNS": 1}
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_LONG_BYTES = 1 << 20
_LOOK_BYTES = 1 << 16  # as much of what is compressed is tried out


def tidy_png(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a PNG with the chunks that its pixels need, and remarks on the rest; cut short it stays as it is.

    Args:
        data: Begins with PNG's signature.
    """
    kept, remarks = [PNG_SIGNATURE], dict[str, None]()
    at, num_passed = len(PNG_SIGNATURE), 0
    for _ in range(MAX_CHUNKS):
        if at >= len(data):
            return b"".join([*kept, _END]), (*remarks, "it has no end (IEND)")
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + size
        if kind == b"IEND":
            if end > len(data):
                remarks["its end (IEND) is cut short"] = None
            elif end < len(data):
                remarks[f"{len(data) - end:,} further bytes after its end"] = None
            if num_passed > _LONG_BYTES:
                remarks[f"{num_passed:,} bytes of texts, profiles and the like were passed over"] = None
            return b"".join([*kept, _END]), tuple(remarks)
        if end > len(data):
            return data, ()
        fault = _fault(kind, data[at + 8 : end - 4], int.from_bytes(data[end - 4 : end], "big"))
        if fault:
            remarks[fault] = None
        if (kind in _PIXELS and not (kind == b"tRNS" and fault)) or not kind[0] & 0x20:
            kept.append(data[at:end])
        else:
            num_passed += size
        at = end
    return data, ()


def _fault(kind: bytes, content: bytes, checksum: int) -> str:
    """Return what is wrong with a chunk, in words; empty for most."""
    name = kind.decode("latin-1")
    if len(content) < _LEAST_BYTES.get(kind, 0):
        return f"its {name} chunk is too short and was passed over"
    if kind not in _CHECKED_BY_PILLOW and zlib.crc32(content, zlib.crc32(kind)) != checksum:
        return f"a wrong checksum in its {name} chunk" + (", which holds pixels" if kind == b"IDAT" else "")
    packed = {b"iCCP": 1, b"zTXt": 1}.get(kind)
    if packed is not None:
        rest = content.split(b"\0", 1)[-1][packed:]
    elif kind == b"iTXt" and content.split(b"\0", 1)[-1][:1] == b"\1":
        rest = content.split(b"\0", 1)[-1][2:].split(b"\0", 2)[-1]
    else:
        return ""
    try:
        zlib.decompressobj().decompress(rest, _LOOK_BYTES)
    except zlib.error:
        return f"its {name} chunk is damaged and was passed over"
    return ""
