"""A layer of an ONNX graph -> its weights as a stack of matrices, and what of its input they are multiplied with.

One idea: a convolution is a product with the patches under its kernel, one matrix for each group of channels; so one
arithmetic rounds convolutions, depthwise ones too, and the products of a transformer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thawline.core.types import Floats

if TYPE_CHECKING:
    import onnx

__all__ = ["Layer", "layers_of"]

CONV, MATMUL = "Conv", "MatMul"


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
        name: Of its node.
        kind: `Conv` or `MatMul`.
        fed: Name of the value that it takes.
        weight: Name of its weights.
        bias: Name of what it adds; empty where it adds nothing.
        weights: As they stand in the graph: (outputs, inputs of a group, height, width), or (columns, outputs).
        groups: Groups of channels.
        strides: Down and across.
        dilations: Down and across.
        pads: Rows and columns of zeros: above, left, below, right.
    """

    name: str
    kind: str
    fed: str
    weight: str
    bias: str
    weights: Floats = field(repr=False)
    groups: int = 1
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def axis(self) -> int:
        """Axis of the weights that numbers the outputs."""
        return 0 if self.kind == CONV else 1

    @property
    def is_depthwise(self) -> bool:
        """Whether each output reads one channel only."""
        return self.kind == CONV and self.groups > 1 and self.weights.shape[1] == 1

    @property
    def matrices(self) -> Floats:
        """The weights as (groups, outputs, columns)."""
        if self.kind == MATMUL:
            return self.weights.T[None]
        return self.weights.reshape(self.groups, len(self.weights) // self.groups, -1)

    def as_stored(self, matrices: Floats) -> Floats:
        """Return what `matrices` gave, changed, as the graph keeps it."""
        return matrices[0].T if self.kind == MATMUL else matrices.reshape(self.weights.shape)

    def patches(self, value: Floats, count: int, *, draw: np.random.Generator) -> Floats:
        """Return (groups, N, columns): what the weights are multiplied with at some places of an input.

        Args:
            value: (1, channels, height, width), or (1, …, columns).
            count: Places at most.
            draw: Chooses them.
        """
        if self.kind == MATMUL:
            rows = value.reshape(-1, value.shape[-1])
            return rows[draw.choice(len(rows), min(count, len(rows)), replace=False)][None]
        above, left, below, right = self.pads
        image = np.pad(value[0], ((0, 0), (above, below), (left, right))) if any(self.pads) else value[0]
        down, across = (_offsets(self.weights.shape[2 + axis], self.dilations[axis]) for axis in (0, 1))
        tall = (image.shape[1] - int(down[-1]) - 1) // self.strides[0] + 1
        wide = (image.shape[2] - int(across[-1]) - 1) // self.strides[1] + 1
        places = draw.choice(tall * wide, min(count, tall * wide), replace=False)
        rows = (places // wide * self.strides[0])[:, None] + down
        columns = (places % wide * self.strides[1])[:, None] + across
        found = image[:, rows[:, :, None], columns[:, None, :]]  # (channels, N, height, width)
        parted = found.reshape(self.groups, -1, *found.shape[1:])
        return np.moveaxis(parted, 2, 1).reshape(self.groups, len(places), -1)


def _offsets(length: int, dilation: int) -> Any:
    return np.arange(length) * dilation


def layers_of(graph: onnx.ModelProto) -> tuple[Layer, ...]:
    """Return the backbones' layers with weights, in the order in which they run.

    That are plain convolutions in two directions, and products with a constant matrix on values of three axes or more:
    tokens of a transformer. The heads read vectors, so theirs are none of these.
    """
    from onnx import helper, numpy_helper

    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output)
    }
    layers = []
    for node in graph.graph.node:
        if node.op_type not in (CONV, MATMUL) or node.input[1] not in constants:
            continue
        weights = numpy_helper.to_array(constants[node.input[1]])
        facts = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == MATMUL and weights.ndim == 2 and ranks.get(node.input[0], 0) >= 3:
            layers.append(Layer(node.name, MATMUL, node.input[0], node.input[1], "", weights))
        if node.op_type == CONV and weights.ndim == 4 and facts.get("auto_pad", b"NOTSET") == b"NOTSET":
            bias = node.input[2] if len(node.input) > 2 else ""
            layers.append(
                Layer(
                    node.name,
                    CONV,
                    node.input[0],
                    node.input[1],
                    bias if bias in constants else "",
                    weights,
                    facts.get("group", 1),
                    tuple(facts.get("strides", (1, 1))),
                    tuple(facts.get("dilations", (1, 1))),
                    tuple(facts.get("pads", (0, 0, 0, 0))),
                )
            )
    return tuple(layers)
