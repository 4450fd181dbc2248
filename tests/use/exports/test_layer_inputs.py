"""What a layer's weights are multiplied with is what the layer computes with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from thawline.use.exports.layer_inputs import Layer, layers_of


@pytest.mark.parametrize(
    ("channels", "outputs", "groups", "strides", "dilations", "pads"),
    [
        (3, 5, 1, (1, 1), (1, 1), (0, 0, 0, 0)),
        (6, 6, 6, (2, 2), (1, 1), (1, 1, 1, 1)),
        (4, 8, 2, (1, 2), (2, 1), (2, 0, 2, 0)),
    ],
)
def test_patches_give_what_a_convolution_gives(channels, outputs, groups, strides, dilations, pads):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(outputs, channels // groups, 3, 2)).astype(np.float32)
    image = rng.normal(size=(1, channels, 9, 8)).astype(np.float32)
    layer = Layer("a", "Conv", "x", "w", "", weights, groups, strides, dilations, pads)
    above, left, below, right = pads
    padded = torch.nn.functional.pad(torch.from_numpy(image), (left, right, above, below))
    expected = torch.nn.functional.conv2d(
        padded, torch.from_numpy(weights), stride=strides, dilation=dilations, groups=groups
    )[0].flatten(1)
    places = np.random.default_rng(3).choice(expected.shape[1], min(7, expected.shape[1]), replace=False)
    patches = layer.patches(image, 7, draw=np.random.default_rng(3))
    found = np.einsum("goc,gnc->gon", layer.matrices, patches).reshape(outputs, -1)
    np.testing.assert_allclose(found, expected[:, places].numpy(), atol=1e-4)
    assert layer.is_depthwise == (groups == channels)
    assert np.array_equal(layer.as_stored(layer.matrices), weights)


def test_a_product_is_fed_rows_of_its_input():
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    layer = Layer("a", "MatMul", "x", "w", "", weights)
    tokens = np.random.default_rng(0).normal(size=(1, 4, 3)).astype(np.float32)
    patches = layer.patches(tokens, 50, draw=np.random.default_rng(0))
    assert patches.shape == (1, 4, 3)
    assert layer.matrices.shape == (1, 2, 3)
    assert np.array_equal(layer.as_stored(layer.matrices), weights)
    assert (layer.axis, layer.is_depthwise) == (1, False)


def test_layers_are_those_of_backbones_and_not_of_heads():
    def constant(name, *shape):
        return numpy_helper.from_array(np.zeros(shape, dtype=np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", group=1, strides=[2, 2]),
        helper.make_node("MatMul", ["t", "m"], ["n"], name="tokens"),
        helper.make_node("MatMul", ["v", "m"], ["o"], name="head"),
        helper.make_node("MatMul", ["t", "t"], ["p"], name="attention"),
    ]
    shapes = {"x": [1, 3, 8, 8], "t": [1, 4, 3], "v": [1, 3]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    constants = [constant("w", 2, 3, 1, 1), constant("b", 2), constant("m", 3, 5)]
    graph = helper.make_graph(nodes, "g", inputs, [], constants)
    first, second = layers_of(helper.make_model(graph))
    assert (first.name, first.bias, first.strides, second.name, second.kind) == (
        "conv",
        "b",
        (2, 2),
        "tokens",
        "MatMul",
    )
