"""A model folder -> one ONNX file that answers as the folder does, or nothing.

One idea: everything from prepared pixels to probabilities is one graph in float32: normalisation, network, pooling,
head, temperature. The folder's golden pictures go through the finished file before it is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.core.store import disk_errors, write_bytes
from thawline.core.version import __version__
from thawline.data.load import prepare_each
from thawline.use.bundle import Bundle, golden_tolerance
from thawline.use.exports.graph import Graph
from thawline.use.network_facts import InputFacts
from thawline.use.onnx_model import (
    FACTS_KEY,
    MAX_FILE_BYTES,
    OUTPUT,
    OUTSIDE,
    OnnxFacts,
    input_names,
    is_sealed,
    open_onnx,
    sealed,
)

__all__ = ["EXPORT_TOLERANCE", "OnnxFile", "export_onnx"]

EXPORT_TOLERANCE = 1e-3
"""How far a probability may be from torch's, both in float32."""

OPSET = 18


@dataclass(frozen=True)
class OnnxFile:
    """The file that was written, and how exact it is.

    Attributes:
        path: The ONNX file.
        size_bytes: Its size.
        num_golden: Golden pictures that went through it.
        difference: Largest difference of a probability from torch's, both in float32.
        golden_difference: Largest difference of a probability from those in the folder.
        compute: Number format in which the folder computed those.
    """

    path: Path
    size_bytes: int
    num_golden: int
    difference: float
    golden_difference: float
    compute: str


def export_onnx(bundle: Bundle, path: Path) -> OnnxFile:
    """Write the model as one ONNX file with all weights inside and return how exact it is.

    The input `pixels` is (batch, H, W, 3) uint8 RGB as `prepare` makes it, the output `probabilities` (batch, K)
    float32; where the model tells strange pictures, `outside` (batch,) float32 is a second
    output. The metadata key `thawline` holds an `OnnxFacts`. Where networks need the picture in several ways, there is
    one input for each: `pixels`, `pixels_2` and so on. Every golden picture must get the probabilities that
    torch gives in float32 within `EXPORT_TOLERANCE` with the same first class, and those of the folder within
    `golden_tolerance`.

    Raises:
        BundleError: The model cannot be expressed in ONNX, or the file gives other answers; nothing is written.
        UsageError: The exporter is not installed, or a folder stands at `path`.
        StoreError: The disk is full or cannot be written, or `path` is a file that no export wrote; it stays.
    """
    _require_own(path)
    graph = Graph(bundle.classifier).eval()
    content = _onnx_bytes(graph, bundle)
    differences = _verify(graph, content, bundle)
    write_bytes(path, content)
    return OnnxFile(path, len(content), len(bundle.manifest.golden), *differences, bundle.manifest.compute)


def _require_own(path: Path) -> None:
    """Refuse to replace anything but a file as an export wrote it."""
    if path.is_dir():
        raise UsageError(f"export: {path} is a folder; a file is required. Name it, such as {path / 'model.onnx'}.")
    with disk_errors("export", path):
        if not os.path.lexists(path):
            return
        facts = path.lstat()
        is_model_size = stat.S_ISREG(facts.st_mode) and facts.st_size <= MAX_FILE_BYTES
        if not (is_model_size and is_sealed(path.read_bytes())):
            raise StoreError(
                f"export: {path} stands there and is not a file as `thawline export` writes it. Choose another place "
                "with -o, or move it away."
            )


def _onnx_bytes(graph: Graph, bundle: Bundle) -> bytes:
    """Return the ONNX file of a graph, without traces of this machine in it."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values())
    if size > MAX_FILE_BYTES:
        raise BundleError(
            f"export {bundle.directory}: {size:,} bytes of weights are more than the {MAX_FILE_BYTES:,} that one ONNX "
            "file can hold. Choose a smaller backbone."
        )
    sides = [spec.size_px for spec in bundle.classifier.inputs]
    examples = tuple(torch.zeros(2, side, side, 3, dtype=torch.uint8) for side in sides)
    batch = torch.export.Dim("batch")
    with _exporter(bundle), torch.no_grad():
        program: Any = torch.onnx.export(
            graph,
            examples,
            dynamo=True,
            dynamic_shapes=(tuple({0: batch} for _ in examples),),
            input_names=input_names(len(examples)),
            output_names=[OUTPUT] if bundle.classifier.outsiders is None else [OUTPUT, OUTSIDE],
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
    facts = _facts(bundle)
    proto.metadata_props.add(key=FACTS_KEY, value=json.dumps(facts.model_dump(), ensure_ascii=False))
    content: bytes = proto.SerializeToString(deterministic=True)
    return sealed(content)


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


def _facts(bundle: Bundle) -> OnnxFacts:
    manifest = bundle.manifest
    first, *further = map(InputFacts.of, bundle.classifier.inputs)
    backbones = [network.backbone for network in manifest.networks]
    return OnnxFacts(
        format=3 if manifest.doubt else 2 if further else 1,
        thawline=__version__,
        class_names=list(bundle.class_names),
        strategy=manifest.strategy,
        backbone=bundle.classifier.name,
        license=" + ".join(dict.fromkeys(backbone.license for backbone in backbones)),
        input=first,
        further_inputs=further or None,
        doubt=manifest.doubt,
        manifest_seal=manifest.seal,
    )


def _verify(graph: Graph, content: bytes, bundle: Bundle) -> tuple[float, float]:
    """Return the largest differences from torch and from the folder's answers; refuses a file that is too far off."""
    model, allowed = open_onnx(content), golden_tolerance(bundle.manifest)
    off_torch = off_golden = 0.0
    for picture in bundle.manifest.golden:
        prepared, _ = prepare_each((bundle.directory / picture.file).read_bytes(), model.inputs)
        said = model.answers_to([prepared])
        answer, outside = said.probabilities[0], said.outside
        with torch.inference_mode():
            found = graph(*(torch.from_numpy(pixels[None].copy()) for pixels in prepared))
        both = found if isinstance(found, tuple) else (found,)
        expected = both[0][0].numpy()
        off = float(np.abs(answer - expected).max())
        if outside is not None:
            off = max(off, float(np.abs(outside - both[1].numpy()).max()))
        same = bool(answer.argmax() == expected.argmax())
        drift = float(np.abs(answer - np.array(picture.probabilities)).max())
        if not (off <= EXPORT_TOLERANCE and same and drift <= allowed):
            raise BundleError(
                f"export {bundle.directory}: {picture.file} gets probabilities that differ by {off:.5f} from those of "
                f"torch ({EXPORT_TOLERANCE} is allowed{'' if same else ', and the same class'}) and by {drift:.3f} "
                f"from those of training ({allowed} is allowed). Nothing was written: predict with the "
                "folder, or fit again with --dtype float32."
            )
        off_torch, off_golden = max(off_torch, off), max(off_golden, drift)
    return off_torch, off_golden
