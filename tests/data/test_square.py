"""The network's square: what of a picture it shows, and that cropping while resizing is resizing and cropping."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from thawline.core.types import InputSpec
from thawline.data.images import decode, prepare
from thawline.data.square import shown_box, side_px, squared


def spec(size_px: int = 16, **changes: object) -> InputSpec:
    return InputSpec(size_px=size_px, mean=(0.5, 0.25, 0.75), std=(0.5, 0.5, 0.5), **changes)


def two_tone(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill=(0, 0, 255))
    return image


def test_fits(encode):
    data = encode(two_tone(40, 20))
    crop, stretch, letterbox = (prepare(data, spec(20, fit=fit)) for fit in ("crop", "stretch", "letterbox"))
    for pixels in (crop, stretch, letterbox):
        assert pixels.shape == (20, 20, 3)
        assert pixels.dtype == np.uint8
    assert (letterbox[0] == [128, 64, 191]).all()
    assert (letterbox[4] == [128, 64, 191]).all()
    assert letterbox[10, 1, 0] == 255
    assert stretch[0, 0, 0] == 255
    marked = two_tone(40, 20)
    ImageDraw.Draw(marked).rectangle((0, 0, 8, 20), fill=(0, 255, 0))  # lies outside the central square
    assert prepare(encode(marked), spec(20, fit="crop"))[..., 1].max() < 60
    assert prepare(encode(marked), spec(20, fit="stretch"))[..., 1].max() == 255


def test_extreme_shapes_fit(encode):
    for size in ((1, 1), (500, 1), (1, 500)):
        for fit in ("crop", "stretch", "letterbox"):
            assert prepare(encode(Image.new("RGB", size)), spec(8, fit=fit)).shape == (8, 8, 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(300, 300), (40, 32), (2000, 1000)])
def test_a_share_is_what_resizing_and_then_cutting_gives(draw, size, interpolation):
    image, scale = draw(1, size), 256 / min(size)
    whole = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling[interpolation.upper()])
    left, top = (whole.width - 224) // 2, (whole.height - 224) // 2
    expected = np.asarray(whole.crop((left, top, left + 224, top + 224))).astype(int)
    found = squared(image, spec(224, crop_share=0.875, interpolation=interpolation))
    assert np.abs(found - expected).max() <= 1


def test_a_share_of_one_is_the_whole_shorter_side(draw):
    image = draw(2, (90, 60))
    expected = np.asarray(image.crop((15, 0, 75, 60)).resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(squared(image, spec()) - expected).mean() < 1  # at the sides the resize sees what the crop has lost
    assert (squared(image, spec()) == squared(image, spec(crop_share=1.0))).all()


def test_a_share_shows_the_middle_and_only_a_crop_has_one():
    image = two_tone(40, 40)
    ImageDraw.Draw(image).rectangle((0, 0, 3, 39), fill=(0, 255, 0))  # a tenth, gone with a share of 0.8
    assert squared(image, spec(20))[:, 0, 1].min() == 255
    assert squared(image, spec(20, crop_share=0.75))[..., 1].max() == 0
    for fit in ("letterbox", "stretch"):
        assert (squared(image, spec(20, fit=fit)) == squared(image, spec(20, fit=fit, crop_share=0.75))).all()


def test_a_big_jpeg_is_decoded_with_enough_pixels_for_its_share(encode, draw):
    assert [side_px(spec(224, crop_share=share)) for share in (1.0, 0.875, 0.9)] == [224, 256, 249]
    image = draw(3, (1800, 900))
    data, narrow = encode(image, "JPEG", quality=95), spec(224, crop_share=0.25)
    assert decode(data, size_px=side_px(spec(224))).image.size == (900, 450)
    assert decode(data, size_px=side_px(narrow)).image.size == (1800, 900)
    assert (prepare(data, narrow) == squared(decode(data).image, narrow)).all()


@pytest.mark.parametrize(
    ("size", "changes", "box"),
    [
        ((40, 20), {"fit": "stretch"}, (0, 0, 1, 1)),
        ((40, 20), {"fit": "crop"}, (0.25, 0, 0.75, 1)),
        ((20, 40), {"fit": "crop", "crop_share": 0.5}, (0.25, 0.375, 0.75, 0.625)),
        ((40, 20), {"fit": "letterbox"}, (0, -0.5, 1, 1.5)),
        ((20, 40), {"fit": "letterbox"}, (-0.5, 0, 1.5, 1)),
    ],
)
def test_the_box_of_what_is_shown(size, changes, box):
    assert shown_box(size, spec(**changes)) == pytest.approx(box)


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
def test_the_box_is_the_square_that_was_cut(fit):
    """A spot in the picture lies in the square where the box says."""
    image = Image.new("RGB", (200, 120), (0, 0, 0))
    ImageDraw.Draw(image).rectangle((120, 40, 139, 59), fill=(255, 255, 255))  # its middle: 0.65, 0.4166
    share = {"crop_share": 0.9} if fit == "crop" else {}
    square = squared(image, spec(100, fit=fit, **share))[..., 1].astype(float)
    square[square < 128] = 0
    y, x = (square.sum(axis=1 - axis) @ (np.arange(100) + 0.5) / square.sum() / 100 for axis in (0, 1))
    left, top, right, bottom = shown_box(image.size, spec(100, fit=fit, **share))
    assert left + x * (right - left) == pytest.approx(0.65, abs=0.01)
    assert top + y * (bottom - top) == pytest.approx(50 / 120, abs=0.015)
