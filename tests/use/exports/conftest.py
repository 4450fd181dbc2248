"""A model whose head is one dense layer on the last cut of a network of timm's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.data.images import prepare
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")


@pytest.fixture(scope="session")
def make_dense(picture):
    """Return what writes such a model into a run's folder, and loads it."""

    def make(run, *, name="resnet18", size_px=64, blocks=None, rooted=False, storage="float16"):
        torch.manual_seed(0)
        network = load_backbone(name, pretrained=False, size_px=size_px)
        kept = {
            "blocks": blocks or [(len(network.backbone.cuts) - 1, "mean")],
            "storage": storage,
            "temperature": 0.3,
            "class_names": NAMES,
        }
        pictures = [picture(seed) for seed in range(18)]
        pixels = np.stack([prepare(data, network.backbone.input) for data in pictures])
        runtime = Runtime("cpu", "float32", 8)
        features = Classifier([network], runtime, head=None, **kept).reader.read(pixels)
        head = fit_linear(features, np.arange(18) % 3, l2=1e-3, num_classes=3, rooted=rooted)
        classifier = Classifier([network], runtime, head=head, **kept)
        save_bundle(run / "model", classifier, training=Training("dense", "0" * 64, [], pictures[:3], {}, "0.0.0"))
        return load_bundle(run / "model", device="cpu")

    return make


@pytest.fixture(scope="session")
def dense_model(make_dense, tmp_path_factory):
    """Return it, with scores of its run next to it."""
    run = tmp_path_factory.mktemp("dense") / "birds"
    bundle = make_dense(run)
    score = {"value": 0.9485, "low": 0.9144, "high": 0.9695, "n": 272}
    (run / "metrics.json").write_text(json.dumps({"accuracy": score}))
    return bundle
