"""Heat over a picture: warm where the map is, grey where it is not, dark where the model does not see."""

import io

import numpy as np
from PIL import Image

from thawline.view.overlay import overlay_jpeg


def jpeg_of(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def shown(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def colourful(pixels):
    return pixels.max(axis=-1) - pixels.min(axis=-1)


GREEN = np.broadcast_to(np.array([30, 160, 60], dtype=np.uint8), (60, 120, 3))
HOT_RIGHT = [[0] * 7 + [255] * 7] * 14


def test_it_is_warm_where_the_map_is_and_grey_elsewhere():
    pixels = shown(overlay_jpeg(jpeg_of(GREEN), HOT_RIGHT, box=(0.0, 0.0, 1.0, 1.0)))
    assert pixels.shape == (100, 200, 3)
    assert colourful(pixels[:, :80]).max() < 12
    assert colourful(pixels[:, 120:]).min() > 50
    assert (pixels[:, 120:].mean(axis=(0, 1))[0] > pixels[:, 120:].mean(axis=(0, 1))[2]).all()


def test_what_the_model_does_not_see_is_dark():
    pixels = shown(overlay_jpeg(jpeg_of(GREEN), [[0] * 14] * 14, box=(0.25, 0.0, 0.75, 1.0)))
    assert pixels[:, :45].mean() < 0.6 * pixels[:, 60:140].mean()
    assert pixels[:, 155:].mean() < 0.6 * pixels[:, 60:140].mean()


def test_a_square_may_reach_beyond_the_picture():
    top_half = [[255] * 14] * 7 + [[0] * 14] * 7
    pixels = shown(overlay_jpeg(jpeg_of(GREEN), top_half, box=(0.0, -0.5, 1.0, 1.5)))
    assert colourful(pixels[:40]).min() > 50
    assert colourful(pixels[60:]).max() < 12


def test_any_size_and_any_map_gives_a_picture():
    for size in ((1, 1, 3), (1, 300, 3), (400, 2, 3)):
        data = overlay_jpeg(jpeg_of(np.zeros(size, np.uint8)), [[7]], box=(0.5, 0.5, 0.5, 0.5), longest_px=40)
        assert max(Image.open(io.BytesIO(data)).size) == 40


def test_equal_arguments_give_equal_bytes():
    one, two = (overlay_jpeg(jpeg_of(GREEN), HOT_RIGHT, box=(0.1, 0.0, 0.9, 1.0)) for _ in range(2))
    assert one == two
