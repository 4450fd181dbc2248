"""A model folder on labelled pictures: which of them it answers, under which classes, and which count as leaked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.data.dataset import Dataset, Sample
from thawline.data.images import prepare
from thawline.use.evaluate_model import evaluate_model

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Held:
    """An encoded picture in memory."""

    data: bytes

    def read(self):
        return self.data


def make_dataset(place, pictures, *, labels, splits=None, groups=None, names=("cross", "träne 🦜")):
    samples = tuple(
        Sample(
            f"{row}.jpg",
            labels[row],
            hashlib.sha256(data).hexdigest(),
            splits[row] if splits else None,
            groups[row] if groups else row,
            Held(data),
        )
        for row, data in enumerate(pictures)
    )
    return Dataset(place, names, samples, ())


def trained_on(bundle, *pictures):
    return replace(bundle, training_digests=frozenset(hashlib.sha256(data).hexdigest() for data in pictures))


def test_a_near_copy_of_a_training_picture_is_leaked_though_its_bytes_differ(drawn_model, picture, tmp_path):
    pictures = [picture(seed) for seed in range(50, 54)]
    dataset = make_dataset(tmp_path, pictures, labels=[0, 0, 1, 1], groups=[0, 1, 1, 2])
    result = evaluate_model(trained_on(drawn_model, pictures[1]), dataset)
    assert result.leaked.tolist() == [0, 1, 1, 0]
    assert result.accuracy_without_leaks.n == 2
    assert evaluate_model(trained_on(drawn_model), dataset).leaked.tolist() == [0, 0, 0, 0]


def test_the_test_part_is_answered_alone_and_its_copies_among_the_others_count(drawn_model, picture, tmp_path):
    pictures = [picture(seed) for seed in range(50, 55)]
    dataset = make_dataset(
        tmp_path,
        pictures,
        labels=[0, 1, 0, 1, 1],
        splits=["train", "test", "test", None, "validation"],
        groups=[0, 1, 0, 3, 4],
    )
    result = evaluate_model(trained_on(drawn_model, pictures[0], pictures[4]), dataset)
    assert result.paths == ("1.jpg", "2.jpg")
    assert result.leaked.tolist() == [0, 1]


def test_copies_count_as_one_picture_in_the_interval(drawn_model, picture, tmp_path):
    dataset = make_dataset(tmp_path, [picture(seed) for seed in range(50, 54)], labels=[0, 0, 1, 1])
    copied = replace(dataset, samples=tuple(replace(sample, group=7) for sample in dataset.samples))
    apart, together = (evaluate_model(drawn_model, of).accuracy for of in (dataset, copied))
    assert apart.value == together.value
    assert together.high - together.low > apart.high - apart.low


def test_classes_are_matched_by_name_and_answers_are_those_of_the_model(drawn_model, picture, tmp_path):
    pictures = [picture(seed) for seed in range(50, 53)]
    dataset = make_dataset(tmp_path, pictures, labels=[1, 0, 1])
    result = evaluate_model(drawn_model, dataset)
    pixels = np.stack([prepare(data, drawn_model.classifier.inputs[0]) for data in pictures])
    assert result.class_names == drawn_model.class_names
    assert result.labels.tolist() == [2, 0, 2]
    np.testing.assert_allclose(result.probabilities, drawn_model.classifier.probabilities(pixels), atol=1e-6)
    assert result.strategy == "drawn"


def test_a_class_that_the_model_does_not_know_is_an_error(drawn_model, picture, tmp_path):
    dataset = make_dataset(tmp_path, [picture(50)], labels=[0], names=("cross", "e", "d", "c", "b", "a"))
    match = r"evaluate: a, b, c, d, e: not among the model's classes \(cross, .*Rename the folders"
    with pytest.raises(DataError, match=match):
        evaluate_model(drawn_model, dataset)


def test_progress_counts_the_pictures_that_are_answered(drawn_model, picture, tmp_path, counted):
    dataset = make_dataset(tmp_path, [picture(seed) for seed in range(50, 60)], labels=[0] * 10)
    evaluate_model(drawn_model, dataset, progress=counted)
    assert counted.totals == {("evaluate", 10): 10}
