from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from thawline.core import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def some_predictions(rng, n=400, k=6, right=0.7):
    labels = rng.integers(0, k, n)
    predicted = np.where(rng.random(n) < right, labels, rng.integers(0, k, n))
    return labels, predicted


def some_probabilities(rng, n=400, k=6):
    logits = rng.normal(size=(n, k)) * 2
    probabilities = np.exp(logits)
    return rng.integers(0, k, n), probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_by_hand():
    labels, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    confusion = metrics.confusion_matrix(labels, predicted, num_classes=3)
    assert confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert confusion.dtype == np.int64
    precision, recall, f1 = metrics.per_class(confusion)
    assert precision.tolist() == [0.75, 0.5, 0.0]
    assert recall.tolist() == [0.75, 0.5, 0.0]
    assert f1.tolist() == [0.75, 0.5, 0.0]
    assert metrics.balanced_accuracy(confusion) == pytest.approx(0.625)
    assert metrics.macro_f1(confusion) == pytest.approx(0.625)


def test_a_class_that_is_predicted_but_absent_does_not_enter_the_mean():
    confusion = np.array([[3, 1], [0, 0]])
    assert metrics.balanced_accuracy(confusion) == 0.75
    assert metrics.macro_f1(confusion) == pytest.approx(2 * 3 / (4 + 3))


def test_a_class_with_one_picture_and_one_call_has_whole_scores():
    confusion = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 0]])
    precision, recall, f1 = metrics.per_class(confusion)
    assert (precision.tolist(), recall.tolist()) == ([0.5, 1.0, 0.0], [1.0, 2 / 3, 0.0])
    np.testing.assert_allclose(f1, [2 / 3, 0.8, 0.0])
    assert metrics.per_class(np.array([[1]]))[0].tolist() == [1.0]
    np.testing.assert_allclose(metrics.class_means(confusion), [0.75, 5 / 6, 11 / 15])


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_those_of_scikit_learn(seed):
    labels, predicted = some_predictions(np.random.default_rng(seed))
    confusion = metrics.confusion_matrix(labels, predicted, num_classes=6)
    assert np.array_equal(confusion, sk.confusion_matrix(labels, predicted, labels=range(6)))
    expected = sk.precision_recall_fscore_support(labels, predicted, labels=range(6), zero_division=0)[:3]
    for mine, theirs in zip(metrics.per_class(confusion), expected, strict=True):
        np.testing.assert_allclose(mine, theirs)
    assert metrics.balanced_accuracy(confusion) == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert metrics.macro_f1(confusion) == pytest.approx(sk.f1_score(labels, predicted, average="macro"))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_equals_that_of_scikit_learn(rng, k):
    labels, probabilities = some_probabilities(rng)
    assert metrics.within_top_k(labels, probabilities, k=k).mean() == pytest.approx(
        sk.top_k_accuracy_score(labels, probabilities, k=k, labels=range(6))
    )


def test_top_k_gives_nothing_to_a_model_that_cannot_decide():
    labels, flat = np.arange(10), np.full((10, 10), 0.1)
    assert metrics.within_top_k(labels, flat, k=5).mean() == 0.5
    assert metrics.within_top_k(labels, flat, k=1).mean() == np.mean(flat.argmax(axis=1) == labels) == 0.1
    assert metrics.within_top_k(labels, flat, k=99).mean() == 1.0


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])  # confidence 0.9: half are right; confidence 0.6: all are right
    assert metrics.expected_calibration_error(labels, probabilities, bins=10) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_a_bin_is_closed_on_the_right_and_the_lowest_is_one_of_its_own():
    probabilities, labels = np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([0, 1])
    assert metrics.expected_calibration_error(labels, probabilities, bins=2) == pytest.approx((0.5 + 0.9) / 2)
    assert metrics.expected_calibration_error(labels, probabilities, bins=1) == pytest.approx((0.9 - 0.5) / 2)


def test_fifteen_bins_and_200_draws_are_the_default(rng):
    labels, probabilities = some_probabilities(rng)
    error = metrics.expected_calibration_error(labels, probabilities)
    assert error == metrics.expected_calibration_error(labels, probabilities, bins=15)
    by_chance = metrics.calibration_error_by_chance(probabilities)
    assert by_chance == metrics.calibration_error_by_chance(probabilities, bins=15, num_draws=200, seed=0)


def test_calibration_error_of_a_calibrated_model_is_small(rng):
    _, probabilities = some_probabilities(rng, n=20_000)
    labels = (probabilities.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(0, 5)
    assert metrics.expected_calibration_error(labels, probabilities) < 0.02
    certain = np.eye(6)[labels]
    assert metrics.expected_calibration_error(labels, certain) == 0


def test_the_calibration_error_by_chance_is_what_calibrated_answers_show_on_average(rng):
    for n in (20, 500):
        _, probabilities = some_probabilities(rng, n=n)
        shown = [
            metrics.expected_calibration_error(
                (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 5), probabilities
            )
            for _ in range(400)
        ]
        by_chance = metrics.calibration_error_by_chance(probabilities)
        assert by_chance == pytest.approx(np.mean(shown), rel=0.1)
        assert by_chance == metrics.calibration_error_by_chance(probabilities)
    assert metrics.calibration_error_by_chance(np.eye(6)) == 0


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="metrics: labels has 3, predicted has 2; they must have one entry a picture"):
        metrics.confusion_matrix(np.arange(3), np.arange(2), num_classes=3)


def test_no_picture_is_refused():
    with pytest.raises(ValueError, match="for at least one picture"):
        metrics.confusion_matrix(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), num_classes=3)
    with pytest.raises(ValueError, match="counts no picture"):
        metrics.macro_f1(np.zeros((3, 3), dtype=np.int64))


@pytest.mark.parametrize(
    ("labels", "predicted", "found"),
    [
        ([0, 3], [0, 1], "0 to 3"),
        ([0, 1], [1, 3], "0 to 3"),
        ([0, 1], [-1, 2], "-1 to 2"),
        ([-1, 2], [0, 1], "-1 to 2"),
    ],
)
def test_a_class_out_of_range_is_refused(labels, predicted, found):
    with pytest.raises(ValueError, match=f"classes {found} found, 0 to 2 required"):
        metrics.confusion_matrix(np.array(labels), np.array(predicted), num_classes=3)


def test_an_impossible_k_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        metrics.within_top_k(np.array([0]), np.ones((1, 2)), k=0)


def test_bins_say_how_sure_and_how_right_each_picture_is():
    index, sure, right = metrics.gaps_by_bin(np.array([0, 0, 1]), np.array([[0.5, 0.5], [0.1, 0.9], [0.0, 1.0]]))
    assert (index.tolist(), sure.tolist(), right.tolist()) == ([7, 13, 14], [0.5, 0.9, 1.0], [1, 0, 1])


def test_a_probability_of_zero_costs_what_float32_can_tell():
    losses, briers = metrics.own_losses(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32))
    assert losses == pytest.approx([-np.log(metrics.SMALLEST_PROBABILITY), 0])
    assert briers == pytest.approx([2, 0])


def test_places_of_truth_put_the_first_of_equal_classes_first():
    assert metrics.places_of_truth(np.array([0, 1, 2]), np.full((3, 3), 1 / 3)).tolist() == [0, 1, 2]
