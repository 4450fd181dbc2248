"""One torch module answers as a classifier does, whatever its head, its networks and its preparations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.core.errors import BundleError
from thawline.data.images import prepare
from thawline.data.load import prepare_each
from thawline.features.reader import JoinedReader
from thawline.heads.linear import fit_linear
from thawline.use.classifier import Classifier
from thawline.use.exports.graph import Graph, head_module

NAMES = ("cross", "stripe", "spot")


@pytest.mark.parametrize("kind", ["linear", "class mean", "neighbours", "dense", "together"])
def test_a_head_gives_the_same_logits_as_a_module(make_head, kind):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(18, 9)).astype(np.float32)
    head = make_head(kind, features, np.arange(18) % 3)
    others = np.concatenate([rng.normal(size=(5, 9)), np.zeros((1, 9))]).astype(np.float32)
    with torch.inference_mode():
        logits = head_module(head)(torch.from_numpy(others)).numpy()
    np.testing.assert_allclose(logits, head.logits(others), rtol=1e-4, atol=1e-4)


def test_a_head_without_a_graph_is_an_error():
    with pytest.raises(BundleError, match=r"export: a object cannot be expressed in ONNX\. Serve the model folder"):
        head_module(object())


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_the_graph_reads_the_blocks_in_their_order_and_rounds_as_stored(drawn_model, picture, storage):
    kept = drawn_model.classifier
    blocks = tuple(reversed(kept.reader.blocks))
    reader = JoinedReader(kept.networks, kept.reader.runtime, blocks, storage)
    pixels = np.stack([prepare(picture(seed), kept.inputs[0]) for seed in range(100, 103)])
    head = fit_linear(reader.read(pixels), np.arange(3), l2=1e-3, num_classes=3)
    classifier = Classifier(
        kept.networks,
        kept.reader.runtime,
        blocks=blocks,
        storage=storage,
        head=head,
        temperature=0.5,
        class_names=NAMES,
    )
    graph = Graph(classifier).eval()
    assert graph.storage == getattr(torch, storage)
    with torch.inference_mode():
        answers = graph(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(answers, classifier.probabilities(pixels), atol=1e-3)


def test_several_networks_are_one_module(joined_model, picture):
    classifier = joined_model.classifier
    prepared = [prepare_each(picture(seed), classifier.inputs)[0] for seed in range(100, 103)]
    pixels = [np.stack(same) for same in zip(*prepared, strict=True)]
    with torch.inference_mode():
        answers = Graph(classifier).eval()(*map(torch.from_numpy, pixels)).numpy()
    np.testing.assert_allclose(answers, classifier.probabilities(*pixels), atol=1e-4)
