"""Small models with drawn pictures, and one of them exported, for the tests of what leaves the house."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from thawline.core.runtime import Runtime
from thawline.data.images import prepare
from thawline.data.load import prepare_each
from thawline.features.joined import joined_blocks
from thawline.features.network import load_backbone
from thawline.heads.columns import fit_columns
from thawline.heads.dense import DenseHead
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.heads.outsiders import Outsiders, energy, fit_strangeness, quantiles_of, standardised
from thawline.heads.together import Member, TogetherHead
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.doubt import Doubt

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")
CLASSES = len(NAMES)


@pytest.fixture(scope="module")
def one_thread():
    """Keep torch to one thread: its threads wait for each other by spinning, which costs most where others run too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(seed: int) -> bytes:
    """Return a JPEG of coloured noise around a ramp, different for every seed."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 160, 70)[None, :, None] * rng.uniform(0, 1, 3)
    pixels = ramp + rng.normal(60, 25, (50, 70, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def dense_head(features, labels):
    rng = np.random.default_rng(0)
    shapes = ((features.shape[1], 7), (7,), (7, CLASSES), (CLASSES,))
    return DenseHead(fit_columns(features), *(rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes))


def together_head(features, labels):
    """Return three heads as one: on all columns, on every other one, on the last half, at their own temperatures."""
    columns = np.arange(features.shape[1])
    reads = (columns >= 0, columns % 2 == 0, columns >= len(columns) // 2)
    return TogetherHead(
        tuple(
            Member(mask, fit_linear(features[:, mask], labels, l2=1e-3, num_classes=CLASSES), temperature)
            for mask, temperature in zip(reads, (1.0, 0.5, 3.0), strict=True)
        )
    )


HEADS = {
    "linear": lambda features, labels: fit_linear(features, labels, l2=1e-3, num_classes=CLASSES),
    "class mean": lambda features, labels: fit_class_mean(features, labels, num_classes=CLASSES),
    "neighbours": lambda features, labels: fit_neighbours(features, labels, k=3, num_classes=CLASSES),
    "dense": dense_head,
    "together": together_head,
}


def make(
    place,
    *,
    name="simple_cnn",
    size_px=64,
    head="linear",
    poolings=("mean", "std"),
    dtype="float32",
    storage="float16",
):
    """Write a model whose network has random weights, with a head fitted to drawn pictures at its last two cuts."""
    torch.manual_seed(0)
    network = load_backbone(name, pretrained=name == "efficientnet_lite0", size_px=size_px)
    last = len(network.backbone.cuts) - 1
    blocks = [(cut, pooling) for cut in (last - 1, last) for pooling in poolings]
    runtime = Runtime("cpu", dtype, 8)
    pictures = [draw(seed) for seed in range(18)]
    kept = {"blocks": blocks, "storage": storage, "temperature": 0.7, "class_names": NAMES}
    reader = Classifier([network], runtime, head=None, **kept).reader  # type: ignore[arg-type]
    features = reader.read(np.stack([prepare(data, network.backbone.input) for data in pictures]))
    labels = np.arange(18, dtype=np.int64) % CLASSES
    classifier = Classifier([network], runtime, head=HEADS[head](features, labels), **kept)
    training = Training("drawn", "0" * 64, [], pictures[:3], {}, "0.0.0")
    save_bundle(place, classifier, training=training)
    return load_bundle(place, device="cpu")


@pytest.fixture(scope="session")
def picture():
    """Return what draws a JPEG for a seed."""
    return draw


@pytest.fixture(scope="session")
def make_model():
    """Return what writes a small model to a folder and loads it."""
    return make


@pytest.fixture(scope="session")
def make_head():
    """Return what fits a head of a kind to features and labels."""
    return lambda kind, features, labels: HEADS[kind](features, labels)


@pytest.fixture(scope="session")
def drawn_model(tmp_path_factory):
    """Return a small model of three classes in float32, loaded."""
    return make(tmp_path_factory.mktemp("drawn") / "model")


def make_joined(place):
    """Write a model of three networks, the first two of the same weights at two sizes, the last read as the second."""
    runtime = Runtime("cpu", "float32", 8)
    sizes = (("simple_cnn", 64), ("simple_cnn", 96), ("deep_cnn", 96))
    networks = [load_backbone(name, pretrained=False, size_px=size_px) for name, size_px in sizes]
    last = len(networks[0].backbone.cuts) - 1
    blocks = joined_blocks(
        [[(0, "mean"), (last, "std")], [(last, "mean")], [(1, "max")]], [len(n.backbone.cuts) for n in networks]
    )
    kept = {"blocks": blocks, "storage": "float16", "temperature": 0.7, "class_names": NAMES}
    blank = Classifier(networks, runtime, head=None, **kept)  # type: ignore[arg-type]
    pictures = [draw(seed) for seed in range(18)]
    prepared = [prepare_each(data, blank.inputs)[0] for data in pictures]
    features = blank.reader.read(*(np.stack(same) for same in zip(*prepared, strict=True)))
    head = HEADS["linear"](features, np.arange(18, dtype=np.int64) % CLASSES)
    classifier = Classifier(networks, runtime, head=head, **kept)
    save_bundle(place, classifier, training=Training("joined", "0" * 64, [], pictures[:3], {}, "0.0.0"))
    return load_bundle(place, device="cpu")


@pytest.fixture(scope="session")
def joined_model(tmp_path_factory):
    """Return a model that reads three networks, whose pictures are prepared in two ways, loaded."""
    return make_joined(tmp_path_factory.mktemp("joined") / "model")


@pytest.fixture
def doubting_model(drawn_model, tmp_path):
    """Return what writes the small model with thresholds: it answers some pictures and abstains from others."""

    def write(read_from):
        classifier = drawn_model.classifier
        pictures = [draw(seed) for seed in range(18)]
        pixels = np.stack([prepare(data, classifier.inputs[0]) for data in pictures])
        features = classifier.reader.read(pixels)
        logits = classifier.head.logits(features) / classifier.temperature
        score = None
        if read_from == "features":
            fitted = fit_strangeness(features, np.arange(18) % CLASSES, reads=np.arange(features.shape[1]) > 3)
            near, far = fitted.near_far(features)
            score = standardised(fitted, near=near, far=far)
        held_out = energy(logits) if score is None else score.score(features)
        known = Outsiders(score, quantiles_of(held_out, np.arange(18)))
        rates = {"false_alarms": 0.4, "error_rate": 0.1, "min_probability": 0.5}
        doubt = Doubt(read_from=read_from, num_groups=18, **rates)
        training = Training("drawn", "0" * 64, [], pictures[:3], {}, "0.0.0")
        save_bundle(tmp_path / "doubting", classifier.doubting(doubt, known), training=training)
        return load_bundle(tmp_path / "doubting", device="cpu")

    return write


@pytest.fixture(scope="session")
def exported_run(drawn_model, tmp_path_factory):
    """Return the folder of a run with the small model in it and both of its ONNX files."""
    from thawline.use.exports.export_source import ExportSource
    from thawline.use.exports.write_export import write_export

    run = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(drawn_model.directory, run / "model")
    source = ExportSource(load_bundle(run / "model", device="cpu"))
    for name, file in (("onnx", "model.onnx"), ("onnx-tensor", "model-tensor.onnx")):
        write_export(source, name, place=run / "exports" / file)
    return run


@pytest.fixture(scope="session")
def drawn_onnx(exported_run):
    """Return the small model as an ONNX file that takes prepared pictures."""
    return exported_run / "exports" / "model-tensor.onnx"


@pytest.fixture(scope="session")
def whole_onnx(exported_run):
    """Return the small model as a whole ONNX file."""
    return exported_run / "exports" / "model.onnx"


@pytest.fixture(scope="session")
def placed_source(drawn_model, tmp_path_factory):
    """Return the small model as one that is exported with the eighteen pictures that it learnt from."""
    from thawline.use.exports.export_source import ExportSource

    photos = tmp_path_factory.mktemp("placed") / "photos"
    digests = []
    for seed in range(18):
        folder = photos / NAMES[seed % CLASSES]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seed}.jpg").write_bytes(draw(seed))
        digests.append(hashlib.sha256(draw(seed)).hexdigest())
    learnt = replace(drawn_model, training_digests=frozenset(digests))
    return ExportSource(learnt, photos=photos, with_neighbours=True)


@pytest.fixture(scope="session")
def placed_run(placed_source, tmp_path_factory):
    """Return the folder of a run with the small model as an ONNX file and training pictures next to it."""
    from thawline.core.owned import Marker, write_marker
    from thawline.use.exports.write_export import write_export

    run = tmp_path_factory.mktemp("placed") / "run"
    shutil.copytree(placed_source.bundle.directory, run / "model")
    write_marker(run, Marker("run", {}))
    write_export(placed_source, "onnx-tensor", place=run / "exports" / "model-tensor.onnx")
    return run


class Counted:
    """Progress that adds up what it is told, by stage and total."""

    def __init__(self):
        self.totals = Counter()

    def note(self, text):
        """Notes are not counted."""

    @contextmanager
    def stage(self, name, total, *, unit="pictures"):
        def advance(step):
            self.totals[name, total] += step

        yield advance


@pytest.fixture
def counted():
    """Return progress that counts."""
    return Counted()
