"""What several forms are made of is made once: graph, facts and golden pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import BundleError
from thawline.use.exports import export_source as module
from thawline.use.exports.export_source import ExportSource


def test_golden_pictures_have_the_answers_of_the_folder(drawn_model, doubting_model):
    pictures = ExportSource(drawn_model).golden
    recorded = drawn_model.manifest.golden
    assert [picture.file for picture in pictures] == [picture.file for picture in recorded]
    for picture, known in zip(pictures, recorded, strict=True):
        np.testing.assert_allclose(picture.probabilities, known.probabilities, atol=1e-5)
        assert picture.outside is None
        assert picture.picture == (drawn_model.directory / known.file).read_bytes()
    assert all(0 <= picture.outside <= 1 for picture in ExportSource(doubting_model("features")).golden)


def test_answers_that_are_not_those_of_training_are_refused(drawn_model):
    first, *others = drawn_model.manifest.golden
    moved = first.model_copy(update={"probabilities": [share + 0.003 for share in first.probabilities]})
    manifest = drawn_model.manifest.model_copy(update={"golden": [moved, *others]})
    with pytest.raises(
        BundleError, match=r"golden/0\.jpg gets probabilities .* differ by 0\.003 .*\(0\.002 is allowed\)"
    ):
        _ = ExportSource(replace(drawn_model, manifest=manifest)).golden


def test_the_graph_is_made_once_and_handed_out_in_copies(drawn_model, drawn_onnx, monkeypatch):
    made = []
    monkeypatch.setattr(module, "tensor_graph", lambda *_: made.append(1) or drawn_onnx.read_bytes())
    source = ExportSource(drawn_model)
    first = source.onnx_graph()
    first.graph.ClearField("node")
    assert source.onnx_graph().graph.node
    assert made == [1]


def test_facts_say_whether_pictures_or_pixels_are_taken(drawn_model):
    source = ExportSource(drawn_model)
    assert (source.facts(whole=True).takes, source.facts(whole=False).takes) == ("pictures", None)
    assert (source.facts(whole=True).format, source.facts(whole=False).format) == (4, 1)
