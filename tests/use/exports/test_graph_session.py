"""A graph in memory answers as the model does."""

from __future__ import annotations

import numpy as np

from thawline.data.load import prepare_each
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.graph_session import GraphSession


def test_answers_are_those_of_the_model(joined_model, picture):
    pictures = [prepare_each(picture(seed), joined_model.classifier.inputs)[0] for seed in range(3)]
    session = GraphSession(ExportSource(joined_model).onnx_graph())
    answers = session.answers(pictures)
    np.testing.assert_allclose(answers, joined_model.classifier.answers_to(pictures).probabilities, atol=1e-4)
    assert np.array_equal(session.values(["probabilities"], pictures[1])[0][0], answers[1])
