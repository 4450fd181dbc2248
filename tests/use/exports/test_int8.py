"""Calibration reads training pictures only, the gate reads held-out ones only, and refuses what answers otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from thawline.core.errors import BundleError, DataError
from thawline.core.progress import SilentProgress
from thawline.data.dataset import Sample
from thawline.use.exports import int8 as module
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.int8 import Gate, Int8Facts, gate_of, rounded
from thawline.use.exports.yardstick import Yardstick


@dataclass
class Watched:
    data: bytes
    reads: list[str] = field(default_factory=list)

    def read(self):
        self.reads.append("read")
        return self.data


def sample(picture, seed, label):
    data = picture(seed)
    return Sample(f"{seed}.jpg", label, hashlib.sha256(data).hexdigest(), None, seed, Watched(data))


@pytest.fixture
def yardstick(drawn_model, picture):
    """Return what the small model learnt from, and other pictures with the classes that it gives them."""
    held_out = []
    for seed in range(100, 130):
        label = int(drawn_model.classifier.answer(picture(seed)).argmax())
        held_out.append(sample(picture, seed, label))
    return Yardstick([sample(picture, seed, seed % 3) for seed in range(18)], held_out)


def test_only_pictures_of_the_training_are_opened_before_the_gate(drawn_model, yardstick):
    graph, specs = ExportSource(drawn_model).onnx_graph(), drawn_model.classifier.inputs
    before = graph.SerializeToString(deterministic=True)
    done = rounded(graph, specs, yardstick=yardstick, progress=SilentProgress())
    assert graph.SerializeToString(deterministic=True) == before
    assert all(one.source.reads for one in yardstick.training)
    assert not any(one.source.reads for one in yardstick.held_out)
    assert 1 <= done.num_int8 <= done.num_layers
    for one in yardstick.training:
        one.source.reads.clear()
    model = drawn_model.classifier
    gate = gate_of(graph, model, specs=specs, yardstick=yardstick, progress=SilentProgress())
    assert not any(one.source.reads for one in yardstick.training)
    assert all(one.source.reads for one in yardstick.held_out)
    assert (gate.agreement, gate.accuracies, gate.passed) == (1.0, (1.0, 1.0), True)


def gate(before, after, labels):
    samples = [Sample(str(place), label, "", None, place, None) for place, label in enumerate(labels)]
    eye = np.eye(3, dtype=np.float32)
    return Gate(samples, eye[before], eye[after])


def test_the_gate_counts_classes_and_right_ones():
    same = [0] * 100
    assert gate(same, [1] + [0] * 99, same).passed
    assert not gate(same, [1, 1] + [0] * 98, same).passed
    assert gate(same, [0] * 100, [1] * 100).passed
    assert not gate([0] * 50, [1] + [0] * 49, [1] * 50).passed
    lost = gate([0] * 200, [1, 1, *[0] * 198], [0] * 200)
    assert (lost.agreement, lost.passed) == (0.99, True)
    assert lost.words() == (
        "2 of 200 held-out pictures get another class (an agreement of 99.0%; 99% is required), and 1.000 → 0.990 of "
        "them are right (a loss of 1.0 points; 1 is allowed)"
    )


def test_a_loss_of_more_than_a_point_is_refused(monkeypatch):
    monkeypatch.setattr(module, "LEAST_AGREEMENT", 0.9)
    assert not gate([0] * 100, [1, 1] + [0] * 98, [0] * 100).passed
    assert gate([0] * 100, [1, 1] + [0] * 98, [1] * 100).passed


def test_a_changed_picture_is_not_asked(drawn_model, yardstick):
    changed = replace(yardstick.held_out[0], source=Watched(b"other"))
    graph = ExportSource(drawn_model).onnx_graph()
    with pytest.raises(DataError, match=r"100\.jpg has changed since it was checked"):
        gate_of(
            graph,
            drawn_model.classifier,
            specs=drawn_model.classifier.inputs,
            yardstick=replace(yardstick, held_out=[changed]),
            progress=SilentProgress(),
        )


def test_a_network_without_layers_is_an_error(drawn_model, yardstick):
    graph = ExportSource(drawn_model).onnx_graph()
    del graph.graph.node[:]
    with pytest.raises(BundleError, match=r"has no convolution and no product .* --to onnx\."):
        rounded(graph, drawn_model.classifier.inputs, yardstick=yardstick, progress=SilentProgress())


def test_large_pictures_are_fewer(drawn_model, yardstick, monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXEL_BYTES", 6 * 3 * 64 * 64)
    rounded(
        ExportSource(drawn_model).onnx_graph(),
        drawn_model.classifier.inputs,
        yardstick=yardstick,
        progress=SilentProgress(),
    )
    assert sum(bool(one.source.reads) for one in yardstick.training) == 6


def test_facts_say_of_how_many_pictures_the_model_has_learnt():
    facts = Int8Facts(
        layers=49, int8=43, held_out=272, learnt=0, agreement=0.996, accuracy_before=0.95, accuracy_after=0.947
    )
    assert facts.words() == (
        "43 of 49 layers in 8 bits. Of 272 held-out pictures 99.6% get the class that the float model gives them, and "
        "0.950 → 0.947 are right."
    )
    assert "learnt from all of them since" in facts.model_copy(update={"learnt": 272}).words()
    assert "learnt from 5 of them since" in facts.model_copy(update={"learnt": 5}).words()
