"""A model and its yardstick -> one whole ONNX file in 8 bits, or a refusal with the differences.

One idea: the gate asks the finished file, opened as anyone would open it, about pictures from their files.
"""

from __future__ import annotations

from pathlib import Path

from thawline.core.errors import BundleError
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import GoldenSet
from thawline.use.exports.int8 import INT8_KEY, LEAST_AGREEMENT, Gate, Int8Facts, Rounded, gate_of, rounded
from thawline.use.exports.onnx_file import onnx_content, whole_graph
from thawline.use.exports.proof import prove
from thawline.use.onnx_model import open_onnx

__all__ = ["write_onnx_int8"]

KIND = "onnx-int8"


def write_onnx_int8(source: ExportSource, place: Path) -> None:
    """Write the whole model as one ONNX file in which backbones compute in 8 bits; crop, resize and heads stay float.

    Inputs and outputs are those of `write_onnx`. The metadata key `thawline_int8` holds an `Int8Facts`.

    Args:
        source: The model, with a yardstick.
        place: The file, which is not there yet.

    Raises:
        BundleError: The model cannot be expressed, or it answers otherwise in 8 bits; says by how much.
        UsageError: The exporter is not installed, or there are no pictures to choose and measure by.
    """
    yardstick, specs = source.yardstick, source.bundle.classifier.inputs
    graph = source.onnx_graph()
    done = rounded(graph, specs, yardstick=yardstick, progress=source.progress)
    unproved = open_onnx(_content(source, done, facts=None, least_agreement=0.0), num_threads=1)
    gate = gate_of(graph, unproved, specs=specs, yardstick=yardstick, progress=source.progress)
    if not gate.passed:
        raise BundleError(
            f"export --to {KIND}: in 8 bits the model answers otherwise: {gate.words()}, with {done.num_int8} of "
            f"{done.num_layers} layers in 8 bits. Nothing was written. Export it in float: --to onnx."
        )
    golden = prove(unproved, source.golden, allowed=None, least_agreement=0.0)
    facts = _facts(done, gate, learnt=yardstick.learnt)
    least = min(LEAST_AGREEMENT, golden.agreement)  # chosen near the border: they may turn where others do not
    place.write_bytes(_content(source, done, facts=facts, least_agreement=least))


def _content(source: ExportSource, done: Rounded, *, facts: Int8Facts | None, least_agreement: float) -> bytes:
    from onnx import ModelProto

    graph, own = ModelProto(), source.facts(whole=True)
    graph.CopyFrom(done.graph)
    if facts is not None:
        graph.metadata_props.add(key=INT8_KEY, value=facts.model_dump_json())
    golden = GoldenSet(
        kind=KIND,
        manifest_seal=source.bundle.manifest.seal,
        allowed=None,
        least_agreement=least_agreement,
        pictures=list(source.golden),
    )
    return onnx_content(whole_graph(graph, own), own, golden=golden)


def _facts(done: Rounded, gate: Gate, *, learnt: frozenset[str]) -> Int8Facts:
    before, after = gate.accuracies
    return Int8Facts(
        layers=done.num_layers,
        int8=done.num_int8,
        held_out=len(gate.samples),
        learnt=sum(sample.sha256 in learnt for sample in gate.samples),
        agreement=gate.agreement,
        accuracy_before=before,
        accuracy_after=after,
    )
