"""A dense head on a network of timm's; onnxruntime-web where it can be had, and the small model for the browser."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from thawline.core.errors import StoreError
from thawline.core.runtime import Runtime
from thawline.data.images import prepare
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.in_browser import why_no_browser
from thawline.use.exports.npm_package import kept_tarball
from thawline.use.exports.web import ORT_WEB
from thawline.use.exports.write_export import write_export

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


@pytest.fixture(scope="session")
def ort_web() -> Path:
    """Return the tarball of onnxruntime-web: named by THAWLINE_ORT_WEB, or of the person's own cache, or fetched."""
    if named := os.environ.get("THAWLINE_ORT_WEB"):
        return Path(named)
    try:
        return kept_tarball(ORT_WEB)
    except StoreError as error:
        pytest.skip(f"THAWLINE_ORT_WEB names no tarball, and {error}")


@pytest.fixture(scope="session")
def web_run(exported_run, ort_web, tmp_path_factory):
    """Return a run of the small model with a folder for the browser, proved in one where there is one."""
    run = shutil.copytree(exported_run, tmp_path_factory.mktemp("for the browser") / "run")
    source = ExportSource(load_bundle(run / "model", device="cpu"), ort_web=ort_web)
    write_export(source, "web", place=run / "exports" / "web")
    return run


@pytest.fixture(scope="session")
def a_browser():
    """Skip, and say why, where no page can be opened."""
    if reason := why_no_browser():
        pytest.skip(reason)
