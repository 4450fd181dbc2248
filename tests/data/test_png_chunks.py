"""No side chunk keeps a PNG's pixels out, whatever is wrong with it; what is wrong is told."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from thawline.core.errors import DataError
from thawline.data.images import decode
from thawline.data.png_chunks import tidy_png


def chunk(kind, content, *, checksum=None):
    whole = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", whole)


@pytest.fixture
def png(encode, draw):
    return encode(draw(5))


BIG = b"x" * (3 << 20)


@pytest.mark.parametrize(
    ("odd", "remark"),
    [
        (chunk(b"tEXt", b"Software\0a camera"), None),
        (chunk(b"zTXt", b"prompt\0\0" + zlib.compress(BIG)), None),
        (chunk(b"iTXt", b"xmp\0\1\0\0\0" + zlib.compress(BIG)), None),
        (chunk(b"iTXt", b"xmp\0\0\0\0\0plain"), None),
        (chunk(b"vpAg", bytes(9)), None),
        (chunk(b"tEXt", b"workflow\0" + BIG), "3,145,737 bytes of texts, profiles and the like were passed over"),
        (chunk(b"iCCP", b"scanner\0\0not zlib"), "its iCCP chunk is damaged and was passed over"),
        (chunk(b"zTXt", b"comment\0\0not zlib"), "its zTXt chunk is damaged and was passed over"),
        (chunk(b"iTXt", b"xmp\0\1\0\0\0not zlib"), "its iTXt chunk is damaged and was passed over"),
        (chunk(b"tEXt", b"Software\0x", checksum=0), "a wrong checksum in its tEXt chunk"),
        (chunk(b"gAMA", b"\0"), "its gAMA chunk is too short and was passed over"),
        (chunk(b"pHYs", b"\0"), "its pHYs chunk is too short and was passed over"),
    ],
)
def test_a_side_chunk_changes_no_pixel(png, odd, remark):
    picture = decode(png[:33] + odd + png[33:])
    assert (np.asarray(picture.image) == np.asarray(decode(png).image)).all()
    assert picture.remarks == (() if remark is None else (remark,))
    assert picture.repairs == ()


@pytest.mark.parametrize(
    ("cut", "remark"),
    [
        (lambda data: data[:-12], "it has no end (IEND)"),
        (lambda data: data[:-3], "its end (IEND) is cut short"),
        (lambda data: data + bytes(4096), "4,096 further bytes after its end"),
        (lambda data: b"\r\n" + data, "2 bytes before its beginning"),
    ],
)
def test_beginnings_and_ends(png, cut, remark):
    picture = decode(cut(png))
    assert (np.asarray(picture.image) == np.asarray(decode(png).image)).all()
    assert picture.remarks == (remark,)


def test_a_wrong_checksum_of_pixels_is_told(png):
    at = png.index(b"IDAT") + 4 + int.from_bytes(png[png.index(b"IDAT") - 4 : png.index(b"IDAT")], "big")
    picture = decode(png[:at] + bytes(4) + png[at + 4 :])
    assert picture.remarks == ("a wrong checksum in its IDAT chunk, which holds pixels",)


def test_what_pixels_need_is_kept(encode, draw):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encode(draw(1), exif=exif)).width_px == 40
    palette = draw(1).quantize(8)
    clear = encode(palette, transparency=bytes([0] * 8))
    assert decode(clear).layers is not None
    data = encode(draw(1))
    assert tidy_png(data) == (data, ())


def test_a_cut_picture_says_what_is_missing(png):
    with pytest.raises(DataError, match=rf"ends after {len(png) - 100:,} of [\d,]+ bytes"):
        decode(png[:-100])


@given(st.binary(max_size=300))
def test_any_bytes_end(data):
    data = b"\x89PNG\r\n\x1a\n" + data
    tidied, remarks = tidy_png(data)
    assert tidied.startswith(b"\x89PNG\r\n\x1a\n")
    assert remarks or len(tidied) <= len(data)  # what is added is told
