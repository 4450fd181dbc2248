"""The rows of choosing: what the metric is, how classes are weighted, and which fold holds a row out."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.split import Split
from thawline.search.frozen import CompareOptions, class_row_weights, imbalance, rows_of


def labelled(labels):
    samples = (Sample(str(row), int(label), f"{row:064x}", None, row, None) for row, label in enumerate(labels))
    return Dataset(None, tuple("abc"[: max(labels) + 1]), tuple(samples), ())


def halves(count, *, test=()):
    """Return two folds in which each half of the other rows is held out once."""
    pool = np.setdiff1d(np.arange(count), np.array(test, dtype=np.int64))
    even, odd = pool[::2], pool[1::2]
    return Split(((odd, even), (even, odd)), np.array(test, dtype=np.int64), 0, 2, 1, "2 folds")


def rows_with(sizes, **options):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return rows_of(labelled(labels), halves(len(labels)), options=CompareOptions(**options))


@pytest.mark.parametrize(
    ("sizes", "metric"),
    [
        ((30, 10), "balanced_accuracy"),
        ((29, 10), "accuracy"),
        ((10, 20, 31), "balanced_accuracy"),
        ((10, 20, 29), "accuracy"),
        ((39, 10), "balanced_accuracy"),
    ],
)
def test_classes_are_balanced_from_three_times_the_smallest_on(sizes, metric):
    rows, chosen, is_balanced = rows_with(sizes)
    assert chosen == metric
    assert is_balanced == (metric == "balanced_accuracy") == (rows.adjusts == 1)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_a_metric_that_is_asked_for_stays(metric):
    for sizes in ((30, 10), (10, 10)):
        assert rows_with(sizes, metric=metric)[1:] == (metric, metric == "balanced_accuracy")


@pytest.mark.parametrize(
    ("sizes", "metric", "class_weights", "adjusts"),
    [
        ((30, 10), "auto", "auto", 1.0),
        ((30, 10), "accuracy", "auto", 0.5),
        ((29, 10), "accuracy", "auto", 0.0),
        ((29, 10), "balanced_accuracy", "auto", 1.0),
        ((29, 10), "accuracy", "adjusted", 0.5),
        ((30, 10), "auto", "balanced", 0.0),
        ((30, 10), "auto", "none", 0.0),
    ],
)
def test_linear_heads_are_adjusted_as_the_metric_asks(sizes, metric, class_weights, adjusts):
    rows, _, _ = rows_with(sizes, metric=metric, class_weights=class_weights)
    assert rows.adjusts == adjusts
    assert (rows.shifts is None) == (adjusts == 0)
    if adjusts:
        assert set(rows.train.ravel().tolist()) == {0.0, 1.0}  # every picture counts the same in training
        large, small = np.exp(-rows.shifts[0] / adjusts)
        assert large / small == pytest.approx(sizes[0] / sizes[1], rel=0.11)


def test_the_weights_of_training_and_of_scoring_are_asked_for_apart():
    rows, metric, is_balanced = rows_with((30, 10), class_weights="none")
    assert (metric, is_balanced) == ("balanced_accuracy", False)
    assert set(rows.train.ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(rows.scored_weight, np.repeat([40 / 60, 40 / 20], (30, 10)))
    rows, metric, is_balanced = rows_with((20, 20), class_weights="balanced")
    assert (metric, is_balanced) == ("accuracy", True)
    assert (rows.weight == 1).all()


def test_a_fold_trains_on_what_it_does_not_hold_out():
    dataset = labelled(np.arange(12) % 2)
    rows, _, _ = rows_of(dataset, halves(12, test=[3, 7]), options=CompareOptions())
    assert rows.samples.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert rows.labels.tolist() == (rows.samples % 2).tolist()
    for fold, held_out in enumerate(rows.held_out):
        assert np.flatnonzero(rows.train[:, fold] == 0).tolist() == held_out.tolist()
    assert rows.scored.tolist() == list(range(10))
    assert rows.repeat.tolist() == [0, 0]


def test_every_class_has_the_same_weight_in_the_training_of_a_fold():
    rows, _, _ = rows_with((30, 10), class_weights="balanced")
    for fold in range(2):
        totals = np.bincount(rows.labels, weights=rows.train[:, fold])
        np.testing.assert_allclose(totals, 10, rtol=1e-6)  # of 20 rows
    np.testing.assert_allclose(class_row_weights(np.array([0, 0, 0, 2])), [2 / 3, 2 / 3, 2 / 3, 2])
    assert imbalance(np.array([0, 0, 0, 2])) == 3
    assert imbalance(np.array([0, 0, 0, 0, 2, 2])) == 2  # a class without pictures does not count
