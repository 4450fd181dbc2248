"""A model folder -> one ONNX file that answers as the folder does, or nothing.

One idea: everything from prepared pixels to probabilities is one graph in float32: normalisation, network, pooling,
head, temperature. The folder's golden pictures go through the finished file before it is written.
"""

from __future__ import annotations

import json
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.core.runtime import Runtime
from thawline.core.store import disk_errors, write_bytes
from thawline.core.types import Floats, InputSpec
from thawline.core.version import __version__
from thawline.data.images import prepare
from thawline.features.network import Network, frozen_for_inference
from thawline.features.pooling import pooled
from thawline.heads.columns import Columns
from thawline.heads.dense import DenseHead
from thawline.heads.head import Head
from thawline.heads.linear import LinearHead
from thawline.heads.nearest import VOTE_FLOOR, VOTE_TEMPERATURE, NeighbourHead
from thawline.use.bundle import GOLDEN_TOLERANCE, Bundle, Classifier
from thawline.use.manifest import InputFacts
from thawline.use.onnx_model import (
    FACTS_KEY,
    FORMAT,
    INPUT,
    MAX_FILE_BYTES,
    OUTPUT,
    OnnxFacts,
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
    float32; the metadata key `thawline` holds an `OnnxFacts`. Every golden picture must get the probabilities that
    torch gives in float32 within `EXPORT_TOLERANCE` with the same first class, and those of the folder within
    `GOLDEN_TOLERANCE`. A head trained on bfloat16 features reads float32 ones here: of 272 pictures of ten monkeys,
    99 % had probabilities at most 0.04 away, one was 0.10 away, and one uncertain answer changed.

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


class Graph(nn.Module):
    """Prepared pixels in, probabilities out, all of it torch in float32 on the CPU."""

    def __init__(self, classifier: Classifier) -> None:
        """Fold the network for inference and turn the head into a module.

        Raises:
            BundleError: The head has no form in ONNX.
        """
        super().__init__()
        self.network = frozen_for_inference(classifier.network, Runtime("cpu", "float32", 1))
        self.model = self.network.model  # makes its parameters this module's
        self.blocks = classifier.reader.blocks
        self.storage = torch.float16 if classifier.reader.storage == np.float16 else torch.float32
        self.scaling = _Scaling(classifier.input)
        self.head = _head_module(classifier.head)
        self.temperature = classifier.temperature

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, K) probabilities of (B, H, W, 3) uint8 pixels."""
        features = _read_blocks(self.network, self.scaling(pixels), self.blocks)
        stored = features.to(self.storage).float()  # rounded as the features that the head was trained on
        return torch.softmax(self.head(stored) / self.temperature, dim=1)


def _read_blocks(network: Network, x: Tensor, blocks: tuple[tuple[int, str], ...]) -> Tensor:
    """Return the (B, D) features that a head reads, in the order of its columns."""
    by_cut: dict[int, list[str]] = {}
    for cut, pooling in blocks:
        by_cut.setdefault(cut, []).append(pooling)
    columns_by_block = {}
    for cut, activation in network.features(x, sorted(by_cut)):
        for pooling, columns in pooled(activation, by_cut[cut], num_prefix_tokens=network.num_prefix_tokens).items():
            columns_by_block[cut, pooling] = columns
    return torch.cat([columns_by_block[block] for block in blocks], dim=1)


class _Scaling(nn.Module):
    """Pixels -> the network's input, as `to_input` makes it."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(spec.std) * 255))

    def forward(self, pixels: Tensor) -> Tensor:
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


class _PreparedColumns(nn.Module):
    """`Columns.apply` in torch."""

    rooted: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        for name, values in asdict(columns).items():
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, features: Tensor) -> Tensor:
        root = features.abs().sqrt() * features.sign()
        return (torch.where(self.rooted, root, features) - self.mean) * self.scale


