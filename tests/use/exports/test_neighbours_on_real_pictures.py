"""The training pictures that lie nearest to held-out ones are mostly of their species."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.runtime import Runtime
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.write_export import write_export
from thawline.use.neighbours import neighbours_beside
from thawline.use.onnx_model import open_onnx

pytestmark = [pytest.mark.pictures, pytest.mark.slow]

A_CLASS, HELD_OUT = 30, 12
"""Training and held-out pictures of each species."""


@pytest.fixture(scope="module")
def pictures(shared_data):
    """Return files of each species: {part: {species: [file, …]}}."""
    counts = {"training": A_CLASS, "validation": HELD_OUT}
    return {
        part: {
            folder.name: sorted(folder.glob("*.jpg"))[:count]
            for folder in sorted((shared_data / "monkeys" / part).rglob("n*"))
            if folder.is_dir() and next(folder.glob("*.jpg"), None)
        }
        for part, count in counts.items()
    }


@pytest.fixture(scope="module")
def bundle(pictures, tmp_path_factory):
    """Return a model of the bundled backbone that has learnt from a part of the training pictures."""
    names = tuple(pictures["training"])
    data = [(number, file.read_bytes()) for number, name in enumerate(names) for file in pictures["training"][name]]
    network = load_backbone()
    last = len(network.backbone.cuts) - 1
    kept = {"blocks": [(last - 1, "mean"), (last, "mean")], "storage": "float16", "temperature": 1.0}
    kept |= {"class_names": names}
    runtime = Runtime("cpu", "float32", 8)
    blank = Classifier([network], runtime, head=None, **kept)  # type: ignore[arg-type]
    parts = []
    for at in range(0, len(data), 8):
        pixels = np.stack([blank.prepare(content)[0][0] for _, content in data[at : at + 8]])
        parts.append(blank.reader.read(pixels))
    labels = np.array([label for label, _ in data])
    head = fit_linear(np.concatenate(parts), labels, l2=1e-3, num_classes=len(names))
    place = tmp_path_factory.mktemp("near") / "model"
    training = Training("linear", "0" * 64, [], [content for _, content in data[:3]], {}, "0.0.0")
    save_bundle(place, Classifier([network], runtime, head=head, **kept), training=training)
    digests = frozenset(hashlib.sha256(content).hexdigest() for _, content in data)
    return replace(load_bundle(place, device="cpu"), training_digests=digests)


def test_the_nearest_pictures_of_held_out_ones_share_their_species(bundle, pictures, shared_data, tmp_path):
    photos = shared_data / "monkeys" / "training"
    done = write_export(
        ExportSource(bundle, photos=photos, with_neighbours=True), "onnx-tensor", place=tmp_path / "a.onnx"
    )
    model = open_onnx(done.path)
    known = neighbours_beside(done.path, model.facts)
    assert done.num_neighbours == len(known.labels) == len(bundle.training_digests)
    shares = []
    for number, name in enumerate(model.class_names):
        for file in pictures["validation"][name]:
            place = model.answers_to([model.prepare(file.read_bytes())[0]]).places[0]
            shares.append(np.mean([each.label == number for each in known.nearest(place)]))
    print(f"of the five nearest of {len(shares)} held-out pictures {np.mean(shares):.1%} share the species")
    assert np.mean(shares) > 0.8
