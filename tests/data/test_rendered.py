"""The rendering of a set: a background on which drawings are seen, a range for all, thumbnails that follow."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.rendering import Levels, Rendering
from thawline.data.levels import Extent
from thawline.data.rendered import Stored, find_rendering, is_blank, rendered


def drawing(level, ground_level=0, opaque=100):
    """A square of one level, RGBA, on nothing."""
    pixels = np.zeros((32, 32, 4), dtype=np.uint8)
    pixels[..., :3] = ground_level
    side = int(opaque**0.5)
    pixels[8 : 8 + side, 8 : 8 + side] = (level, level, level, 255)
    return Stored(pixels, None, None, ("filled transparency with white",), ())


@pytest.mark.parametrize(
    ("levels", "background"),
    [
        ([255] * 5, "black"),
        ([0] * 5, "white"),
        ([128] * 5, "white"),
        ([255, 255, 0], "grey"),
        ([0, 0, 250], "grey"),
        ([0, 0, 200], "white"),
    ],
)
def test_drawings_are_seen_on_the_background(levels, background):
    rendering, notes = find_rendering([drawing(level) for level in levels])
    assert rendering == Rendering(background=background)
    assert len(notes) == (background != "white")
    for level in levels:
        assert not is_blank(rendered(drawing(level), rendering)[0][None])[0]


def test_the_note_says_why_the_background_is_not_white():
    (note,) = find_rendering([drawing(255)] * 3)[1]
    assert note == (
        "3 pictures with transparent parts: black shows through, since on it 3 of the drawings can be seen, and on "
        "white 0; a model keeps this background."
    )


def test_what_was_filled_is_told_as_it_is_in_the_end():
    pixels, repairs, _ = rendered(drawing(255), Rendering(background="black"))
    assert repairs == ("filled transparency with black",)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[10, 10].tolist() == [255, 255, 255]


def test_deep_thumbnails_follow_the_range_of_the_set():
    own, final = Levels("16-bit", 0, 400), Levels("16-bit", 0, 800)
    thumbnail = np.full((32, 32, 3), 200, dtype=np.uint8)
    note = "scaled 16-bit levels, 0 to 400, to 8 bits"
    picture = Stored(thumbnail, Extent("16-bit", 0, 0, 300, 300), own, (note,), ())
    pixels, repairs, remarks = rendered(picture, Rendering(levels=(final,)))
    assert (pixels == 100).all()
    assert repairs == ("scaled 16-bit levels, 0 to 800, to 8 bits",)
    assert remarks == ()


def test_a_picture_that_leaves_the_range_of_the_set_has_a_remark():
    own, final = Levels("16-bit", 0, 4095), Levels("16-bit", 0, 400)
    picture = Stored(np.full((32, 32, 3), 250, np.uint8), Extent("16-bit", 2, 2, 3900, 4000), own, (), ())
    pixels, _, remarks = rendered(picture, Rendering(levels=(final,)))
    assert (pixels == 255).all()
    assert remarks == ("its values, 2 to 4,000, were clipped to the set's, 0 to 400",)


def test_one_colour_and_nearly_one_colour_are_blank():
    flat = np.full((32, 32, 3), 200, dtype=np.uint8)
    noisy = flat + np.random.default_rng(0).integers(0, 3, flat.shape).astype(np.uint8)
    thin = flat.copy()
    thin[10, :] = 0
    assert is_blank(np.stack([flat, noisy, thin])).tolist() == [True, True, False]
    assert is_blank(np.zeros((0, 32, 32, 3), np.uint8)).tolist() == []
