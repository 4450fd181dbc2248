"""The graph crops and resizes as Pillow does, to the last level: property over sizes, fits and filters."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from thawline.core.types import InputSpec
from thawline.data.square import squared
from thawline.use.exports.picture_graph import Nodes, prepared_pixels

MEAN = (0.485, 0.456, 0.406)
ODD = (
    (1, 1),
    (1, 300),
    (300, 1),
    (2, 3),
    (7, 1000),
    (48, 48),
    (96, 96),
    (320, 245),
    (245, 320),
    (900, 40),
    (1500, 1100),
)
"""Width and height: of one pixel, a line, that of the square, twice that, ties of a letterbox, large."""


def session_of(spec):
    nodes = Nodes("prepare/")
    prepared_pixels(nodes, spec, pictures="pictures", output="pixels")
    side = spec.size_px
    graph = helper.make_graph(
        nodes.nodes,
        "prepare",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", side, side, 3])],
        [numpy_helper.from_array(values, name) for name, values in nodes.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


SPECS = {
    f"{fit} {filter_name} {share:g} of {side}": InputSpec(
        side, MEAN, (0.2, 0.2, 0.2), interpolation=filter_name, fit=fit, crop_share=share
    )
    for fit, shares in (("crop", (1.0, 0.875, 0.95)), ("letterbox", (1.0,)), ("stretch", (1.0,)))
    for filter_name in ("bilinear", "bicubic")
    for share in shares
    for side in (48, 75)
}


@pytest.fixture(scope="module")
def sessions():
    return {name: session_of(spec) for name, spec in SPECS.items()}


def drawn(size, seed):
    """Return noise, a smooth ramp with noise, or black and white, of a width and a height."""
    width, height = size
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if seed % 3 == 1:
        return (128 + np.cumsum(rng.normal(0, 8, (height, width, 3)), axis=1)).clip(0, 255).astype(np.uint8)
    return (rng.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)


def levels_off(session, spec, pixels):
    expected = squared(Image.fromarray(pixels), spec).astype(int)
    (found,) = session.run(None, {"pictures": pixels[None]})
    return np.abs(expected - found[0].astype(int))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("size", ODD)
def test_odd_sizes_become_what_pillow_makes_of_them(sessions, name, size):
    assert levels_off(sessions[name], SPECS[name], drawn(size, 0)).max() == 0


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(SPECS)),
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    seed=st.integers(0, 1000),
)
def test_any_size_becomes_what_pillow_makes_of_it(sessions, name, width, height, seed):
    assert levels_off(sessions[name], SPECS[name], drawn((width, height), seed)).max() == 0


def test_a_batch_is_prepared_as_each_picture_alone(sessions):
    name = next(iter(SPECS))
    batch = np.stack([drawn((90, 60), seed) for seed in range(3)])
    (found,) = sessions[name].run(None, {"pictures": batch})
    for pixels, one in zip(batch, found, strict=True):
        np.testing.assert_array_equal(sessions[name].run(None, {"pictures": pixels[None]})[0][0], one)
