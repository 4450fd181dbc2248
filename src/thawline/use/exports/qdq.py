"""A float graph, ranges and rounded weights -> the same graph with some of its layers in 8 bits.

One idea: nothing but standard ONNX: `QuantizeLinear` and `DequantizeLinear` stand around every such layer, and a
runtime that knows integers computes between them with integers. Weights have a scale for each output.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thawline.core.types import Floats
from thawline.use.exports.layer_inputs import Layer
from thawline.use.exports.weight_rounding import RoundedWeights

if TYPE_CHECKING:
    import onnx

__all__ = ["InInt8", "joined_nodes", "values_of"]

ACTIVATIONS, JOINING = frozenset({"Relu", "Clip"}), frozenset({"Add", "MaxPool"})
KINDS = ["Conv", "MatMul", *sorted(ACTIVATIONS), *sorted(JOINING)]

LEAST_RANGE = 1e-6
"""Width of a range at least: a value that is always 0 has one too."""


def joined_nodes(graph: onnx.ModelProto, layers: Collection[str]) -> tuple[str, ...]:
    """Return the layers and what is computed in 8 bits with them: their ReLU, and sums of what they make.

    Args:
        graph: In float.
        layers: Names of layers.
    """
    constants = {tensor.name for tensor in graph.graph.initializer}
    rounded: set[str] = set()
    chosen = []
    for node in graph.graph.node:
        data = [name for name in node.input if name and name not in constants]
        is_activation = node.op_type in ACTIVATIONS and data[:1] != [] and data[0] in rounded
        is_joining = node.op_type in JOINING and len(data) == len(node.input) and all(name in rounded for name in data)
        if node.name in layers or is_activation or is_joining:
            rounded.update(node.output[:1])
            chosen.append(node.name)
    return tuple(chosen)


def values_of(graph: onnx.ModelProto, layers: Collection[str]) -> tuple[str, ...]:
    """Return the names of the values whose ranges `InInt8` needs; each layer's input is among them.

    Args:
        graph: In float.
        layers: Names of layers.
    """
    constants = {tensor.name for tensor in graph.graph.initializer}
    chosen = set(joined_nodes(graph, layers))
    names = [
        name
        for node in graph.graph.node
        if node.name in chosen
        for name in (*node.input[: 2 if node.op_type in JOINING else 1], node.output[0])
        if name not in constants
    ]
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class InInt8:
    """A float graph and what it takes to have any of its layers in 8 bits.

    Attributes:
        graph: With all weights inside; it is not changed.
        layers: Those that may be in 8 bits.
        ranges: Of the values that `values_of` names.
        weights: Of each layer, by the name of its weights, on a grid.
    """

    graph: onnx.ModelProto
    layers: Sequence[Layer]
    ranges: Mapping[str, tuple[float, float]]
    weights: Mapping[str, RoundedWeights]

    def graph_with(self, names: Collection[str]) -> onnx.ModelProto:
        """Return the graph with the layers of these names in 8 bits, and sums and ReLU between them.

        Values are unsigned and weights signed. None of the names gives the graph back.
        """
        from onnx import ModelProto
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.quant_utils import QuantType

        copy = ModelProto()
        copy.CopyFrom(self.graph)
        layers = [layer for layer in self.layers if layer.name in names]
        if not layers:
            return copy
        chosen = joined_nodes(copy, {layer.name for layer in layers})
        self._put_weights(copy, layers)
        grids = {layer.weight: _grid(layer, self.weights[layer.weight], QuantType.QInt8) for layer in layers}
        bounds = {name: (np.float32(low), np.float32(high)) for name, (low, high) in self.ranges.items()}
        producer = copy.producer_name, copy.producer_version
        quantizer = QDQQuantizer(
            copy,
            True,
            False,
            QuantType.QInt8,
            QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, bounds),
            list(chosen),
            [],
            KINDS,
            {"MinimumRealRange": LEAST_RANGE, "TensorQuantOverrides": grids},
        )
        result: onnx.ModelProto = quantizer.quantize_model()
        result.producer_name, result.producer_version = producer
        return result

    def _put_weights(self, copy: onnx.ModelProto, layers: Sequence[Layer]) -> None:
        """Put weights that lie on the grid in their places, and biases that make up for what is lost on average."""
        from onnx import numpy_helper

        constants = {tensor.name: tensor for tensor in copy.graph.initializer}
        nodes = {node.name: node for node in copy.graph.node}
        for layer in layers:
            rounded = self.weights[layer.weight]
            stored = np.ascontiguousarray(layer.as_stored(rounded.weights))
            constants[layer.weight].CopyFrom(numpy_helper.from_array(stored, layer.weight))
            if layer.bias:  # a new one: equal ones are kept once
                bias: Floats = numpy_helper.to_array(constants[layer.bias]) + rounded.shift.reshape(-1)
                name = f"{layer.name}/bias"
                copy.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), name))
                nodes[layer.name].input[2] = name
        taken = {name for node in copy.graph.node for name in node.input}
        kept = [tensor for tensor in copy.graph.initializer if tensor.name in taken]
        del copy.graph.initializer[:]
        copy.graph.initializer.extend(kept)


def _grid(layer: Layer, rounded: RoundedWeights, kind: Any) -> list[dict[str, Any]]:
    """Return the scale of each output, as onnxruntime takes them."""
    same = {"axis": layer.axis, "quant_type": kind, "zero_point": np.int8(0)}
    return [{**same, "scale": np.float32(step)} for step in rounded.steps.reshape(-1)]
