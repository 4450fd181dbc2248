"""Which classes are taken for each other, and the pictures across them that are most alike."""

from dataclasses import replace

import numpy as np
import pytest

from thawline.vet.answered import TEST, Answered
from thawline.vet.lookalikes import lookalikes
from thawline.vet.space import Space

SHARES = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]], dtype=np.float32)


def at(*degrees):
    angles = np.deg2rad(degrees)
    return Space(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def answered_by(dataset, shares, labels=None):
    rows = np.arange(len(shares))
    return Answered(dataset, rows, np.asarray(shares, dtype=np.float32), np.full(len(rows), TEST))


def test_both_directions_count_and_the_most_alike_pictures_come_first(tiny_dataset):
    (found,) = lookalikes(answered_by(tiny_dataset, SHARES), at(0, 60, 70, 200))
    assert (found.first, found.second) == ("a", "b")
    assert (found.first_as_second, found.second_as_first, found.num_first, found.num_second) == (1, 1, 2, 2)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a/1.png", "b/2.png"), ("a/0.png", "b/3.png")]
    first = found.pairs[0]
    assert first.alike == pytest.approx(np.cos(np.deg2rad(10)), abs=1e-6)
    assert (first.first_right, first.first_wrong) == pytest.approx((0.2, 0.8))
    assert (first.second_right, first.second_wrong) == pytest.approx((0.7, 0.3))


def test_the_class_more_often_taken_for_the_other_is_named_first(tiny_dataset):
    shares = [[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.2, 0.8]]
    (found,) = lookalikes(answered_by(tiny_dataset, shares), at(0, 60, 70, 200))
    assert (found.first, found.second, found.first_as_second, found.second_as_first) == ("b", "a", 1, 0)
    assert all(pair.first.startswith("b/") for pair in found.pairs)


def test_where_nothing_is_confused_nothing_is_shown(tiny_dataset):
    shares = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]
    assert lookalikes(answered_by(tiny_dataset, shares), at(0, 1, 2, 3)) == ()


def test_a_file_under_two_labels_is_no_pair_and_none_is_shown_twice(tiny_dataset):
    one, two, three, four = tiny_dataset.samples
    copied = replace(tiny_dataset, samples=(one, two, replace(three, sha256=two.sha256), four))
    (found,) = lookalikes(answered_by(copied, SHARES), at(0, 60, 60, 50))
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a/1.png", "b/3.png")]


def test_a_class_that_is_only_predicted_has_no_pictures_to_show(tiny_dataset):
    named = replace(tiny_dataset, class_names=("a", "b", "<script>alert(1)</script>"))
    shares = np.tile(np.array([0.1, 0.2, 0.7], dtype=np.float32), (4, 1))
    found = lookalikes(answered_by(named, shares), at(0, 1, 2, 3))
    assert [(one.first, one.second, one.num_second, one.pairs) for one in found] == [
        ("a", "<script>alert(1)</script>", 0, ()),
        ("b", "<script>alert(1)</script>", 0, ()),
    ]


def test_of_very_many_pictures_those_by_the_border_are_looked_through(tiny_dataset, monkeypatch):
    monkeypatch.setattr("thawline.vet.lookalikes.MOST_PICTURES", 1)
    (found,) = lookalikes(answered_by(tiny_dataset, SHARES), at(0, 60, 70, 200))
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a/1.png", "b/3.png")]
