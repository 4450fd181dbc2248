"""A torch module -> the same as ONNX, from prepared pixels to its answers: what every ONNX form is made of.

One idea: everything from prepared pixels to probabilities is one graph in float32: normalisation, network, pooling,
head, temperature.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from thawline.core.errors import BundleError, UsageError
from thawline.use.bundle import Bundle
from thawline.use.exports.graph import Graph
from thawline.use.exports.placed_graph import PlacedGraph
from thawline.use.onnx_facts import MAX_FILE_BYTES, OUTPUT, OUTSIDE, PLACE, pixel_names

__all__ = ["tensor_graph"]

OPSET = 18


def tensor_graph(graph: Graph | PlacedGraph, bundle: Bundle) -> bytes:
    """Return a graph as ONNX, without metadata and without traces of this machine in it.

    The input `pixels` is (batch, H, W, 3) uint8 RGB as `prepare` makes it, the output `probabilities` (batch, K)
    float32; where the model tells strange pictures, `outside` (batch,) float32 is a second output, and of a graph
    with places `place` (batch, D) float32 is the last. Where networks need the picture in several ways, there is one
    input for each: `pixels`, `pixels_2` and so on. All weights are inside.

    Raises:
        BundleError: The model cannot be expressed in ONNX.
        UsageError: The exporter is not installed.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values())
    if size > MAX_FILE_BYTES:
        raise BundleError(
            f"export {bundle.directory}: {size:,} bytes of weights are more than the {MAX_FILE_BYTES:,} that one ONNX "
            "file can hold. Choose a smaller backbone."
        )
    sides = [spec.size_px for spec in bundle.classifier.inputs]
    examples = tuple(torch.zeros(2, side, side, 3, dtype=torch.uint8) for side in sides)
    batch = torch.export.Dim("batch")
    names = [OUTPUT] if bundle.classifier.outsiders is None else [OUTPUT, OUTSIDE]
    if isinstance(graph, PlacedGraph):
        names.append(PLACE)
    with _exporter(bundle), torch.no_grad():
        program: Any = torch.onnx.export(
            graph,
            examples,
            dynamo=True,
            dynamic_shapes=(tuple({0: batch} for _ in examples),),
            input_names=pixel_names(len(examples)),
            output_names=names,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        proto = program.model_proto
    for node in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del node.metadata_props[:]  # stack traces, with paths of this machine
        node.doc_string = ""
    if len(bundle.classifier.networks) > 1:
        _share_weights(proto.graph)
    del proto.metadata_props[:]
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _share_weights(graph: Any) -> None:
    """Keep tensors that are equal once: two networks with the same weights read a picture at two sizes."""
    kept: dict[tuple[int, bytes, bytes], str] = {}
    renamed: dict[str, str] = {}
    for tensor in list(graph.initializer):
        digest = hashlib.sha256(tensor.raw_data).digest()
        name = kept.setdefault((tensor.data_type, bytes(str(tensor.dims), "ascii"), digest), tensor.name)
        if name != tensor.name and tensor.raw_data:
            renamed[tensor.name] = name
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


@contextmanager
def _exporter(bundle: Bundle) -> Iterator[None]:
    """Turn errors of torch's exporter into ours, and silence what it warns about itself."""
    name = bundle.classifier.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.11 calls functions that it deprecates
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # the inputs of a graph share their batch
            yield
    except ImportError as error:
        raise UsageError(
            f"export {bundle.directory}: onnx and onnxscript are needed and cannot be loaded ({error}). Run "
            "`pip install thawline[export]`."
        ) from None
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0][:200].rstrip(".")
        raise BundleError(
            f"export {bundle.directory}: {name} cannot be expressed in ONNX by torch {torch.__version__}: {reason}. "
            "Predict with the model folder, or choose another backbone."
        ) from error
