"""TIFFs that Pillow reads wrongly or not at all: their layout, their plain values, and a true sentence for the rest."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from tiff_cases import write_tiff

from thawline.core.errors import DataError
from thawline.data.deep import plain_tiff
from thawline.data.images import decode
from thawline.data.tiff import is_plain, tiff_layout, tiff_values


def values(depth, dtype=np.uint16, top=65535, size=(37, 45)):
    return np.random.default_rng(0).integers(0, top, (*size, depth), endpoint=True).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("how", [{}, {"rows": 10}, {"tile": 16}])
def test_sixteen_bit_colours_are_read_whole_however_they_lie(order, planar, how):
    bands = values(3)
    data = write_tiff(bands, photometric=2, planar=planar, order=order, **how)
    assert (tiff_values(data, tiff_layout(data)) == bands).all()
    assert np.abs(np.asarray(decode(data).image) - bands / 257).max() <= 0.5


def test_twelve_bit_colours_are_not_black():
    bands = values(3, top=4095)
    picture = decode(write_tiff(bands, photometric=2))
    assert np.abs(np.asarray(picture.image) - bands / 4095 * 255).max() <= 0.5
    assert picture.repairs == ("scaled 16-bit levels, 0 to 4,095, to 8 bits",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_white_is_zero(dtype):
    grey = values(1, dtype, top=255)
    grey[0, :2] = [[0], [255]]
    out = np.asarray(decode(write_tiff(grey, photometric=0)).image)[..., 0]
    assert (out == 255 - grey[..., 0]).all()


@pytest.mark.parametrize(("dtype", "top"), [(np.float32, 1), (np.float64, 1), (np.float32, 255), (np.float64, 255)])
@pytest.mark.parametrize(("depth", "photometric"), [(1, 1), (3, 2)])
def test_floats_from_0_to_1_and_to_255(dtype, top, depth, photometric):
    bands = values(depth, np.float64, top=255)
    bands[0, 0] = 255
    data = write_tiff((bands / 255 * top).astype(dtype), photometric=photometric, sample_format=3)
    assert np.abs(np.asarray(decode(data).image)[..., :depth] - bands).max() <= 0.5


def test_alpha_and_unknown_bands():
    bands = values(4)
    bands[..., 3] = 65535
    bands[:5, :, 3] = 0
    clear = decode(write_tiff(bands, photometric=2, extra=(2,)))
    assert (np.asarray(clear.image)[:5] == 255).all()
    assert clear.repairs[-1] == "filled transparency with white"
    unknown = decode(write_tiff(bands, photometric=2, extra=(0,)))
    assert np.abs(np.asarray(unknown.image) - bands[..., :3] / 257).max() <= 0.5
    eight = (bands >> 8).astype(np.uint8)
    planar = decode(write_tiff(eight, photometric=2, extra=(0,), planar=2))
    assert (np.asarray(planar.image) == eight[..., :3]).all()


def test_turned_as_the_file_says():
    grey = values(1)
    turned = decode(write_tiff(grey, photometric=1, more=((274, 3, [6]),)))
    assert (turned.width_px, turned.height_px) == (37, 45)
    assert (np.asarray(turned.image)[..., 0] == np.rot90(np.rint(grey[..., 0] / 257), -1)).all()


def test_the_value_that_a_file_calls_no_data_is_left_out():
    grey = values(1, top=200)
    grey[3:5] = 60000
    picture = decode(write_tiff(grey, photometric=1, more=((42113, 2, b"60000\0"),)))
    assert picture.levels.high == 255
    assert (np.asarray(picture.image)[3:5] == 0).all()
    assert "were not measured" in picture.repairs[1]


@pytest.mark.parametrize(
    ("bands", "facts", "reason"),
    [
        (values(7), {"photometric": 1}, "a TIFF of 7 bands (16-bit) that does not say which are red, green and blue"),
        (values(5, np.uint8, 255), {"photometric": 1}, "a TIFF of 5 bands (8-bit) that does not say which are red"),
        (values(2, np.float32), {"photometric": 1, "sample_format": 3}, "a TIFF of 2 bands (32-bit float) that does"),
        (values(1), {"photometric": 9}, "a TIFF of one band (16-bit) that cannot be read here: save it as"),
    ],
)
def test_what_is_no_picture_is_told_truly(bands, facts, reason):
    with pytest.raises(DataError) as caught:
        decode(write_tiff(bands, **facts))
    assert reason in str(caught.value)


def test_a_file_that_ends_early_or_claims_too_much_is_refused_without_its_memory():
    data = write_tiff(values(3), photometric=2, rows=5)
    layout = tiff_layout(data)
    assert is_plain(layout)
    with pytest.raises(DataError, match="ends after 5,000 bytes"):
        plain_tiff(data[:5000], layout)
    tall = data.replace(struct.pack("<HHII", 257, 4, 1, 37), struct.pack("<HHII", 257, 4, 1, 30_000))
    with pytest.raises(DataError, match="before the picture is complete"):
        decode(tall)
    many = write_tiff(values(1), photometric=1, tile=16)
    tiny = many.replace(struct.pack("<HHII", 322, 4, 1, 16), struct.pack("<HHII", 322, 4, 1, 0))
    with pytest.raises(DataError):
        decode(tiny)


def test_bytes_that_are_no_tiff_have_no_layout():
    for data in (b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"MM\0+" + bytes(40), b"II*\0\x08\0\0\0" + b"\xff" * 60):
        assert tiff_layout(data) is None
