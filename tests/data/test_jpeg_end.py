"""A JPEG whose pixels are all there is used whatever its last bytes are; one cut short says how much is missing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from thawline.core.errors import DataError
from thawline.data.images import decode
from thawline.data.jpeg_end import lacks_end, tidy_jpeg

WAYS = {"plain": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_rows": 1}}


@pytest.fixture(params=WAYS)
def jpeg(request, encode, draw):
    noisy = np.asarray(draw(4, (250, 200))).astype(int) + np.random.default_rng(0).integers(-9, 9, (200, 250, 1))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    return encode(image, "JPEG", quality=85, **WAYS[request.param])


@pytest.mark.parametrize(
    ("way", "remark"),
    [
        (lambda data: data[:-2], "its last bytes are missing, its pixels are all there"),
        (lambda data: data[:-1], "its last bytes are missing, its pixels are all there"),
        (lambda data: data[:-2] + bytes(500), "its last bytes are missing, its pixels are all there"),
        (lambda data: data[:-2] + b"\xff" * 500, "its last bytes are missing, its pixels are all there"),
        (lambda data: data + bytes(2000), "2,000 zero bytes after its end"),
        (lambda data: data + b"\0\0\0\x18ftypmp42 a film", "19 further bytes after its end"),
        (lambda data: data + data, "used the first of several pictures in the file"),
        (lambda data: b"\r\n" + data, "2 bytes before its beginning"),
    ],
)
def test_all_pixels_there(jpeg, way, remark):
    picture = decode(way(jpeg))
    assert (np.asarray(picture.image) == np.asarray(decode(jpeg).image)).all()
    assert (picture.remarks, picture.repairs) == ((remark,), ())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_cut_short(jpeg, share):
    with pytest.raises(DataError, match=r"before the picture is complete: .* missing"):
        decode(jpeg[: int(len(jpeg) * share)] if share > 0.1 else jpeg[:-40])


def test_how_much_is_missing(encode, draw):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    data = encode(Image.fromarray(noise), "JPEG")
    with pytest.raises(DataError) as caught:
        decode(data[: len(data) // 2])
    missing = int(str(caught.value).split(": ")[1].split(" of")[0])
    assert 90 <= missing <= 120


def test_what_zeros_follow_is_no_whole_picture(encode, draw):
    data = encode(draw(4, (250, 200)), "JPEG")
    with pytest.raises(DataError, match="rows are missing"):
        decode(data[: len(data) // 2] + bytes(len(data) // 2))


def test_a_whole_picture_is_left_as_it_is(jpeg):
    assert tidy_jpeg(jpeg) == (jpeg, ())
    assert not lacks_end(jpeg)
    assert decode(jpeg).remarks == ()
    buffer = io.BytesIO(jpeg)
    with Image.open(buffer) as opened:
        assert (np.asarray(decode(jpeg).image) == np.asarray(opened.convert("RGB"))).all()


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_any_bytes_end(data):
    data = b"\xff\xd8\xff" + data
    tidied, remarks = tidy_jpeg(data)
    assert data.startswith(tidied)  # nothing is added or changed, only what follows is cut off, and that is told
    assert bool(remarks) == (len(tidied) < len(data))
