"""A float graph and a yardstick -> the same graph in 8 bits where that does no harm, or a refusal with the numbers.

One idea: calibration and the choice of layers see pictures that the model learnt from; the gate sees held-out ones,
once, and chooses nothing. What does not pass is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from thawline.core.errors import BundleError, DataError
from thawline.core.progress import Progress
from thawline.core.runtime import num_workers
from thawline.core.types import Floats, InputSpec, Ints
from thawline.data.dataset import Sample
from thawline.data.load import map_ordered, prepare_each, read_checked
from thawline.use.answer import Answering, Prepared
from thawline.use.exports.calibration_pass import calibrated
from thawline.use.exports.graph_session import GraphSession
from thawline.use.exports.layer_choice import choose_layers
from thawline.use.exports.layer_inputs import layers_of
from thawline.use.exports.qdq import InInt8, values_of
from thawline.use.exports.weight_rounding import round_layers
from thawline.use.exports.yardstick import Yardstick, drawn, spread_over_classes
from thawline.use.network_facts import Strict
from thawline.use.onnx_facts import OUTPUT

if TYPE_CHECKING:
    import onnx

__all__ = ["INT8_KEY", "LEAST_AGREEMENT", "MOST_LOST", "Gate", "Int8Facts", "Rounded", "gate_of", "rounded"]

INT8_KEY = "thawline_int8"
"""Key of the metadata that hold an `Int8Facts`."""

LEAST_AGREEMENT = 0.99
"""Share of the held-out pictures that must get the class that the float model gives them."""

MOST_LOST = 0.01
"""How much less of them may be right."""

NUM_CALIBRATION = 128
NUM_CHOICE = 256
MAX_HELD_OUT = 2000
"""Held-out pictures that are read, at most; of more, some are drawn at random."""

MAX_PIXEL_BYTES = 1 << 28
"""Memory that prepared pictures may take; of larger ones there are fewer."""


class Int8Facts(Strict):
    """What a file in 8 bits says of itself.

    Attributes:
        layers: Layers with weights that the backbones have.
        int8: Of them in 8 bits.
        held_out: Held-out pictures that were asked.
        learnt: Of them, pictures that the model has learnt from since they were read for its scores.
        agreement: Share of them that get the class that the float model gives them.
        accuracy_before: Share that the float model gets right.
        accuracy_after: Share that this file gets right.
    """

    layers: Annotated[int, Field(ge=1)]
    int8: Annotated[int, Field(ge=1)]
    held_out: Annotated[int, Field(ge=1)]
    learnt: Annotated[int, Field(ge=0)]
    agreement: Annotated[float, Field(ge=0, le=1)]
    accuracy_before: Annotated[float, Field(ge=0, le=1)]
    accuracy_after: Annotated[float, Field(ge=0, le=1)]

    def words(self) -> str:
        """Return it for people."""
        learnt = ""
        if self.learnt:
            which = "all" if self.learnt == self.held_out else f"{self.learnt:,}"
            learnt = f"; the model has learnt from {which} of them since they were read for its scores"
        return (
            f"{self.int8} of {self.layers} layers in 8 bits. Of {self.held_out:,} held-out pictures "
            f"{self.agreement:.1%} get the class that the float model gives them, and {self.accuracy_before:.3f} → "
            f"{self.accuracy_after:.3f} are right{learnt}."
        )


@dataclass(frozen=True)
class Rounded:
    """A graph with layers in 8 bits.

    Attributes:
        graph: From prepared pictures to answers.
        num_layers: Layers with weights.
        num_int8: Of them in 8 bits.
        turned: Share of further answers that turn, by estimate.
    """

    graph: onnx.ModelProto
    num_layers: int
    num_int8: int
    turned: float


@dataclass(frozen=True)
class Gate:
    """What two models said of the same held-out pictures.

    Attributes:
        samples: N pictures.
        before: (N, K) probabilities of the float model.
        after: (N, K) probabilities of the other one.
    """

    samples: Sequence[Sample]
    before: Floats
    after: Floats

    @property
    def labels(self) -> Ints:
        """(N,) true classes."""
        return np.array([sample.label for sample in self.samples], dtype=np.int64)

    @property
    def agreement(self) -> float:
        """Share of the pictures that get the same class, in [0, 1]."""
        return float((self.before.argmax(axis=1) == self.after.argmax(axis=1)).mean())

    @property
    def accuracies(self) -> tuple[float, float]:
        """Shares of the pictures that the float model and the other one get right."""
        first, second = (float((answers.argmax(axis=1) == self.labels).mean()) for answers in (self.before, self.after))
        return first, second

    @property
    def passed(self) -> bool:
        """Whether the model answers as the float one does."""
        before, after = self.accuracies
        return self.agreement >= LEAST_AGREEMENT and before - after <= MOST_LOST + 1e-9

    def words(self) -> str:
        """Return the differences, against what is allowed."""
        before, after = self.accuracies
        turned = int((self.before.argmax(axis=1) != self.after.argmax(axis=1)).sum())
        return (
            f"{turned:,} of {len(self.labels):,} held-out pictures get another class (an agreement of "
            f"{self.agreement:.1%}; {LEAST_AGREEMENT:.0%} is required), and {before:.3f} → {after:.3f} of them are "
            f"right (a loss of {100 * (before - after):.1f} points; {100 * MOST_LOST:g} is allowed)"
        )


def rounded(graph: onnx.ModelProto, specs: Sequence[InputSpec], *, yardstick: Yardstick, progress: Progress) -> Rounded:
    """Return a graph in 8 bits but for the layers that hurt; no held-out picture is opened.

    Args:
        graph: From prepared pictures to answers, in float32; it is not changed.
        specs: How a picture is prepared for each of its inputs.
        yardstick: Pictures that the model learnt from.
        progress: Where to report to.

    Raises:
        BundleError: The network has no layers that can be rounded.
        DataError: A picture vanished or changed since it was found.
    """
    layers = layers_of(graph)
    if not layers:
        raise BundleError(
            "export --to onnx-int8: the network has no convolution and no product with a matrix that could be kept in "
            "8 bits. Export it in float: --to onnx."
        )
    calibration, choice = _pictures(yardstick, specs)
    values = values_of(graph, [layer.name for layer in layers])
    known = calibrated(graph, layers, values=values, pictures=calibration, progress=progress)
    model = InInt8(graph, layers, known.ranges, round_layers(layers, known.fed, progress=progress))
    chosen = choose_layers(model, pictures=choice, clear=yardstick.clear, progress=progress)
    return Rounded(model.graph_with(chosen.layers), len(layers), len(chosen.layers), chosen.turned)


def _pictures(yardstick: Yardstick, specs: Sequence[InputSpec]) -> tuple[list[Prepared], list[Prepared]]:
    """Return prepared pictures of the training for calibration, and others of it for the choice of layers.

    Where there are few, all of them serve both.
    """
    size = sum(3 * spec.size_px**2 for spec in specs)
    count = max(1, min(NUM_CALIBRATION + NUM_CHOICE, MAX_PIXEL_BYTES // size))
    chosen = spread_over_classes(yardstick.training, count)
    prepared = list(map_ordered(lambda sample: _prepared(sample, specs), chosen))
    if len(prepared) < NUM_CALIBRATION:
        return prepared, prepared
    part = min(NUM_CALIBRATION, len(prepared) // 2)
    return prepared[:part], prepared[part:]


def _prepared(sample: Sample, specs: Sequence[InputSpec]) -> Prepared:
    return _answerable(sample, read_checked(sample), specs)


def _answerable(sample: Sample, data: bytes, specs: Sequence[InputSpec]) -> Prepared:
    try:
        return prepare_each(data, specs)[0]
    except DataError as error:
        raise DataError(f"decode: {sample.path}: {error}. Run again: `thawline check` says what to do.") from None


def gate_of(
    graph: onnx.ModelProto, model: Answering, *, specs: Sequence[InputSpec], yardstick: Yardstick, progress: Progress
) -> Gate:
    """Return what the float model and another form of it say of held-out pictures, each from its file.

    Args:
        graph: The float model, from prepared pictures to answers.
        model: The other form, opened as anyone would open it.
        specs: How a picture is prepared for each input of the graph.
        yardstick: Held-out pictures; of more than `MAX_HELD_OUT` some are drawn.
        progress: Where to report to.

    Raises:
        DataError: A picture vanished or changed since it was found.
    """
    session = GraphSession(graph)
    asked = drawn(yardstick.held_out, MAX_HELD_OUT)

    def both(sample: Sample) -> tuple[Floats, Floats]:
        data = read_checked(sample)
        before = session.values([OUTPUT], _answerable(sample, data, specs))[0][0]
        return before, model.answers_to([model.prepare(data)[0]]).probabilities[0]

    before, after = [], []
    with progress.stage("hold out", len(asked)) as advance:
        for first, second in map_ordered(both, asked, ahead=2 * num_workers()):
            before.append(first)
            after.append(second)
            advance(1)
    return Gate(asked, np.stack(before), np.stack(after))
