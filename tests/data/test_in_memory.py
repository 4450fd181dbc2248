"""Arrays and pictures of Pillow become files with the same pixels, or an error that says what to do."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from thawline.core.errors import DataError, InputError
from thawline.core.types import InputSpec
from thawline.data.images import decode, prepare
from thawline.data.in_memory import array_of, check_values, encode_image, encode_pixels, is_array

SPEC = InputSpec(32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def numbers(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (40, 30, 4)])
def test_an_array_is_prepared_as_a_file_with_its_pixels(shape):
    pixels = numbers(shape)
    np.testing.assert_array_equal(prepare(encode_pixels(pixels), SPEC), prepare(png(pixels), SPEC))
    dark = pixels // 8  # nothing stretches what is dark in 8 bits
    np.testing.assert_array_equal(prepare(encode_pixels(dark), SPEC), prepare(png(dark), SPEC))
    strided = np.asfortranarray(pixels)[::-1][::-1]
    assert encode_pixels(strided) == encode_pixels(pixels)


def test_all_ways_to_hold_the_same_levels_are_the_same_picture():
    pixels = numbers((20, 30, 3))
    data = encode_pixels(pixels)
    for dtype in (np.float16, np.float32, np.float64):
        assert encode_pixels((pixels / 255).astype(dtype)) == data
    assert encode_pixels(pixels[..., ::-1], channels="bgr") == data
    grey = numbers((20, 30))
    assert encode_pixels(grey[..., None]) == encode_pixels(grey) == encode_pixels(grey, channels="bgr")
    layers = numbers((20, 30, 4))
    assert encode_pixels(layers[..., [2, 1, 0, 3]], channels="bgr") == encode_pixels(layers)
    mask = grey > 100
    assert encode_pixels(mask) == encode_pixels(mask.astype(np.uint8) * 255)


def test_16_bits_stay_16_bits_and_meet_the_range_of_the_set():
    deep = np.random.default_rng(0).integers(0, 4096, (20, 30), dtype=np.uint16)
    found, expected = decode(encode_pixels(deep)), decode(png(deep))
    assert (found.levels, found.extent) == (expected.levels, expected.extent)
    np.testing.assert_array_equal(np.asarray(found.image), np.asarray(expected.image))
    colours = np.stack([deep, deep // 2, deep // 3], axis=-1)
    found = decode(encode_pixels(colours))
    assert found.levels == expected.levels
    scaled = np.rint(colours / found.levels.high * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(found.image), scaled)
    np.testing.assert_array_equal(np.asarray(decode(encode_pixels(colours[..., ::-1], channels="bgr")).image), scaled)
    with pytest.raises(InputError, match="uint16 values with opacity"):
        encode_pixels(np.stack([deep] * 4, axis=-1))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((2, 2), 16.0), r"from 16 to 16; floats from 0 \(black\) to 1 .* X / 16"),
        (np.full((2, 2), 200.0), "Where 255 is white, convert them: X.astype"),
        (np.full((2, 2), 4000.0), "X / 4095"),
        (np.full((2, 2), 70000.0), "X / 70000"),
        (np.array([[-1.5, 0.5]]), "from -1.5 to 0.5.* before a mean is subtracted"),
        (np.array([[0.5, np.nan]]), "NaN among them"),
        (np.array([[0.5, np.inf]]), "infinity"),
        (np.array([[0, 16]]), "int64 values.* from 0 to 16; uint8, or floats.* X / 16"),
        (np.array([[-1, 16]]), "Shift and scale"),
        (np.array([[1j]]), "Complex data not supported"),
        (np.array([["a"]]), "<U1 values in an array of shape"),
    ],
)
def test_values_that_are_no_levels_are_refused_with_the_next_step(values, words):
    with pytest.raises(InputError, match=words) as caught:
        check_values(values)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DataError)


def test_what_a_resize_leaves_outside_of_0_to_1_is_clipped():
    assert encode_pixels(np.array([[-1e-6, 1 + 1e-6]])) == encode_pixels(np.array([[0, 255]], dtype=np.uint8))


def test_tensors_have_their_channels_first():
    pixels = numbers((5, 7, 3))
    tensor = torch.from_numpy(pixels)
    np.testing.assert_array_equal(array_of(tensor.permute(2, 0, 1)), pixels)
    np.testing.assert_array_equal(array_of(tensor.permute(2, 0, 1)[None]), pixels[None])
    np.testing.assert_array_equal(array_of(tensor[..., 0]), pixels[..., 0])
    half = (tensor.permute(2, 0, 1).float() / 255).to(torch.bfloat16).requires_grad_()
    assert array_of(half).dtype == np.float32
    with pytest.raises(InputError, match=r"\(5, 7, 3\).*tensor.permute"):
        array_of(tensor)


def test_what_is_an_array():
    assert is_array(np.zeros((2, 2)))
    assert is_array(torch.zeros((2, 2)))
    for other in (np.zeros(3), "text", [[1]], 3, None):
        assert not is_array(other)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "I;16", "I", "F", "La"])
def test_a_picture_of_pillow_is_prepared_as_its_file(mode):
    image = Image.fromarray(numbers((40, 30, 3))).convert("L" if mode in {"I;16", "LA", "PA", "La"} else "RGB")
    image = image.convert("LA").convert("La") if mode == "La" else image.convert(mode)
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "TIFF" if mode in {"I", "F", "PA"} else "PNG"
    buffer = io.BytesIO()
    if mode == "La":
        image.convert("LA").save(buffer, kind)
    elif mode == "PA":
        image.convert("RGBA").save(buffer, kind)
    else:
        image.save(buffer, kind)
    opened = image if mode in {"La", "PA"} else Image.open(buffer)
    np.testing.assert_array_equal(prepare(encode_image(opened), SPEC), prepare(buffer.getvalue(), SPEC))


def test_a_colour_that_is_transparent_stays_so():
    image = Image.fromarray(numbers((40, 30, 3))).quantize(4)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    opened = Image.open(io.BytesIO(buffer.getvalue()))
    assert decode(encode_image(opened)).layers is not None
    np.testing.assert_array_equal(prepare(encode_image(opened), SPEC), prepare(buffer.getvalue(), SPEC))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_pillow_is_turned_as_its_exif_says_and_once(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(numbers((40, 30, 3))).save(buffer, "PNG", exif=exif)
    expected = prepare(buffer.getvalue(), SPEC)
    np.testing.assert_array_equal(prepare(encode_image(Image.open(buffer)), SPEC), expected)
    turned = ImageOps.exif_transpose(Image.open(buffer))
    np.testing.assert_array_equal(prepare(encode_image(turned), SPEC), expected)


def test_a_picture_of_pillow_that_cannot_be_loaded_says_why(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(numbers((200, 200, 3))).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with Image.open(path) as image, pytest.raises(DataError, match=r"Pillow cannot load it: .*truncated"):
        encode_image(image)
