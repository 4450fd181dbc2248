"""Every mode becomes 8-bit RGB, or RGBA where a background shows through; deep values follow the rendering."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from thawline.core.rendering import Levels, Rendering
from thawline.data.flatten import BACKGROUNDS, flatten, on_background, reduce_large
from thawline.data.levels import Deep

GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "YCbCr"])
def test_plain_modes_become_rgb_without_a_word(mode):
    flat = flatten(Image.fromarray(GREYS).convert("RGB").convert(mode), None)
    assert (flat.image.mode, flat.repairs, flat.remarks, flat.extent) == ("RGB", (), (), None)


def test_other_modes_are_told():
    assert flatten(Image.new("CMYK", (4, 4)), None).repairs == ("converted CMYK to RGB",)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_layers_stay_where_something_shows_through(mode):
    clear, opaque = Image.new("RGBA", (4, 4), (9, 9, 9, 0)), Image.new("RGBA", (4, 4), (9, 9, 9, 255))
    convert = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    assert flatten(clear.convert(convert).convert(mode), None).image.mode == "RGBA"
    assert flatten(opaque.convert(convert).convert(mode), None).image.mode == "RGB"


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_background_shows_through_as_far_as_it_can(background):
    layers = Image.new("RGBA", (1, 3))
    layers.putdata([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)])
    first, second, third = np.asarray(on_background(layers, background))[:, 0].tolist()
    assert (first, second) == ([10, 20, 30], list(BACKGROUNDS[background]))
    assert abs(third[0] - BACKGROUNDS[background][0] / 2) <= 1


def test_a_known_range_is_used_and_an_unknown_kind_is_told():
    deep = Deep(GREYS.astype(np.uint16), "16-bit")
    alone = flatten(deep, None)
    assert (alone.levels, alone.remarks) == (Levels("16-bit", 0, 255), ())
    known = flatten(deep, Rendering(levels=(Levels("16-bit", 0, 510),)))
    assert (known.levels.high, known.remarks) == (510, ())
    assert np.asarray(known.image).max() == 128
    unknown = flatten(deep, Rendering())
    assert unknown.levels == alone.levels
    assert unknown.remarks[0].startswith("the model has seen no 16-bit levels: ")


def test_large_pictures_are_averaged(monkeypatch):
    monkeypatch.setattr("thawline.data.flatten.LARGE_PIXELS", 100)
    image = Image.fromarray(np.tile(np.array([[0, 200], [100, 100]], np.uint8), (8, 8)))
    assert np.asarray(reduce_large(image, 8)).tolist() == [[100] * 8] * 8
    assert reduce_large(image, 9) is image
