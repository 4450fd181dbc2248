"""Pictures are decoded as in training, and batches of several sizes keep their order."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from thawline.core.types import InputSpec
from thawline.data.images import decode
from thawline.use.answer import Answer
from thawline.use.as_decoded import answers_by_size, decoded_for

SPEC = InputSpec(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def jpeg(width, height):
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_big_jpeg_is_reduced_as_in_training():
    data = jpeg(1200, 900)
    ((pixels,), _) = decoded_for(data, [SPEC], max_megapixels=10)
    np.testing.assert_array_equal(pixels, np.asarray(decode(data, size_px=64).image))
    assert pixels.shape[0] < 900
    ((finer,), _) = decoded_for(data, [SPEC, replace(SPEC, size_px=200)], max_megapixels=10)
    assert finer.shape[0] > pixels.shape[0]


def test_answers_come_back_in_order_whatever_the_sizes():
    asked = []

    def ask(pixels):
        asked.append(pixels.shape)
        first = pixels[:, 0, 0, 0].astype(np.float32)
        return Answer(np.stack([first, first + 1], axis=1), first)

    sizes = [(2, 3), (4, 4), (2, 3), (1, 1), (4, 4)]
    batch = [(np.full((*size, 3), number, np.uint8),) for number, size in enumerate(sizes)]
    answer = answers_by_size(batch, ask)
    assert answer.probabilities[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert answer.outside.tolist() == [0, 1, 2, 3, 4]
    assert asked == [(2, 2, 3, 3), (2, 4, 4, 3), (1, 1, 1, 3)]
    assert answers_by_size(batch, lambda pixels: replace(ask(pixels), outside=None)).outside is None
