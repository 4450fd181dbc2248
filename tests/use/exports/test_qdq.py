"""Layers in 8 bits are standard ONNX, smaller, and answer nearly the same; the others keep their bits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from onnx import numpy_helper

from thawline.core.progress import SilentProgress
from thawline.data.load import prepare_each
from thawline.use.exports.calibration_pass import calibrated
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.graph_session import GraphSession
from thawline.use.exports.layer_inputs import layers_of
from thawline.use.exports.qdq import InInt8, joined_nodes, values_of
from thawline.use.exports.weight_rounding import round_layers


def in_int8(bundle, pictures):
    graph, silent = ExportSource(bundle).onnx_graph(), SilentProgress()
    layers = layers_of(graph)
    values = values_of(graph, [layer.name for layer in layers])
    known = calibrated(graph, layers, values=values, pictures=pictures, progress=silent)
    return InInt8(graph, layers, known.ranges, round_layers(layers, known.fed, progress=silent))


@pytest.fixture(scope="module")
def pictures(drawn_model, picture):
    return [prepare_each(picture(seed), drawn_model.classifier.inputs)[0] for seed in range(24)]


@pytest.fixture(scope="module")
def model(drawn_model, pictures):
    return in_int8(drawn_model, pictures)


def kinds(graph):
    return Counter(node.op_type for node in graph.graph.node)


def test_all_layers_in_8_bits_answer_nearly_the_same(model, pictures):
    names = [layer.name for layer in model.layers]
    graph = model.graph_with(names)
    assert graph.ByteSize() < 0.6 * model.graph.ByteSize()
    assert {one.domain for one in graph.opset_import} == {""}
    assert {node.domain for node in graph.graph.node} == {""}
    assert kinds(graph)["QuantizeLinear"] >= len(names)
    assert kinds(graph)["Relu"] < kinds(model.graph)["Relu"]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    assert sum(values.dtype == np.int8 and values.ndim == 4 for values in constants.values()) == len(names)
    before, after = GraphSession(model.graph).answers(pictures), GraphSession(graph).answers(pictures)
    assert 0 < np.abs(before - after).max() < 0.2
    assert GraphSession(model.graph_with(names)).answers(pictures).tobytes() == after.tobytes()


def test_layers_that_are_not_named_keep_their_weights(model):
    first, *others = model.layers
    graph = model.graph_with([layer.name for layer in others])
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    assert np.array_equal(constants[first.weight], first.weights)
    assert others[0].weight not in constants
    assert model.graph_with([]) == model.graph


def test_sums_of_what_is_rounded_are_rounded(model):
    names = {layer.name for layer in model.layers}
    joined = set(joined_nodes(model.graph, names))
    assert names < joined
    assert {node.op_type for node in model.graph.graph.node if node.name in joined} <= {
        "Conv",
        "Relu",
        "MaxPool",
        "Add",
    }
    assert set(joined_nodes(model.graph, ())) == set()


def test_networks_that_share_their_weights_can_be_rounded(joined_model, picture):
    pictures = [prepare_each(picture(seed), joined_model.classifier.inputs)[0] for seed in range(12)]
    model = in_int8(joined_model, pictures)
    assert len({layer.weight for layer in model.layers}) < len(model.layers)
    after = GraphSession(model.graph_with([layer.name for layer in model.layers])).answers(pictures)
    np.testing.assert_allclose(after, GraphSession(model.graph).answers(pictures), atol=0.2)
