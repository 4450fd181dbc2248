"""Ranges lose little, and a layer's inputs are known by mean and covariance."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.progress import SilentProgress
from thawline.data.load import prepare_each
from thawline.use.exports.calibration_pass import Fed, best_range, calibrated
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.layer_inputs import Layer, layers_of
from thawline.use.exports.qdq import values_of


def test_few_large_numbers_do_not_make_all_steps_coarser():
    rng = np.random.default_rng(0)
    samples = rng.standard_t(3, size=50000).astype(np.float32)
    low, high = best_range(samples)
    assert samples.min() * 0.95 < low < -3
    assert 3 < high < samples.max() * 0.95
    low, high = best_range(rng.uniform(0, 6, 5000).astype(np.float32))
    assert (low, high) == (0.0, pytest.approx(6, abs=0.1))
    assert best_range(np.full(9, -3, dtype=np.float32)) == (-3.0, 0.0)
    assert best_range(np.zeros(9, dtype=np.float32)) == (0.0, 0.0)


def test_mean_and_covariance_are_those_of_all_patches():
    layer = Layer("a", "Conv", "x", "w", "", np.zeros((4, 3, 1, 1), dtype=np.float32), 2)
    patches = np.random.default_rng(0).normal(2, 1, size=(2, 300, 3)).astype(np.float32)
    fed = Fed.nothing(layer)
    fed.add(patches[:, :100])
    fed.add(patches[:, 100:])
    np.testing.assert_allclose(fed.mean, patches.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(fed.covariance[1], np.cov(patches[1].T, bias=True), atol=1e-3)
    assert not Fed.nothing(layer).covariance.any()


def test_every_value_has_a_range_and_every_layer_its_inputs(drawn_model, picture):
    graph = ExportSource(drawn_model).onnx_graph()
    layers = layers_of(graph)
    values = values_of(graph, [layer.name for layer in layers])
    pictures = [prepare_each(picture(seed), drawn_model.classifier.inputs)[0] for seed in range(20)]
    known = calibrated(graph, layers, values=values, pictures=pictures, progress=SilentProgress())
    assert set(known.ranges) == set(values) >= {layer.fed for layer in layers}
    assert all(low <= 0 <= high for low, high in known.ranges.values())
    assert set(known.fed) == {layer.weight for layer in layers}
    assert all(fed.count >= 20 and fed.covariance.any() for fed in known.fed.values())
    again = calibrated(graph, layers, values=values, pictures=pictures, progress=SilentProgress())
    assert again.ranges == known.ranges
