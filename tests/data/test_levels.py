"""Deep values become 8-bit pixels by the range that the set uses; what is far outside does not make the rest black."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.rendering import Levels
from thawline.data.levels import Deep, extent_of, find_levels, levels_note, range_of, to_8_bits


def deep(values, kind="16-bit", **facts):
    return Deep(np.asarray(values), kind, **facts)


def ramp(top, dtype=np.uint16, size=(40, 50)):
    return np.linspace(0, top, size[0] * size[1]).reshape(size).astype(dtype)


def levels_of(*pictures):
    return find_levels([extent_of(picture) for picture in pictures])


@pytest.mark.parametrize(
    ("top", "white"),
    [(65535, 65535), (40000, 65535), (4095, 4095), (3000, 4095), (1000, 1023), (400, 400), (255, 255), (1, 1)],
)
def test_white_is_the_full_scale_that_is_used_or_else_the_largest_count(top, white):
    assert levels_of(deep(ramp(top))) == (Levels("16-bit", 0, white),)


def test_one_range_holds_for_all_pictures_of_the_set():
    dark, bright = deep(ramp(900)), deep(ramp(4000))
    (levels,) = levels_of(dark, bright)
    assert levels == Levels("16-bit", 0, 4095)
    assert to_8_bits(dark, levels)[0].max() == 56
    assert to_8_bits(bright, levels)[0].max() == 249


def test_each_kind_has_a_range_of_its_own_and_order_does_not_matter():
    pictures = [
        deep(ramp(65535)),
        deep(ramp(250, np.int32), "32-bit signed"),
        deep(ramp(1, np.float32), "32-bit float"),
    ]
    found = levels_of(*pictures)
    assert [(item.kind, item.high) for item in found] == [
        ("16-bit", 65535),
        ("32-bit float", 1),
        ("32-bit signed", 255),
    ]
    assert levels_of(*reversed(pictures)) == found


def test_fractions_are_for_floats_alone():
    assert levels_of(deep(ramp(0.9, np.float64), "64-bit float"))[0].high == 1
    assert levels_of(deep(ramp(0.2, np.float64), "64-bit float"))[0].high == pytest.approx(0.2)
    assert levels_of(deep(ramp(250, np.float64), "64-bit float"))[0].high == 255


def test_hot_pixels_do_not_make_the_rest_black_and_are_clipped_with_a_remark():
    values = ramp(400, size=(100, 100))
    values[3, 4] = 65535
    (levels,) = levels_of(deep(values))
    assert 390 < levels.high <= 400
    pixels, _, remarks = to_8_bits(deep(values), levels)
    assert pixels[3, 4] == 255
    assert pixels[50].max() > 100
    assert len(remarks) == 1
    assert "brighter than" in remarks[0]


def test_a_few_bright_points_on_black_stay_the_range():
    values = np.zeros((200, 200), dtype=np.uint16)
    values[:3, :3] = 3500
    assert levels_of(deep(values))[0].high == 4095


def test_a_single_picture_in_another_unit_does_not_make_a_large_set_black():
    usual = [deep(ramp(300 + number)) for number in range(30)]
    assert levels_of(*usual, deep(ramp(65535)))[0].high == 329
    assert levels_of(*usual[:5], deep(ramp(65535)))[0].high == 65535  # of six nobody knows which is odd


def test_negative_values_begin_at_the_smallest():
    values = np.linspace(-1000, 3000, 2000).reshape(40, 50).astype(np.int16)
    (levels,) = levels_of(deep(values, "16-bit signed"))
    assert levels == Levels("16-bit signed", -1000, 3000)
    pixels = to_8_bits(deep(values, "16-bit signed"), levels)[0]
    assert (pixels.min(), pixels.max()) == (0, 255)


@pytest.mark.parametrize(
    ("mark", "no_data"), [(np.nan, None), (-9999, None), (np.inf, None), (-3.4028235e38, None), (77, 77)]
)
def test_what_was_not_measured_is_black_and_told_and_no_part_of_the_range(mark, no_data):
    values = ramp(200, np.float32)
    values[values == 77] = 76
    values[:5] = mark
    picture = deep(values, "32-bit float", no_data=no_data)
    (levels,) = levels_of(picture)
    assert levels == Levels("32-bit float", 0, 255)
    pixels, repairs, remarks = to_8_bits(picture, levels)
    assert (pixels[:5] == 0).all()
    assert np.abs(pixels[5:].astype(float) - values[5:]).max() <= 0.5
    assert repairs == ("250 values that were not measured became black",)
    assert remarks == ()


def test_a_picture_without_any_value_is_black():
    picture = deep(np.full((4, 5), np.nan), "64-bit float")
    pixels, repairs, _ = to_8_bits(picture, levels_of(picture)[0])
    assert (pixels == 0).all()
    assert repairs == ("20 values that were not measured became black",)


def test_white_is_zero_is_turned_around():
    values = ramp(4095)
    upright, inverted = (
        to_8_bits(deep(values, is_inverted=flag), Levels("16-bit", 0, 4095))[0] for flag in (False, True)
    )
    assert (inverted == 255 - upright).all()


def test_values_outside_the_range_are_clipped_and_counted():
    pixels, _, remarks = to_8_bits(deep([[-5, 0, 100, 300]], "16-bit signed"), Levels("16-bit signed", 0, 200))
    assert pixels.tolist() == [[0, 0, 128, 255]]
    assert remarks == (
        "1 values brighter than 200, where the range ends, were clipped",
        "1 values darker than 0, where the range ends, were clipped",
    )


def test_wide_values_in_parts_are_those_at_once(monkeypatch):
    values = ramp(70000, np.uint32)
    levels = levels_of(deep(values, "32-bit"))[0]
    whole = to_8_bits(deep(values, "32-bit"), levels)[0]
    monkeypatch.setattr("thawline.data.levels._CHUNK", 100)
    assert (to_8_bits(deep(values, "32-bit"), levels)[0] == whole).all()


def test_ranges_in_words():
    assert range_of(Levels("32-bit float", -0.25, 1)) == "-0.25 to 1"
    assert levels_note(Levels("16-bit", 0, 4095)) == "scaled 16-bit levels, 0 to 4,095, to 8 bits"


def test_any_bytes_as_floats_give_pixels_without_a_warning():
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 256, 4096, dtype=np.uint8)
        for dtype in ("<f2", ">f4", "<f8"):
            picture = deep(noise.view(dtype).reshape(16, -1), "float")
            assert to_8_bits(picture, levels_of(picture)[0])[0].dtype == np.uint8
