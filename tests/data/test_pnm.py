"""Netpbm pictures are known by their content and read whole, as bytes and as text, of any full scale."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from thawline.core.errors import DataError
from thawline.data.formats import format_of
from thawline.data.images import decode
from thawline.data.pnm import is_pnm

GREYS = (np.arange(35).reshape(5, 7) * 7).astype(np.uint8)
COLOURS = np.stack([GREYS, 255 - GREYS, GREYS // 2], axis=2)


def netpbm(sign, values, maximum=255, comment=""):
    """Return values as a netpbm picture: P1 to P3 as text, P4 to P6 as bytes."""
    height, width = values.shape[:2]
    head = f"P{sign}\n{comment}{width} {height}\n" + ("" if sign in {1, 4} else f"{maximum}\n")
    if sign <= 3:
        rows = [" ".join(map(str, row.ravel().tolist())) for row in values]
        return (head + "\n".join(rows) + "\n").encode()
    if sign == 4:
        return head.encode() + np.packbits(values, axis=1).tobytes()
    return head.encode() + values.astype(">u2" if maximum > 255 else "u1").tobytes()


@pytest.mark.parametrize("sign", [2, 5, 3, 6])
@pytest.mark.parametrize("comment", ["", "# by a scanner\n"])
def test_greys_and_colours(sign, comment):
    values = GREYS if sign in {2, 5} else COLOURS
    picture = decode(netpbm(sign, values, comment=comment))
    assert (picture.format, picture.repairs, picture.remarks) == ("PPM", (), ())
    assert (np.asarray(picture.image) == (values if values.ndim == 3 else values[..., None])).all()


@pytest.mark.parametrize("sign", [1, 4])
def test_black_is_one_in_bitmaps(sign):
    bits = (GREYS % 2).astype(np.uint8)
    picture = decode(netpbm(sign, bits))
    assert (np.asarray(picture.image)[..., 0] == 255 * (1 - bits)).all()


def test_bits_as_text_need_no_space_between_them():
    assert np.asarray(decode(b"P1 3 2\n101\n010\n").image)[..., 0].tolist() == [[0, 255, 0], [255, 0, 255]]


@pytest.mark.parametrize("sign", [2, 3, 5, 6])
@pytest.mark.parametrize("maximum", [100, 4095, 65535])
def test_the_full_scale_that_the_file_states_is_white(sign, maximum):
    values = (GREYS if sign in {2, 5} else COLOURS).astype(np.int64) * maximum // 255
    values[0, 0] = maximum
    out = np.asarray(decode(netpbm(sign, values, maximum)).image).astype(float)
    exact = values / maximum * 255
    assert np.abs(out - (exact if exact.ndim == 3 else exact[..., None])).max() <= 0.51


def test_a_full_scale_that_is_not_used_is_found_by_the_set():
    picture = decode(netpbm(5, GREYS.astype(np.int64), 65535))
    assert picture.image.getextrema()[0][1] > 200
    assert picture.levels.kind == "16-bit netpbm"


def test_what_is_cut_short_or_no_number_is_told():
    for data, reason in (
        (netpbm(6, COLOURS)[:-1], "ends after 115 bytes"),
        (netpbm(5, GREYS, 4095)[:-1], "ends after 81 of 82 bytes"),
        (netpbm(2, GREYS)[:60], "ends after .. of 35 values"),
        (netpbm(2, GREYS).replace(b"49", b"xx"), "whose values are not numbers"),
    ):
        with pytest.raises(DataError, match=reason):
            decode(data)


@pytest.mark.parametrize("text", [b"P3 is a plan", b"P6", b"P7 1 1", b"P5\nabc", b"", b"P0 1 1 1"])
def test_texts_are_no_pictures(text):
    assert not is_pnm(text)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_picture_or_one_sentence(data):
    for sign in b"123456f":
        with suppress(DataError):
            decoded = decode(b"P" + bytes([sign]) + b" 3 3 9 " + data, max_megapixels=1)
            assert (decoded.image.size, decoded.image.mode) == ((3, 3), "RGB")


def test_pillows_own_files(encode, draw):
    for mode in ("RGB", "L", "1"):
        image = draw(2).convert(mode)
        data = encode(image, "PPM")
        assert format_of(data).name == "PPM"
        assert (np.asarray(decode(data).image) == np.asarray(image.convert("RGB"))).all()
    floats = Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert decode(encode(floats, "PPM")).levels.high == 1
