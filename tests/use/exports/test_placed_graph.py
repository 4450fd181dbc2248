"""Places: of unit length, near where features are alike, and the same from the graph as from the arrays."""

from __future__ import annotations

import numpy as np
import torch

from thawline.data.images import prepare
from thawline.use.exports.graph import Graph
from thawline.use.exports.placed_graph import DIRECTIONS, PlacedGraph, fit_projection


def test_what_is_alike_lies_near():
    rng = np.random.default_rng(0)
    groups = rng.normal(0, 1, (4, 200)).astype(np.float32)
    features = np.concatenate([group + rng.normal(0, 0.2, (30, 200)).astype(np.float32) for group in groups])
    places = fit_projection(features).places(features)
    assert places.shape == (120, DIRECTIONS)
    assert places.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, atol=1e-5)
    alike = places @ places.T
    np.fill_diagonal(alike, -1)
    assert (alike.argmax(1) // 30 == np.arange(120) // 30).all()


def test_the_longest_directions_are_kept_where_there_are_more():
    rng = np.random.default_rng(1)
    spread = np.concatenate([np.full(100, 3.0), np.full(100, 0.0)])
    common = rng.normal(0, 1, (400, 1))
    features = (common * spread + rng.normal(0, 1, (400, 200))).astype(np.float32)
    projection = fit_projection(features)
    z = projection.columns.apply(features) @ projection.directions
    assert abs(np.corrcoef(z[:, -1], common[:, 0])[0, 1]) > 0.99


def test_few_pictures_have_few_directions_and_a_picture_in_the_middle_has_a_place():
    features = np.random.default_rng(1).normal(0, 1, (5, 9)).astype(np.float32)
    projection = fit_projection(features)
    assert 1 <= projection.directions.shape[1] <= 5
    assert np.isfinite(projection.places(projection.columns.mean[None])).all()


def test_the_graph_says_what_it_said_and_the_place_besides(drawn_model, doubting_model, picture):
    for bundle, count in ((drawn_model, 2), (doubting_model("features"), 3)):
        classifier = bundle.classifier
        pixels = np.stack([prepare(picture(seed), classifier.inputs[0]) for seed in range(18)])
        features = classifier.reader.read(pixels).astype(np.float32)
        projection = fit_projection(features)
        graph = Graph(classifier).eval()
        placed = PlacedGraph(graph, projection).eval()
        with torch.inference_mode():
            plain, said = graph(torch.from_numpy(pixels)), placed(torch.from_numpy(pixels))
        assert len(said) == count
        for before, after in zip(plain if isinstance(plain, tuple) else (plain,), said, strict=False):
            np.testing.assert_array_equal(before, after)
        assert (said[-1].numpy() * projection.places(features)).sum(1).min() > 0.995
