"""The decoder: every mode comes out as upright 8-bit RGB, and hostile bytes become one short reason."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.data import formats
from thawline.data.formats import FORMATS
from thawline.data.images import decode, encode_jpeg, prepare


def spec(size_px: int = 16, **changes: object) -> InputSpec:
    return InputSpec(size_px=size_px, mean=(0.5, 0.25, 0.75), std=(0.5, 0.5, 0.5), **changes)


def two_tone(width: int = 60, height: int = 40) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill=(0, 0, 255))
    return image


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("format_name", [item.name for item in FORMATS])
def test_every_allowed_format_decodes_by_content(encode, format_name):
    picture = decode(encode(two_tone(), format_name))
    assert (picture.format, picture.width_px, picture.height_px, picture.image.mode) == (format_name, 60, 40, "RGB")
    assert picture.repairs == ()
    left, right = picture.image.getpixel((5, 20)), picture.image.getpixel((55, 20))
    assert (left[0] > 220, left[2] < 40) == (True, True)
    assert (right[0] < 40, right[2] > 220) == (True, True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, I am a text file\n", "text, not a picture"),
        ("Müller’s notes".encode(), "text, not a picture"),
        (b"\x00\x01\x02\x03" * 20, "an unknown format"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40), "video"),
        (b"<?xml version='1.0'?><svg></svg>", "SVG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"8BPS" + bytes(30), "Photoshop"),
        (b"PK\x03\x04" + bytes(30), "ZIP"),
        (b"\xff\x0a" + bytes(30), "JPEG XL"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF"),
    ],
)
def test_what_is_no_picture_says_what_it_is(data, reason):
    with pytest.raises(DataError, match=reason):
        decode(data)


def test_a_truncated_file_says_how_much_is_there(encode, draw):
    jpeg = encode(draw(1, (400, 300)), "JPEG", quality=95)
    with pytest.raises(DataError, match=f"ends after {len(jpeg) // 2:,} bytes, before the picture is complete"):
        decode(jpeg[: len(jpeg) // 2])
    with pytest.raises(DataError, match="ends after"):
        decode(jpeg[: len(jpeg) // 2], size_px=32)
    for name in ("PNG", "WEBP", "BMP"):
        data = encode(draw(1, (200, 200)), name)
        with pytest.raises(DataError, match=f"ends after {len(data) - 500:,} of [0-9,]+ bytes"):
            decode(data[:-500])


@pytest.mark.parametrize("format_name", [item.name for item in FORMATS])
def test_damaged_bytes_never_raise_anything_but_data_error(encode, draw, format_name):
    whole = encode(draw(2), format_name)
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for position in rng.integers(0, len(data), 4):
            data[position] = rng.integers(256)
        with contextlib.suppress(DataError):  # anything else fails the test
            assert decode(bytes(data), size_px=8).image.mode == "RGB"


def test_sizes_claimed_by_headers_are_refused_before_decoding(monkeypatch):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"0"))
        + png_chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match="60,000×60,000 px are 3,600 megapixels, over the 200 allowed"):
        decode(png)
    size = (16_383).to_bytes(3, "little")
    webp = (
        b"RIFF" + struct.pack("<I", 3500) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + size + bytes(3470)
    )
    opened = []
    guarded = [replace(item, open=opened.append) if item.name == "WEBP" else item for item in FORMATS]
    monkeypatch.setattr(formats, "FORMATS", guarded)
    with pytest.raises(DataError, match="16,384×16,384 px are 268 megapixels"):
        decode(webp)
    assert opened == []


def test_sixteen_bit_levels_are_scaled_and_not_clipped(encode):
    levels = np.linspace(0, 65535, 64 * 4).astype(np.uint16).reshape(4, 64)
    picture = decode(encode(Image.fromarray(levels)))
    out = np.asarray(picture.image)[..., 0].astype(int)
    assert np.abs(out - levels / 257.0).max() <= 1
    assert "scaled 16-bit levels" in picture.repairs[0]


def test_float_levels_are_scaled_from_their_range(encode):
    for top in (1.0, 255.0, 5000.0):
        levels = np.linspace(0, top, 32, dtype=np.float32).reshape(4, 8)
        out = np.asarray(decode(encode(Image.fromarray(levels), "TIFF")).image)[..., 0].astype(int)
        assert out.min() == 0
        assert out.max() == 255
        assert (np.diff(out.ravel()) > 0).all()


def test_cmyk_becomes_rgb_and_says_so(encode):
    picture = decode(encode(two_tone().convert("CMYK"), "JPEG", quality=95))
    assert picture.image.getpixel((5, 20))[0] > 200
    assert picture.repairs == ("converted CMYK to RGB",)


def test_transparency_lies_on_white(encode):
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert decode(encode(clear)).image.getpixel((3, 3)) == (255, 255, 255)
    assert decode(encode(clear)).repairs == ("filled transparency with white",)
    assert decode(encode(clear.convert("LA"))).image.getpixel((3, 3)) == (255, 255, 255)
    palette = two_tone().quantize(4)
    data = encode(palette, "PNG", transparency=bytes([0, 255, 255, 255]))
    assert {pixel for _, pixel in decode(data).image.getcolors()} >= {(255, 255, 255)}
    opaque = decode(encode(two_tone().convert("RGBA")))
    assert opaque.repairs == ()


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_plain_modes_convert_without_remark(encode, mode):
    picture = decode(encode(two_tone().convert(mode), "PNG"))
    assert picture.image.mode == "RGB"
    assert picture.repairs == ()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(encode, format_name):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise: the left side comes to the top
    picture = decode(encode(two_tone(), format_name, exif=exif), size_px=10)
    assert (picture.width_px, picture.height_px) == (40, 60)
    assert picture.repairs == ()
    width, height = picture.image.size
    assert width < height
    assert picture.image.getpixel((width // 2, 2))[0] > 200
    assert picture.image.getpixel((width // 2, height - 3))[2] > 200


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\0\0\0\xff\xff\0\0",
    ],
)
def test_broken_exif_keeps_the_pixels_and_says_so(encode, block):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = decode(encode(two_tone(), "JPEG", exif=block))
    assert picture.image.getpixel((5, 20))[0] > 220
    assert picture.repairs == ("ignored damaged EXIF and did not rotate the picture",)
    assert caught == []


def test_first_frame_of_an_animation(encode):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for name in ("GIF", "WEBP"):
        picture = decode(encode(frames[0], name, save_all=True, append_images=frames[1:]))
        assert picture.image.getpixel((5, 5))[0] > 200
        assert picture.repairs == ("used the first of several frames",)


def test_a_jpeg_with_further_frames_is_a_plain_jpeg(encode):
    data = encode(two_tone(), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "MPO"
    picture = decode(data)
    assert picture.format == "JPEG"
    assert picture.image.getpixel((5, 20))[0] > 220


def test_reduced_decode_keeps_both_sides_at_twice_the_target(encode, draw):
    picture = decode(encode(draw(3, (1000, 400)), "JPEG"), size_px=50)
    assert (picture.width_px, picture.height_px) == (1000, 400)
    assert picture.image.size == (250, 100)
    assert decode(encode(draw(3, (1000, 400)), "JPEG"), size_px=101).image.size == (1000, 400)


def test_threads_give_the_same_pixels(encode, draw):
    data = [encode(draw(seed, (120, 90)), "JPEG") for seed in range(8)]
    alone = [prepare(item, spec()) for item in data]
    together: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda at=at: together.update({at: prepare(data[at % 8], spec())})) for at in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((together[at] == alone[at % 8]).all() for at in range(32))


def test_what_pillow_logs_is_not_printed():
    body = "import logging, thawline.data.images; logging.getLogger('PIL.TiffImagePlugin').error('More samples')"
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=600, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_encode_jpeg_bounds_the_longer_side(draw):
    picture = decode(encode_jpeg(draw(1, (300, 100)), 90))
    assert (picture.format, picture.width_px, picture.height_px) == ("JPEG", 90, 30)
    assert decode(encode_jpeg(draw(1, (30, 10)), 90)).width_px == 30
