"""What travels with a model is small, as odd as it was, and says nothing of places and people."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from thawline.core.rendering import Rendering
from thawline.data.images import decode
from thawline.work.hard_pictures import file_kind
from thawline.work.kept_picture import MAX_BYTES, kept_pictures, without_metadata

WHITE = Rendering()


def noise(mode, size):
    rng = np.random.default_rng(0)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 1 << 16, size[::-1]).astype(np.uint16))
    rgb = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3)).astype(np.uint8))
    if mode == "RGBA":
        rgb.putalpha(Image.linear_gradient("L").resize(size))
        return rgb
    return rgb.convert(mode)


def encoded(image, kind, **words):
    buffer = io.BytesIO()
    image.save(buffer, kind, **words)
    return buffer.getvalue()


def turned(image, orientation=6, note="at home"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = note
    return encoded(image, "JPEG", exif=exif, comment=b"mine", quality=95)


def test_a_small_file_is_kept_as_it_is():
    for mode, kind in (("RGB", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG")):
        data = encoded(noise(mode, (40, 30)), kind)
        (kept,) = kept_pictures([data], rendering=WHITE)
        assert file_kind(kept) == file_kind(data)
        np.testing.assert_array_equal(decode(kept).image, decode(data).image)
        if kind == "PNG":
            assert kept == data


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_jpeg_loses_what_it_says_of_its_owner_and_stays_turned(orientation):
    data = turned(noise("RGB", (40, 30)), orientation)
    bare = without_metadata(data)
    assert b"at home" in data
    assert b"at home" not in bare
    assert b"mine" not in bare
    assert decode(bare).image.size == decode(data).image.size
    np.testing.assert_array_equal(decode(bare).image, decode(data).image)
    assert without_metadata(bare) == bare


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe1\xff\xff12", b"\xff\xd8\xff\xe1\x00\x04ab"])
def test_a_jpeg_that_ends_early_is_left_as_it_is(data):
    assert without_metadata(data) == data


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("RGB", "PNG")]
)
def test_of_a_large_file_a_thumbnail_keeps_what_makes_it_odd(mode, kind):
    words = {"quality": 95} if kind == "JPEG" else {}
    data = encoded(noise(mode, (900, 500)), kind, **words)
    assert len(data) > MAX_BYTES
    (kept,) = kept_pictures([data], rendering=WHITE)
    assert len(kept) <= MAX_BYTES * 2
    picture = decode(kept)
    assert max(picture.width_px, picture.height_px) == 320
    if mode not in {"RGB"}:
        assert mode in file_kind(kept) or kept.startswith(b"\xff\xd8")


def test_a_large_picture_that_is_turned_stays_turned():
    data = turned(noise("RGB", (900, 500)))
    (kept,) = kept_pictures([data], rendering=WHITE)
    assert "turned" in file_kind(kept)
    picture = decode(kept)
    assert (picture.height_px, picture.width_px) == (320, 178)
    assert b"at home" not in kept


def test_many_pictures_are_a_megabyte_at_most():
    large = [encoded(noise("RGB", (150, 120)), "PNG") for _ in range(40)]
    assert all(len(data) < MAX_BYTES for data in large)
    kept = kept_pictures(large, rendering=WHITE)
    assert sum(map(len, kept)) < 1.2 * (1 << 20)
