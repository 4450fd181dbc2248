"""Preparations of a picture -> the nodes of an ONNX graph that crop and resize pictures of any size as Pillow does.

One idea: resizing along one side is a product with a matrix that depends on the sizes alone. The graph computes both
matrices from the shape of its input, multiplies across, rounds to whole levels as Pillow does between its passes, and
multiplies down. These are operations that every runtime has; a resize with Pillow's antialiasing and box is not.
Sums are exact, so that levels are Pillow's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL

from thawline.core.types import InputSpec

if TYPE_CHECKING:
    import onnx

__all__ = ["Nodes", "prepared_pixels"]

DOWN_FIRST_WHERE_LOWER = int(PIL.__version__.split(".")[0]) >= 13
"""Whether Pillow resizes down before it resizes across where a picture becomes lower, by more than twice as many
pixels as it becomes narrower; before 13 it went across first always. The graph follows the version that exports."""

STEPS, COARSE = 1 << 22, 1 << 11
"""Pillow rounds the share of a source pixel to whole parts of so many, and adds whole numbers. Products of levels with
shares have too many digits for float32; with a share's coarse part, and with the rest of it, they do not."""

SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}
"""Source pixels on either side that the filter reads at its own scale."""


@dataclass
class Nodes:
    """Nodes and constants of a graph, as they are added.

    Attributes:
        prefix: Begins every name.
        nodes: In an order in which they can run.
        constants: By name.
    """

    prefix: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def op(self, kind: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of what it computes; inputs that are numbers or arrays become constants.

        Args:
            kind: Of the operation.
            *inputs: Names, or what `constant` takes.
            name: Of what it computes; None takes a new one.
            **attributes: Of the node.
        """
        from onnx import helper

        output = name or f"{self.prefix}{kind.lower()}{len(self.nodes)}"
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.nodes.append(helper.make_node(kind, names, [output], name=f"{output}/{kind}", **attributes))
        return output

    def constant(self, values: Any) -> str:
        """Return the name of a constant, which is kept once."""
        array = np.asarray(values)
        name = f"{self.prefix}{array.dtype}_{'_'.join(map(str, array.ravel().tolist()))}_{array.ndim}"
        self.constants[name] = array
        return name

    def either(self, condition: str, *, yes: Callable[[Nodes], str], no: Callable[[Nodes], str]) -> str:
        """Return what one of two parts of the graph computes: only that part runs.

        Args:
            condition: Name of a boolean scalar.
            yes: Adds the nodes of the part that runs where it is true, and names what they compute.
            no: The other part.
        """
        from onnx import TensorProto, helper

        parts = {}
        for name, add in (("then_branch", yes), ("else_branch", no)):
            own = Nodes(f"{self.prefix}{name}{len(self.nodes)}/", constants=self.constants)
            output = helper.make_tensor_value_info(add(own), TensorProto.FLOAT, None)
            parts[name] = helper.make_graph(own.nodes, f"{own.prefix}graph", [], [output])
        return self.op("If", condition, **parts)

    def cast(self, value: str, dtype: Any) -> str:
        """Return a value in another number format."""
        from onnx import helper

        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


@dataclass(frozen=True)
class _Side:
    """How one side of a picture becomes that of the square.

    Attributes:
        start: Of the pixels that are read, int64.
        end: Of the pixels that are read.
        parts: Twice (size_px, end − start) float32: shares of source pixels, coarse and the rest, as `_levels` takes
            them; all 0 where the square is padded.
        spared: Pixels that resizing spares, of the whole side, int64; negative where it adds some.
        shown: (size_px,) float32: 1 where the picture is shown, 0 where the square is padded; None where it never is.
    """

    start: str
    end: str
    parts: tuple[str, str]
    spared: str
    shown: str | None = None


def prepared_pixels(nodes: Nodes, spec: InputSpec, *, pictures: str, output: str) -> None:
    """Add what makes (B, size_px, size_px, 3) uint8 of pictures, as `thawline.data.square.squared` does.

    Args:
        nodes: Where they are added.
        spec: How a picture is prepared.
        pictures: Name of (B, H, W, 3) uint8 RGB.
        output: Name of what is made.
    """
    shape = nodes.op("Shape", pictures)
    height, width = (nodes.op("Gather", shape, np.int64(axis)) for axis in (1, 2))
    sides = {"crop": _cropped, "letterbox": _letterboxed, "stretch": _stretched}[spec.fit]
    down, across = (sides(nodes, spec, length=own, other=other) for own, other in ((height, width), (width, height)))
    ends = [nodes.op("Concat", *(_vector(nodes, getattr(side, at)) for side in (down, across)), axis=0)
            for at in ("start", "end")]  # fmt: skip
    shown = nodes.op("Slice", pictures, *ends, np.array([1, 2]))
    planes = nodes.cast(nodes.op("Transpose", shown, perm=[0, 3, 1, 2]), np.float32)
    resized = _resized(nodes, planes, down=down, across=across)
    if down.shown is not None and across.shown is not None:
        rows, row = (
            nodes.op("Unsqueeze", side, np.array([axis])) for side, axis in ((down.shown, 1), (across.shown, 0))
        )
        padded = nodes.op("Sub", np.float32(1), nodes.op("Mul", rows, row))
        colour = np.array([round(255 * value) for value in spec.mean], dtype=np.float32).reshape(1, 3, 1, 1)
        resized = nodes.op("Add", resized, nodes.op("Mul", padded, colour))
    pixels = nodes.op("Transpose", resized, perm=[0, 2, 3, 1])
    nodes.op("Cast", pixels, name=output, to=2)  # uint8


def _resized(nodes: Nodes, planes: str, *, down: _Side, across: _Side) -> str:
    """Return (B, 3, h, w) planes resized along both sides, with whole levels after each; the order is Pillow's."""

    def low(part: Nodes, values: str) -> str:
        return _levels(part, *(part.op("MatMul", each, values) for each in down.parts))

    def narrow(part: Nodes, values: str) -> str:
        return _levels(part, *(part.op("MatMul", values, each) for each in columns))

    columns = [nodes.op("Transpose", each, perm=[1, 0]) for each in across.parts]
    if not DOWN_FIRST_WHERE_LOWER:
        return low(nodes, narrow(nodes, planes))
    is_lower = nodes.op("Greater", down.spared, np.int64(0))
    is_much_lower = nodes.op("Greater", down.spared, nodes.op("Mul", across.spared, np.int64(2)))
    return nodes.either(
        nodes.op("And", is_lower, is_much_lower),
        yes=lambda part: narrow(part, low(part, planes)),
        no=lambda part: low(part, narrow(part, planes)),
    )


def _cropped(nodes: Nodes, spec: InputSpec, *, length: str, other: str) -> _Side:
    """Return the side of a crop; pixels around it are read as far as the filter reaches."""
    double = np.float64
    shorter = nodes.cast(nodes.op("Min", length, other), double)
    part = nodes.op("Mul", shorter, double(spec.crop_share))
    left = nodes.op("Div", nodes.op("Sub", nodes.cast(length, double), part), double(2))
    begin = nodes.cast(nodes.cast(left, np.float32), double)  # Pillow's box has this format
    stop = nodes.cast(nodes.cast(nodes.op("Add", left, part), np.float32), double)
    extent = nodes.cast(nodes.cast(nodes.op("Sub", stop, begin), np.float32), double)
    scale = nodes.op("Div", extent, double(spec.size_px))
    reach = nodes.op("Mul", nodes.op("Max", scale, double(1)), double(SUPPORT[spec.interpolation]))
    first = nodes.op("Max", nodes.op("Floor", nodes.op("Sub", begin, reach)), double(0))
    last = nodes.op("Min", nodes.op("Ceil", nodes.op("Add", stop, reach)), nodes.cast(length, double))
    start, end = nodes.cast(first, np.int64), nodes.cast(last, np.int64)
    steps = np.arange(spec.size_px, dtype=double) + 0.5
    centres = nodes.op("Add", nodes.op("Mul", scale, steps), nodes.op("Sub", begin, first))
    parts = _shares(nodes, spec, centres=centres, scale=scale, count=nodes.op("Sub", end, start))
    return _Side(start, end, parts, nodes.op("Sub", length, np.int64(spec.size_px)))


def _stretched(nodes: Nodes, spec: InputSpec, *, length: str, other: str) -> _Side:
    """Return a side that is shown whole, whatever the other is."""
    scale = nodes.op("Div", nodes.cast(length, np.float64), np.float64(spec.size_px))
    centres = nodes.op("Mul", scale, np.arange(spec.size_px, dtype=np.float64) + 0.5)
    parts = _shares(nodes, spec, centres=centres, scale=scale, count=length)
    return _Side(nodes.constant(np.int64(0)), length, parts, nodes.op("Sub", length, np.int64(spec.size_px)))


def _letterboxed(nodes: Nodes, spec: InputSpec, *, length: str, other: str) -> _Side:
    """Return a side that is shown whole and padded where it is the shorter one."""
    double = np.float64
    whole, longer = nodes.cast(length, double), nodes.cast(nodes.op("Max", length, other), double)
    factor = nodes.op("Div", double(spec.size_px), longer)
    inner = nodes.op("Max", nodes.op("Round", nodes.op("Mul", whole, factor)), double(1))
    before = nodes.op("Floor", nodes.op("Div", nodes.op("Sub", double(spec.size_px), inner), double(2)))
    scale = nodes.op("Div", whole, inner)
    place = nodes.op("Sub", np.arange(spec.size_px, dtype=double) + 0.5, before)
    is_inside = nodes.op("And", nodes.op("Greater", place, double(0)), nodes.op("Less", place, inner))
    shown = nodes.cast(is_inside, np.float32)
    centres = nodes.op("Mul", scale, place)
    parts = _shares(nodes, spec, centres=centres, scale=scale, count=length, shown=shown)
    spared = nodes.op("Sub", length, nodes.cast(inner, np.int64))
    return _Side(nodes.constant(np.int64(0)), length, parts, spared, shown)


def _shares(
    nodes: Nodes, spec: InputSpec, *, centres: str, scale: str, count: str, shown: str | None = None
) -> tuple[str, str]:
    """Return the shares of n source pixels in every pixel of a side, (size_px, n) float32: coarse, and the rest.

    Args:
        nodes: Where they are added.
        spec: How a picture is prepared.
        centres: (size_px,) float64 places in source pixels, counted from the first that is read.
        scale: Source pixels a pixel, float64.
        count: n, int64.
        shown: As in `_Side`.
    """
    double = np.float64
    stretch = nodes.op("Max", scale, double(1))
    steps = nodes.cast(nodes.op("Range", np.int64(0), count, np.int64(1)), double)
    column = nodes.op("Unsqueeze", centres, np.array([1]))
    offsets = nodes.op("Abs", nodes.op("Sub", nodes.op("Add", steps, double(0.5)), column))
    distances = nodes.op("Div", offsets, stretch)
    values = _bilinear(nodes, distances) if spec.interpolation == "bilinear" else _bicubic(nodes, distances)
    total: str
    if shown is None:
        total = nodes.op("ReduceSum", values, np.array([1]), keepdims=1)
    else:
        inside = nodes.cast(nodes.op("Unsqueeze", shown, np.array([1])), double)
        values = nodes.op("Mul", values, inside)
        total = nodes.op("ReduceSum", values, np.array([1]), keepdims=1)
        total = nodes.op("Add", total, nodes.op("Sub", double(1), inside))
    shares = nodes.op("Mul", nodes.op("Div", values, total), double(STEPS))
    shares = nodes.op("Floor", nodes.op("Add", shares, double(0.5)))
    coarse = nodes.op("Floor", nodes.op("Add", nodes.op("Mul", shares, double(COARSE / STEPS)), double(0.5)))
    fine = nodes.op("Sub", shares, nodes.op("Mul", coarse, double(STEPS / COARSE)))
    return nodes.cast(coarse, np.float32), nodes.cast(fine, np.float32)


def _bilinear(nodes: Nodes, x: str) -> str:
    return nodes.op("Max", nodes.op("Sub", np.float64(1), x), np.float64(0))


def _bicubic(nodes: Nodes, x: str) -> str:
    """Return Keys' cubic with a = −½: one polynomial up to 1, another from 1 to 2; each is 0 where it ends."""
    near, far = nodes.op("Min", x, np.float64(1)), nodes.op("Clip", x, np.float64(1), np.float64(2))
    inner = _polynomial(nodes, near, (1.5, -2.5, 0.0, 1.0))
    outer = _polynomial(nodes, far, (-0.5, 2.5, -4.0, 2.0))
    return nodes.op("Add", inner, outer)


def _polynomial(nodes: Nodes, x: str, coefficients: tuple[float, ...]) -> str:
    value: Any = np.float64(coefficients[0])
    for each in coefficients[1:]:
        value = nodes.op("Mul", value, x)
        value = nodes.op("Add", value, np.float64(each)) if each else value
    return str(value)


def _levels(nodes: Nodes, coarse: str, fine: str) -> str:
    """Return sums of shares of pixels as whole levels from 0 to 255, halves upwards; exact in float32.

    Args:
        nodes: Where they are added.
        coarse: Sums of the coarse parts of shares, in whole `COARSE`.
        fine: Sums of the rest, in whole 1 / `STEPS`.
    """
    carried = nodes.op("Floor", nodes.op("Mul", fine, np.float32(COARSE / STEPS)))
    total = nodes.op("Add", coarse, carried)  # what is left of the fine part is less than one of these
    whole = nodes.op("Floor", nodes.op("Mul", nodes.op("Add", total, np.float32(COARSE / 2)), np.float32(1 / COARSE)))
    return nodes.op("Clip", whole, np.float32(0), np.float32(255))


def _vector(nodes: Nodes, scalar: str) -> str:
    return nodes.op("Unsqueeze", scalar, np.array([0]))
