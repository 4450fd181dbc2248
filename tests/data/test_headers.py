"""What a file claims about itself is read without a decoder, and no bytes raise anything."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from thawline.data import headers
from thawline.data.headers import (
    bmp_bytes,
    exif_orientation,
    is_avif,
    is_bmp,
    is_webp,
    png_bytes,
    webp_bytes,
    webp_size,
    why_no_picture,
    xmp_orientation,
)

READERS = (bmp_bytes, exif_orientation, is_avif, is_bmp, is_webp, png_bytes, webp_bytes, webp_size, why_no_picture)


def directory(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    """Return an EXIF block of one directory: (tag, type, count, value) each."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    rows = [
        struct.pack(order + ("HHIHH" if kind == 3 else "HHII"), tag, kind, count, value, *([0] if kind == 3 else []))
        for tag, kind, count, value in entries
    ]
    return mark + struct.pack(order + "IH", 8, len(rows)) + b"".join(rows)


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"Exif\0\0", b"\0\0\0\x40ftyp"])
)
def test_no_bytes_raise_anything(data, start):
    facts = [reader(start + data) for reader in READERS]
    assert facts == [reader(bytes(bytearray(start + data))) for reader in READERS]  # by the bytes alone


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"RIFF\x24\0\0\0AVI LIST", "sound or video (RIFF), not a picture"),
        (b"\xef\xbb\xbf \n<SVG xmlns='x'>", "SVG, a drawing: convert it to PNG first"),
        (b"<!DOCTYPE html><html>", "a web page, not a picture"),
        (b"<html><img>", "a web page, not a picture"),
        (b"plain", "text, not a picture"),
        ("né".encode()[:-1], "text, not a picture"),  # cut within a character
        (b"\xff\xfe\xfd" * 9, "an unknown format"),
        (b"text with one byte \xff that is none", "an unknown format"),
        (b"\xff", "an unknown format"),
        (b"text with a \0", "an unknown format"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt  qt  ", "a video, not a picture"),
        (b"\0\0\x01\0\x01", "an icon (ICO): convert it first"),
        (bytes(40) + b"\0" * 8 + b"TRUEVISION-XFILE.\0", "TGA: convert it first, Pillow can"),
        (b"\n\5\1\10" + bytes(60), "PCX: convert it first, Pillow can"),
        (
            b"\x28\0\0\0" + b"\3\0\0\0" * 2 + b"\1\0\x18\0" + bytes(60),
            "a bitmap without the header of its file (DIB): convert it first, Pillow can",
        ),
        (b"\nP text", "text, not a picture"),
    ],
)
def test_what_is_no_picture_is_called_by_its_kind(data, reason):
    assert why_no_picture(data) == reason


def test_a_brand_anywhere_in_its_box_tells_avif():
    assert is_avif(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif")
    assert is_avif(b"\0\0\0\x10ftypavis\0\0\0\0")
    assert not is_avif(b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif")  # behind the end of the box
    assert not is_avif(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert headers.is_heif(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert not headers.is_heif(b"\0\0\0\x18ftypisom\0\0\0\0mp42avc1")


def test_a_text_that_begins_with_bm_is_no_bmp():
    assert not is_bmp(b"BMW and other cars, a list")
    assert not is_bmp(b"BM" + bytes(12) + struct.pack("<H", 40))  # cut within the length
    assert all(is_bmp(b"BM" + bytes(12) + struct.pack("<I", length)) for length in (12, 40, 124))
    assert not is_bmp(b"BM" + bytes(12) + struct.pack("<I", 41))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"save_all": True}])
@pytest.mark.parametrize("size", [(1, 1), (300, 7), (17, 1025)])
def test_a_webp_says_its_size_in_each_of_its_forms(encode, options, size):
    image = Image.new("RGB", size)
    if "save_all" in options:
        options = options | {"append_images": [Image.new("RGB", size, "red")]}
    data = encode(image, "WEBP", **options)
    assert webp_size(data) == size
    assert webp_bytes(data) == len(data)
    assert webp_size(data[:20]) is None


def test_a_webp_of_an_unknown_form_says_no_size():
    assert webp_size(b"RIFF\0\0\0\0WEBPVP9 " + bytes(20)) is None
    assert webp_size(b"RIFF\0\0\0\0WEBPVP8L" + bytes(20)) is None  # without its mark
    assert webp_size(b"RIFF\0\0\0\0WEBPVP8 " + bytes(20)) is None


def test_a_png_says_how_far_its_chunks_reach(encode):
    data = encode(Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)), "PNG")
    assert png_bytes(data) == len(data)
    assert png_bytes(data + b"rubbish behind the end") == len(data)
    assert png_bytes(data[:-1]) == len(data)
    assert png_bytes(data[:41]) == 33 + 12 + int.from_bytes(data[33:37], "big")  # the header, then all of the pixels
    assert png_bytes(data[:40]) == 33  # the name of the next chunk is cut off
    assert png_bytes(headers.PNG_SIGNATURE) == 8


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_found_in_either_byte_order(order):
    for value in range(1, 9):
        block = directory((0x010F, 2, 2, 0), (0x0112, 3, 1, value), order=order)
        assert exif_orientation(block) == (value, False)
        assert exif_orientation(b"Exif\0\0Exif\0\0" + block) == (value, False)
    assert exif_orientation(directory((0x0112, 4, 1, 6), order=order)) == (6, False)


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        (directory(), (1, False)),
        (directory((0x0112, 3, 1, 0)), (1, False)),  # some cameras write 0 for `unknown`
        (directory((0x0112, 3, 1, 9)), (1, True)),
        (directory((0x0112, 3, 1, 3), (0x010F, 99, 1, 0)), (3, True)),  # a type that there is not
        (directory((0x0112, 3, 1, 3), (0x010F, 2, 13, 22)), (3, True)),  # a text that reaches past the end
        (directory((0x0112, 3, 1, 3), (0x010F, 2, 12, 22)), (3, False)),  # a text that ends where the block does
        (directory((0x0112, 3, 1, 3), (0x8769, 4, 1, 500)), (3, True)),  # a further directory past the end
        (directory((0x0112, 3, 1, 3), (0x8825, 4, 1, 500)), (3, True)),
        (directory((0x0112, 3, 1, 3))[:-1], (1, True)),
        (b"II*\0\x08\0\0", (1, True)),
        (b"XX*\0\x08\0\0\0", (1, True)),
    ],
)
def test_damage_is_seen_and_the_orientation_kept_where_it_can_be(block, answer):
    assert exif_orientation(block) == answer


@pytest.mark.parametrize(
    ("xmp", "orientation"),
    [
        (b'<rdf:Description tiff:Orientation="6"/>', 6),
        ("<tiff:Orientation>8</tiff:Orientation>", 8),
        (b"<a tiff:Orientation = '3'>", 3),
        (b'<a tiff:Orientation="9"/>', 1),
        (b'<a tiff:Orientation="12"/>', 1),
        (b"", 1),
        (None, 1),
    ],
)
def test_the_orientation_of_xmp(xmp, orientation):
    assert xmp_orientation(xmp) == orientation
