"""Which pictures are worth a look, and where the model looks on them."""

from collections import Counter
from dataclasses import replace

import numpy as np

from thawline.vet.answered import Answered
from thawline.vet.looks import worth_a_look


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
