"""Which pictures are worth a look, and where the model looks on them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.features.network import Network, load_backbone
from thawline.heads.nearest import fit_class_mean
from thawline.use.classifier import Classifier
from thawline.vet.answered import Answered
from thawline.vet.looks import looks_of, worth_a_look


def answered_with(dataset, confidence, *, predicted, labels, groups=None):
    """Return answers of two classes with these confidences."""
    groups = range(len(labels)) if groups is None else groups
    samples = tuple(
        replace(dataset.samples[0], path=f"{number}.png", label=label, group=group)
        for number, (label, group) in enumerate(zip(labels, groups, strict=True))
    )
    shares = np.empty((len(labels), 2), dtype=np.float32)
    for place, (share, said) in enumerate(zip(confidence, predicted, strict=True)):
        shares[place, said], shares[place, 1 - said] = share, 1 - share
    rows = np.arange(len(labels))
    return Answered(replace(dataset, samples=samples), rows, shares, np.zeros(len(labels), dtype=np.int64))


def test_the_surest_and_the_least_sure_are_shown(tiny_dataset):
    confidence = [0.99, 0.9, 0.55, 0.95, 0.7]
    answered = answered_with(tiny_dataset, confidence, predicted=[0, 0, 0, 1, 1], labels=[0, 0, 0, 0, 1])
    assert worth_a_look(answered) == ((3, "surest wrong"), *((place, "least sure") for place in (2, 4, 1, 0)))


def test_each_kind_has_eight_and_no_picture_stands_twice(tiny_dataset):
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 2, 100).tolist(), rng.integers(0, 2, 100).tolist()
    answered = answered_with(tiny_dataset, rng.uniform(0.5, 1, 100), predicted=predicted, labels=labels)
    found = worth_a_look(answered)
    assert Counter(kind for _, kind in found) == {"surest right": 8, "surest wrong": 8, "least sure": 8}
    assert len({place for place, _ in found}) == 24
    surest = [answered.confidence[place] for place, kind in found if kind == "surest wrong"]
    assert surest == sorted(answered.confidence[~answered.is_right], reverse=True)[:8]
    right = [place for place, kind in found if kind == "surest right"]
    assert Counter(answered.labels[right].tolist()) == {0: 4, 1: 4}  # the classes in turn


def test_of_copies_one_is_shown(tiny_dataset):
    answered = answered_with(tiny_dataset, [0.9, 0.9, 0.8], predicted=[1, 1, 1], labels=[0, 0, 0], groups=[5, 5, 6])
    assert worth_a_look(answered) == ((0, "surest wrong"), (2, "surest wrong"))


def test_ties_stand_in_the_order_of_the_data_set(tiny_dataset):
    answered = answered_with(tiny_dataset, [1.0] * 30, predicted=[0] * 30, labels=[1] * 30)
    assert [place for place, kind in worth_a_look(answered) if kind == "surest wrong"] == list(range(8))


def test_without_an_answer_there_is_nothing_to_look_at(tiny_dataset):
    assert worth_a_look(answered_with(tiny_dataset, [], predicted=[], labels=[])) == ()


@pytest.fixture
def spotted(tmp_path):
    """Twelve grey pictures, twice as wide as high: half of them with a white spot at the lower right of the middle."""
    for number in range(12):
        pixels = np.full((112, 224, 3), 60 + number, dtype=np.uint8)
        kind = "none" if number % 2 else "spot"
        if kind == "spot":
            pixels[70:90, 126:146] = 250
        (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / kind / f"{number:02}.png")
    return check(tmp_path)[0]


def model_of(dataset):
    network = load_backbone("simple_cnn", pretrained=False, size_px=112)
    last = len(network.backbone.cuts) - 1
    blocks = tuple((cut, pooling) for cut in (last - 1, last) for pooling in ("mean", "std"))
    kept = {"blocks": blocks, "storage": "float32", "temperature": 1.0}
    model = Classifier([network], Runtime("cpu", "float32", 4), head=None, class_names=dataset.class_names, **kept)
    pictures = np.stack([np.asarray(Image.open(path(dataset, row)).crop((56, 0, 168, 112))) for row in range(12)])
    model.head = fit_class_mean(model.reader.read(pictures), dataset.labels, num_classes=2)
    return model


def path(dataset, row):
    return dataset.samples[row].source.path


def answers_of(dataset):
    """Return answers of which the first is a sure mistake."""
    shares = np.full((12, 2), 0.1, dtype=np.float32)
    shares[np.arange(12), dataset.labels] = 0.9
    shares[0] = shares[0, ::-1]
    return Answered(dataset, np.arange(12), shares, np.zeros(12, dtype=np.int64))


def test_each_picture_has_a_map_for_the_class_that_was_said(spotted):
    looks = looks_of(answers_of(spotted), model_of(spotted))
    assert looks.absent == ""
    assert len({look.path for look in looks.pictures}) == len(looks.pictures)
    (wrong,) = (look for look in looks.pictures if look.kind == "surest wrong")
    assert (wrong.path, wrong.label, wrong.predicted) == ("none/01.png", 0, 1)
    assert wrong.probability == pytest.approx(0.9)
    for look in looks.pictures:
        rows = np.array(look.rows)
        assert rows.shape == (14, 14)
        assert rows.min() >= 0
        assert rows.max() in {0, 255}
        assert look.box == (0.25, 0.0, 0.75, 1.0)
    spot = next(look for look in looks.pictures if look.path.startswith("spot"))
    y, x = np.unravel_index(np.array(spot.rows).argmax(), (14, 14))
    assert (y, x) == (pytest.approx(10.0, abs=2.5), pytest.approx(10.0, abs=2.5))


def test_a_picture_that_is_gone_is_left_out(spotted):
    model, gone = model_of(spotted), spotted.samples[0]
    gone.source.path.unlink()
    looks = looks_of(answers_of(spotted), model)
    assert looks.pictures
    assert gone.path not in {look.path for look in looks.pictures}
    for sample in spotted.samples[1:]:
        sample.source.path.write_bytes(b"another picture")
    assert looks_of(answers_of(spotted), model).absent == "No picture was answered that could be looked at."


def test_a_model_without_a_map_says_why(spotted):
    network = load_backbone("vit_tiny_patch16_224", pretrained=False, size_px=64)
    only_read = Network(replace(network.backbone, has_suffix=False), network.model)
    kept = {"blocks": ((len(network.backbone.cuts) - 1, "token"),), "storage": "float32", "temperature": 1.0}
    model = Classifier([only_read], Runtime("cpu", "float32", 4), head=None, class_names=("a", "b"), **kept)
    looks = looks_of(answers_of(spotted), model)
    assert looks.pictures == ()
    assert looks.absent.startswith("vit_tiny_patch16_224 pools its last activation")