class _Votes(nn.Module):
    """`NeighbourHead.logits` behind its columns: every training picture is in the graph."""

    keys: Tensor
    members: Tensor

    def __init__(self, head: NeighbourHead) -> None:
        super().__init__()
        self.k = head.k
        self.register_buffer("keys", torch.from_numpy(head.keys.astype(np.float32)))
        self.register_buffer("members", torch.from_numpy(np.eye(head.num_classes, dtype=np.float32)[head.labels]))

    def forward(self, columns: Tensor) -> Tensor:
        unit = columns / columns.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        similarity, nearest = (unit @ self.keys.T).topk(self.k, dim=1)
        weights = torch.exp((similarity - 1) / VOTE_TEMPERATURE)
        votes = (weights.unsqueeze(2) * self.members[nearest]).sum(1)
        return torch.log(votes / votes.sum(1, keepdim=True) + VOTE_FLOOR)


def _head_module(head: Head) -> nn.Module:
    """Return raw features -> logits as a torch module."""
    if isinstance(head, LinearHead):
        return nn.Sequential(_PreparedColumns(head.columns), _linear(head.weight, head.bias))
    if isinstance(head, DenseHead):
        layers = (_linear(head.weight1, head.bias1), nn.ReLU(), _linear(head.weight2, head.bias2))
        return nn.Sequential(_PreparedColumns(head.columns), *layers)
    if isinstance(head, NeighbourHead):
        return nn.Sequential(_PreparedColumns(head.columns), _Votes(head))
    raise BundleError(f"export: a {type(head).__name__} cannot be expressed in ONNX. Serve the model folder instead.")


def _linear(weight: Floats, bias: Floats) -> nn.Linear:
    """Return a dense layer with a (D, K) weight and a (K,) bias."""
    layer = nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": torch.from_numpy(weight.T.copy()), "bias": torch.from_numpy(bias)})
    return layer


def _onnx_bytes(graph: Graph, bundle: Bundle) -> bytes:
    """Return the ONNX file of a graph, without traces of this machine in it."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values())
    if size > MAX_FILE_BYTES:
        raise BundleError(
            f"export {bundle.directory}: {size:,} bytes of weights are more than the {MAX_FILE_BYTES:,} that one ONNX "
            "file can hold. Choose a smaller backbone."
        )
    side = bundle.classifier.input.size_px
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    with _exporter(bundle), torch.no_grad():
        program: Any = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        proto = program.model_proto
    for node in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del node.metadata_props[:]  # stack traces, with paths of this machine
        node.doc_string = ""
    facts = _facts(bundle)
    proto.metadata_props.add(key=FACTS_KEY, value=json.dumps(facts.model_dump(), ensure_ascii=False))
    content: bytes = proto.SerializeToString(deterministic=True)
    return sealed(content)


@contextmanager
def _exporter(bundle: Bundle) -> Iterator[None]:
    """Turn errors of torch's exporter into ours, and silence what it warns about itself."""
    name = bundle.manifest.backbone.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.11 calls functions that it deprecates
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
    return OnnxFacts(
        format=FORMAT,
        thawline=__version__,
        class_names=list(bundle.class_names),
        strategy=manifest.strategy,
        backbone=manifest.backbone.name,
        license=manifest.backbone.license,
        input=InputFacts.of(bundle.classifier.input),
        manifest_seal=manifest.seal,
    )


def _verify(graph: Graph, content: bytes, bundle: Bundle) -> tuple[float, float]:
    """Return the largest differences from torch and from the folder's answers; refuses a file that is too far off."""
    model = open_onnx(content)
    off_torch = off_golden = 0.0
    for picture in bundle.manifest.golden:
        pixels = prepare((bundle.directory / picture.file).read_bytes(), model.input)[None]
        answer = model.probabilities(pixels)[0]
        with torch.inference_mode():
            expected = graph(torch.from_numpy(pixels.copy()))[0].numpy()
        off = float(np.abs(answer - expected).max())
        same = bool(answer.argmax() == expected.argmax())
        drift = float(np.abs(answer - np.array(picture.probabilities)).max())
        if not (off <= EXPORT_TOLERANCE and same and drift <= GOLDEN_TOLERANCE):
            raise BundleError(
                f"export {bundle.directory}: {picture.file} gets probabilities that differ by {off:.5f} from those of "
                f"torch ({EXPORT_TOLERANCE} is allowed{'' if same else ', and the same class'}) and by {drift:.3f} "
                f"from those of training ({GOLDEN_TOLERANCE} is allowed). Nothing was written: predict with the "
                "folder, or fit again with --dtype float32."
            )
        off_torch, off_golden = max(off_torch, off), max(off_golden, drift)
    return off_torch, off_golden
