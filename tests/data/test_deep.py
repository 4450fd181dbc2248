"""Pictures of more than 8 bits are read whole, in every form that Pillow opens."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tiff_cases import write_tiff

from thawline.core.errors import DataError
from thawline.core.rendering import Rendering
from thawline.data.images import decode


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(bands, *, before=b""):
    """Return a 16-bit PNG of (H, W, 1 to 4) values."""
    height, width, depth = bands.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in bands)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[depth], 0, 0, 0)
    parts = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def values(depth, top=4095):
    return np.random.default_rng(depth).integers(0, top, (23, 31, depth), endpoint=True).astype(np.uint16)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_twelve_bits_in_a_png_of_16_are_seen(depth):
    bands = values(depth)
    if depth in {2, 4}:
        bands[..., -1] = 65535
    picture = decode(png16(bands))
    colours = bands[..., : 1 if depth < 3 else 3]
    assert np.abs(np.asarray(picture.image)[..., : colours.shape[2]] - colours / 4095 * 255).max() <= 0.5
    assert picture.repairs == ("scaled 16-bit levels, 0 to 4,095, to 8 bits",)
    assert (picture.extent.highest, picture.levels.high) == (bands[..., : colours.shape[2]].max(), 4095)


@pytest.mark.parametrize("depth", [2, 4])
def test_alpha_of_16_bits(depth):
    bands = values(depth)
    bands[..., -1] = 0
    bands[5:, :, -1] = 65535
    picture = decode(png16(bands))
    assert (np.asarray(picture.image)[:5] == 255).all()
    assert np.abs(np.asarray(picture.image)[5:, :, 0] - bands[5:, :, 0] / 4095 * 255).max() <= 0.5
    assert picture.layers.mode == "RGBA"


@pytest.mark.parametrize(("depth", "clear"), [(1, (300,)), (3, (300, 301, 302))])
def test_the_transparent_value_of_a_png_is_compared_at_full_depth(depth, clear):
    bands = values(depth)
    bands[2, 3] = clear
    bands[2, 4] = np.array(clear) + 1
    picture = decode(png16(bands, before=chunk(b"tRNS", struct.pack(f">{depth}H", *clear))))
    assert picture.image.getpixel((3, 2)) == (255, 255, 255)
    assert picture.image.getpixel((4, 2))[0] < 30


@pytest.mark.parametrize("compression", ["tiff_deflate", "tiff_lzw", "packbits"])
def test_compressed_grey_tiff(encode, compression):
    grey = values(1)[..., 0]
    picture = decode(encode(Image.fromarray(grey), "TIFF", compression=compression))
    assert np.abs(np.asarray(picture.image)[..., 0] - grey / 4095 * 255).max() <= 0.5


@pytest.mark.parametrize("order", ["<", ">"])
def test_compressed_colour_tiff_of_16_bits(order):
    bands = values(3)
    plain = write_tiff(bands, photometric=2, order=order)
    strip = zlib.compress(bands.astype(order + "u2").tobytes())
    one = order + "HHI"
    deflated = plain.replace(struct.pack(one + "H", 259, 3, 1, 1), struct.pack(one + "H", 259, 3, 1, 8))
    size = struct.pack(order + "I", bands.nbytes)
    deflated = deflated.replace(
        struct.pack(one, 279, 4, 1) + size, struct.pack(one, 279, 4, 1) + struct.pack(order + "I", len(strip))
    )
    place = struct.pack(one + "I", 273, 4, 1, 8)
    deflated = deflated.replace(place, struct.pack(one + "I", 273, 4, 1, len(deflated))) + strip
    picture = decode(deflated)
    assert np.abs(np.asarray(picture.image) - bands / 4095 * 255).max() <= 0.5


def test_pictures_of_8_bits_are_none_of_it(encode, draw):
    for name in ("PNG", "TIFF", "JPEG", "WEBP", "BMP"):
        picture = decode(encode(draw(3), name))
        assert (picture.extent, picture.levels, picture.layers) == (None, None, None)


def test_mutated_pictures_give_pixels_or_one_sentence(encode, draw):
    rng, image = np.random.default_rng(0), draw(1)
    bands = values(3)
    whole = [
        png16(bands), png16(bands[..., :2]), write_tiff(bands, photometric=2, planar=2, tile=16),
        write_tiff(bands[..., :1].astype(np.float32), photometric=0, sample_format=3, rows=7),
        encode(image, "PPM"), b"P3 5 5 99 " + b"7 42 99 " * 25,
        b"P5 31 23 4095\n" + bands[..., 0].astype(">u2").tobytes(),
        encode(image, "JPEG")[:-2], encode(image, "JPEG", progressive=True)[:-2], encode(image.convert("RGBA")),
    ]  # fmt: skip
    num_used, sentences = 0, []
    for number in range(600):
        data = bytearray(whole[number % len(whole)])
        for place in rng.integers(0, min(len(data), 300), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        if number % 3 == 0:
            del data[rng.integers(1, len(data)) :]
        try:
            num_used += decode(bytes(data), 32, rendering=Rendering()).image.mode == "RGB"
        except DataError as error:
            sentences.append(str(error))
    assert num_used > 50
    assert not any("\n" in sentence for sentence in sentences)


@pytest.mark.parametrize("top", [4095, 65535])
def test_large_pictures_are_averaged_and_keep_their_depth(monkeypatch, top):
    monkeypatch.setattr("thawline.data.flatten.LARGE_PIXELS", 100)
    bands = values(3, top)
    bands = np.concatenate([bands, bands[::-1]])[:44, :24]
    averages = bands.reshape(22, 2, 12, 2, 3).mean(axis=(1, 3))
    for data in (png16(bands), write_tiff(bands, photometric=2)):
        picture = decode(data, 6)
        assert (picture.width_px, picture.height_px) == (24, 44)
        assert np.abs(np.asarray(picture.image) - averages / picture.levels.high * 255).max() <= 1.5
