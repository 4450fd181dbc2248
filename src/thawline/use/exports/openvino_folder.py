"""A model's ONNX file -> OpenVINO's own form, `model.xml` and `model.bin`, in a folder that proves itself; and back.

One idea: the graph is the one that was written as ONNX, read by OpenVINO itself, so both forms answer alike. OpenVINO
may compute in fewer bits than it is given; here it is told not to. It counts its users unless told not to: it is.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import BundleError
from thawline.core.runtime import num_workers
from thawline.core.types import Floats
from thawline.features.engines.openvino_library import load_openvino
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import write_golden
from thawline.use.exports.onnx_file import whole_graph
from thawline.use.exports.proof import PIXELS_ALLOWED
from thawline.use.exports.sealed_folder import seal_folder
from thawline.use.onnx_facts import FACTS_KEY, PICTURES, OnnxFacts
from thawline.use.onnx_model import WholeOnnxModel

__all__ = ["open_openvino", "write_openvino"]

KIND, GRAPH_FILE = "openvino", "model.xml"


def write_openvino(source: ExportSource, place: Path) -> None:
    """Write the whole model in OpenVINO's form: one picture of any size in; weights stay float32.

    Args:
        source: The model.
        place: The folder, which is not there yet.

    Raises:
        BundleError: The model cannot be expressed in ONNX, or OpenVINO cannot read the graph.
        UsageError: OpenVINO or the exporter is not installed.
    """
    openvino = load_openvino("export --to openvino")
    facts = source.facts(whole=True)
    content = whole_graph(source.onnx_graph(), facts).SerializeToString()
    place.mkdir()
    try:
        graph = openvino.Core().read_model(content)
        graph.reshape({PICTURES: [1, -1, -1, 3]})  # with a batch of any size 2026.4 answers the first picture wrongly
        openvino.save_model(graph, str(place / GRAPH_FILE), compress_to_fp16=False)
    except RuntimeError as error:
        raise BundleError(
            f"export --to openvino: OpenVINO {openvino.__version__} cannot read the model's graph: {_reason(error)}. "
            "Nothing was written: export --to onnx."
        ) from None
    write_golden(place, source.golden_set(KIND, allowed=PIXELS_ALLOWED))
    seal_folder(place, kind=KIND, facts=facts)


def open_openvino(folder: Path, facts: OnnxFacts, *, num_threads: int | None = None) -> WholeOnnxModel:
    """Return the model of such a folder. It computes in float32.

    Args:
        folder: As `write_openvino` wrote it, compared with its hashes already.
        facts: What the folder says of the model.
        num_threads: Of one pass; 1 suits many pictures, which go through in a stream a processor.

    Raises:
        BundleError: OpenVINO cannot run it.
        UsageError: OpenVINO is not installed.
    """
    openvino = load_openvino(f"load {folder}")
    threads, streams = (num_threads or num_workers(), 1) if num_threads != 1 else (num_workers(), num_workers())
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # a processor with bfloat16 would use it
        "EXECUTION_MODE_HINT": "ACCURACY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
    }
    try:
        compiled = openvino.Core().compile_model(str(folder / GRAPH_FILE), "CPU", settings)
    except RuntimeError as error:
        raise BundleError(
            f"load {folder}: OpenVINO {openvino.__version__} cannot run its graph: {_reason(error)}. Export it again."
        ) from None
    session: Any = _Session(compiled, facts)  # it answers as one of onnxruntime does
    return WholeOnnxModel(session, facts)


@dataclass(frozen=True)
class _Meta:
    """Metadata as onnxruntime gives them."""

    custom_metadata_map: Mapping[str, str]


class _Session:
    """A compiled model that is asked as onnxruntime's sessions are; every thread has a request of its own."""

    def __init__(self, compiled: Any, facts: OnnxFacts) -> None:
        self._compiled, self._facts, self._own = compiled, facts, threading.local()

    def get_modelmeta(self) -> _Meta:
        """Return the metadata of the ONNX file that it was made from."""
        return _Meta({FACTS_KEY: self._facts.model_dump_json()})

    def run(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Floats]:
        """Return some outputs by name, of pictures that go through one by one."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        parts = [
            self._outputs(names, {PICTURES: feeds[PICTURES][place : place + 1]})
            for place in range(len(feeds[PICTURES]))
        ]
        return [np.concatenate(same) for same in zip(*parts, strict=True)]

    def _outputs(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Floats]:
        request = self._own.request
        request.infer(dict(feeds))
        return [request.get_tensor(name).data.copy() for name in names]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
