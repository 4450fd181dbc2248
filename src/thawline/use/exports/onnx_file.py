"""A model -> an ONNX file: whole, from pictures of any size to what is said of them; or from prepared pixels.

One idea: the graph is made once, and the whole file puts crop and resize before it and the abstention behind it. The
file is complete: metadata hold the class names, how a picture is prepared, and the golden pictures that prove it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thawline.core.errors import BundleError
from thawline.use.doubt import Doubt
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import GoldenSet
from thawline.use.exports.picture_graph import Nodes, prepared_pixels
from thawline.use.exports.proof import PIXELS_ALLOWED, TENSOR_ALLOWED
from thawline.use.onnx_facts import (
    DOUBT,
    FACTS_KEY,
    GOLDEN_KEY,
    MAX_FILE_BYTES,
    OUTPUT,
    OUTSIDE,
    PICTURES,
    OnnxFacts,
    pixel_names,
    sealed,
)

if TYPE_CHECKING:
    import onnx

__all__ = ["onnx_content", "whole_graph", "write_onnx", "write_onnx_tensor"]

OPSET = 18


def write_onnx(source: ExportSource, place: Path) -> None:
    """Write the whole model as one ONNX file: pictures of any size in, probabilities and abstention out.

    The input `pictures` is (batch, height, width, 3) uint8 RGB, upright, as it was decoded. Outputs are `probabilities`
    (batch, K) float32; where the model tells strange pictures, `outside` (batch,) float32; and `doubt` (batch,) uint8,
    0 for an answer, 1 where the model is not sure, 2 where it is none of these. What a picture of more than 8 bits
    looks like, and what shows through a transparent one, is decided before: by whoever decodes it.

    Args:
        source: The model.
        place: The file, which is not there yet.

    Raises:
        BundleError: The model cannot be expressed in ONNX, or is too large for one file.
        UsageError: The exporter is not installed.
    """
    facts, placed = source.facts(whole=True, placed=True), source.with_neighbours
    golden = _golden(source, "onnx", allowed=PIXELS_ALLOWED)
    place.write_bytes(onnx_content(whole_graph(source.onnx_graph(placed=placed), facts), facts, golden=golden))


def write_onnx_tensor(source: ExportSource, place: Path) -> None:
    """Write the model as an ONNX file that takes prepared pictures, as `thawline.data.images.prepare` makes them.

    Args:
        source: The model.
        place: The file, which is not there yet.

    Raises:
        BundleError: As `write_onnx`.
        UsageError: As `write_onnx`.
    """
    golden = _golden(source, "onnx-tensor", allowed=TENSOR_ALLOWED)
    facts, graph = source.facts(whole=False, placed=True), source.onnx_graph(placed=source.with_neighbours)
    place.write_bytes(onnx_content(graph, facts, golden=golden))


def _golden(source: ExportSource, kind: str, *, allowed: float) -> GoldenSet:
    seal, pictures = source.bundle.manifest.seal, list(source.golden)
    return GoldenSet(kind=kind, manifest_seal=seal, allowed=allowed, least_agreement=1.0, pictures=pictures)


def onnx_content(graph: onnx.ModelProto, facts: OnnxFacts, *, golden: GoldenSet) -> bytes:
    """Return the bytes of an exported file: a graph with its metadata, sealed.

    Args:
        graph: Without metadata; they are added to it.
        facts: What the file says of the model.
        golden: What it proves itself by.

    Raises:
        BundleError: It is more than one ONNX file can hold.
    """
    graph.metadata_props.add(key=FACTS_KEY, value=json.dumps(facts.model_dump(), ensure_ascii=False))
    graph.metadata_props.add(key=GOLDEN_KEY, value=golden.text())
    if graph.ByteSize() > MAX_FILE_BYTES - 1024:
        raise BundleError(
            f"export: {graph.ByteSize():,} bytes are more than the {MAX_FILE_BYTES:,} that one ONNX file can hold. "
            "Choose a smaller backbone."
        )
    return sealed(graph.SerializeToString(deterministic=True))


def whole_graph(graph: onnx.ModelProto, facts: OnnxFacts) -> onnx.ModelProto:
    """Return a graph from prepared pixels with what prepares pictures before it and the abstention behind it.

    Args:
        graph: Inputs and outputs as `tensor_graph` has them, in whatever number format; it is changed.
        facts: How pictures are prepared, and when the model abstains.
    """
    from onnx import TensorProto, helper, numpy_helper

    before, after = Nodes("prepare/"), Nodes("abstain/")
    for name, spec in zip(pixel_names(len(facts.inputs)), facts.inputs, strict=True):
        prepared_pixels(before, spec.spec(), pictures=PICTURES, output=name)
    _abstention(after, facts.doubt)
    nodes = [*before.nodes, *graph.graph.node, *after.nodes]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    for name, values in {**before.constants, **after.constants}.items():
        graph.graph.initializer.append(numpy_helper.from_array(values, name))
    del graph.graph.input[:]
    sides: Sequence[str | int | None] = ["batch", "height", "width", 3]
    graph.graph.input.append(helper.make_tensor_value_info(PICTURES, TensorProto.UINT8, sides))
    graph.graph.output.append(helper.make_tensor_value_info(DOUBT, TensorProto.UINT8, ["batch"]))
    return graph


def _abstention(nodes: Nodes, doubt: Doubt | None) -> None:
    """Add the output `doubt`, as `Doubt.about` says it, coded by `DOUBT_CODES`."""
    surest = nodes.op("ReduceMax", OUTPUT, np.array([1]), keepdims=0)
    least = 0.0 if doubt is None or doubt.min_probability is None else doubt.min_probability
    is_unsure = nodes.op("Less", surest, _no_less(least))
    if doubt is None or doubt.read_from is None:
        nodes.op("Cast", is_unsure, name=DOUBT, to=2)  # uint8
        return
    is_strange = nodes.op("Greater", OUTSIDE, -_no_less(doubt.false_alarms - 1))
    nodes.op("Where", is_strange, np.uint8(2), nodes.cast(is_unsure, np.uint8), name=DOUBT)


def _no_less(value: float) -> np.float32:
    """Return the least float32 that is no less: a float32 is below the value just where it is below that."""
    rounded = np.float32(value)
    return rounded if float(rounded) >= value else np.nextafter(rounded, np.float32(np.inf))
