"""Arrays become PNG without loss, in bytes that no library can change."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError
from thawline.data.images import decode
from thawline.data.lossless import encode_png


def numbers(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (32, 32, 3), (500, 400, 3)])
def test_png_without_loss_and_without_a_compressor(shape):
    pixels = numbers(shape)
    data = encode_png(pixels)
    picture = Image.open(io.BytesIO(data))
    picture.load()
    np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert decode(data).repairs == ()
    assert encode_png(np.asfortranarray(pixels)) == data


def test_opacity_is_kept():
    pixels = numbers((9, 7, 4))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(pixels)))), pixels)


def test_png_bytes_are_fixed():
    data = encode_png(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert hashlib.sha256(data).hexdigest() == PNG_SHA256
    for wrong in (np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)):
        with pytest.raises(DataError, match="is not a picture"):
            encode_png(wrong)


PNG_SHA256 = "664fc93c785dc4c415cee8fde6f7e0ff2c0a5d5b706c8654bde19c935862dceb"
