"""Maps by covering: bright where a made-up model looks, however many squares it takes and whatever they show."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import thawline
from thawline.core.errors import DataError
from thawline.core.types import InputSpec
from thawline.use.occlusion import NUM_WINDOWS, SIDE, Seen, _frame, can_look, covered, covers, heat_of_covers, seen
from thawline.use.onnx_model import open_onnx

MEAN = (0.5, 0.4, 0.3)


def spec(size_px=70, **facts):
    return InputSpec(size_px, MEAN, (1.0, 1.0, 1.0), **facts)


ONE = (spec(),)


def white(specs):
    """Return a white picture, prepared in some ways."""
    shown = max(specs, key=lambda one: one.crop_share)
    squares = tuple(np.full((one.size_px, one.size_px, 3), 255, np.uint8) for one in specs)
    colours = (np.array([128, 102, 76], np.uint8),) * len(specs)
    return Seen(squares, tuple(_frame(one, shown) for one in specs), colours, (0.0, 0.0, 1.0, 1.0))


def mapped(share_of, *, num_halves=64, specs=ONE):
    """Return the map of a model that is a function of the squares, for a white picture."""
    picture, kept = white(specs), covers(num_halves)
    shares = np.array([share_of(*view) for view in covered(picture, kept)])
    return heat_of_covers(share_of(*picture.prepared), shares, kept=kept)


def test_windows_come_first_and_each_half_with_what_it_leaves():
    kept = covers(6)
    assert kept.shape == (NUM_WINDOWS + 6, SIDE, SIDE)
    assert [(~one).sum() for one in kept[:NUM_WINDOWS]] == [4] * 36
    assert (~kept[:NUM_WINDOWS]).any(axis=0).all()
    for half, rest in zip(kept[NUM_WINDOWS::2], kept[NUM_WINDOWS + 1 :: 2], strict=True):
        assert (half ^ rest).all()
    np.testing.assert_array_equal(kept, covers(8)[: NUM_WINDOWS + 6])
    assert len(covers(0)) == NUM_WINDOWS


def test_what_is_covered_has_the_mean_colour_and_the_rest_is_as_it_was():
    kept = np.ones((1, SIDE, SIDE), dtype=bool)
    kept[0, 0, 6] = False
    picture = np.arange(70 * 70 * 3, dtype=np.uint32).reshape(70, 70, 3).astype(np.uint8)
    ((view,),) = covered(replace(white(ONE), prepared=(picture,)), kept)
    np.testing.assert_array_equal(view[:10, 60:], np.broadcast_to(np.array([128, 102, 76], np.uint8), (10, 10, 3)))
    np.testing.assert_array_equal(view[10:], picture[10:])
    np.testing.assert_array_equal(view[:10, :60], picture[:10, :60])


@pytest.mark.parametrize("num_halves", [0, 64])
def test_the_map_is_bright_where_the_model_looks(num_halves):
    heat = mapped(lambda square: 0.1 + 0.8 * square[22:28, 42:48].mean() / 255, num_halves=num_halves)
    assert heat.dtype == np.uint8
    assert np.unravel_index(heat.argmax(), heat.shape) == (2, 4)
    assert heat.max() == 255
    assert np.median(heat) < 40


def test_halves_see_what_is_there_twice():
    def either(square):
        return 0.05 + 0.9 * max(square[2:8, 2:8].mean(), square[62:68, 62:68].mean()) / 255

    assert mapped(either, num_halves=0).max() == 0, "no single window takes both"
    heat = mapped(either)
    assert set(np.argsort(heat.ravel())[-2:]) == {0, 48}


def test_a_model_that_looks_at_nothing_gets_a_dark_map():
    assert not mapped(lambda square: 0.7).any()


def test_squares_of_several_preparations_are_covered_at_the_same_place_of_the_picture():
    wide, narrow, small = spec(140), spec(70, crop_share=0.5), spec(35, crop_share=0.8)
    specs = (narrow, wide, small)
    kept = np.ones((1, SIDE, SIDE), dtype=bool)
    kept[0, 3, 3] = False  # the middle seventh of the widest
    (views,) = covered(white(specs), kept)
    shares = [(view != 255).all(axis=2).mean() for view in views]
    assert shares == pytest.approx([(2 / 7) ** 2, (1 / 7) ** 2, (1 / 7 / 0.8) ** 2], abs=0.02)
    heat = mapped(lambda *squares: 0.1 + 0.8 * squares[1][62:78, 62:78].mean() / 255, specs=specs)
    assert np.unravel_index(heat.argmax(), heat.shape) == (3, 3)


def test_letterboxes_of_two_sizes_show_the_same():
    for large, small in covered(white((spec(140, fit="letterbox"), spec(70, fit="letterbox"))), covers(2)):
        np.testing.assert_array_equal(large[::2, ::2], small)


def png(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["onnx", "onnx-tensor"])
def test_a_picture_is_seen_as_the_model_takes_it(drawn_model, tmp_path, kind):
    (written,) = thawline.export_all(drawn_model.directory, [kind], out=tmp_path / "model.onnx")
    model = open_onnx(written.path)
    assert can_look(model)
    picture = seen(model, png(1200, 600))
    share = model.inputs[0].crop_share
    assert picture.box == pytest.approx((0.5 - share / 4, 0.5 - share / 2, 0.5 + share / 4, 0.5 + share / 2))
    kept = np.zeros((1, SIDE, SIDE), dtype=bool)
    (views,) = covered(picture, kept)
    hidden = (views[0] != 255).all(axis=2).mean()
    assert hidden == pytest.approx(1.0 if kind == "onnx-tensor" else share**2 / 2, abs=0.02)
    assert max(views[0].shape) < 600, "small, for it is asked about often"
    assert model.answers_to([views]).probabilities.shape == (1, 3)
    with pytest.raises(DataError, match="text, not a picture"):
        seen(model, b"text")


def test_a_folder_has_maps_of_its_own(drawn_model):
    assert not can_look(drawn_model)
