from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
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


# Scores


def test_scores_by_hand():
    labels, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    confusion = metrics.confusion_matrix(labels, predicted, 3)
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


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_those_of_scikit_learn(seed):
    labels, predicted = some_predictions(np.random.default_rng(seed))
    confusion = metrics.confusion_matrix(labels, predicted, 6)
    assert np.array_equal(confusion, sk.confusion_matrix(labels, predicted, labels=range(6)))
    expected = sk.precision_recall_fscore_support(labels, predicted, labels=range(6), zero_division=0)[:3]
    for mine, theirs in zip(metrics.per_class(confusion), expected, strict=True):
        np.testing.assert_allclose(mine, theirs)
    assert metrics.balanced_accuracy(confusion) == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert metrics.macro_f1(confusion) == pytest.approx(sk.f1_score(labels, predicted, average="macro"))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_equals_that_of_scikit_learn(rng, k):
    labels, probabilities = some_probabilities(rng)
    assert metrics.within_top_k(labels, probabilities, k).mean() == pytest.approx(
        sk.top_k_accuracy_score(labels, probabilities, k=k, labels=range(6))
    )


def test_top_k_gives_nothing_to_a_model_that_cannot_decide():
    labels, flat = np.arange(10), np.full((10, 10), 0.1)
    assert metrics.within_top_k(labels, flat, 5).mean() == 0.5
    assert metrics.within_top_k(labels, flat, 1).mean() == np.mean(flat.argmax(axis=1) == labels) == 0.1
    assert metrics.within_top_k(labels, flat, 99).mean() == 1.0


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])  # confidence 0.9: half are right; confidence 0.6: all are right
    assert metrics.expected_calibration_error(labels, probabilities, bins=10) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


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


# Intervals


@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_that_of_scipy(n, share, confidence):
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(metrics.wilson(successes, n, confidence), expected, atol=1e-12)


def test_wilson_without_a_trial_says_nothing():
    assert metrics.wilson(0, 0) == (0.0, 1.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=60))
def test_an_accuracy_interval_holds_its_mean_and_stays_in_range(rows):
    scores, groups = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    low, high = metrics.accuracy_interval(scores, groups)
    assert 0 <= low <= scores.mean() + 1e-12
    assert scores.mean() - 1e-12 <= high <= 1
    assert low < high


def test_copies_widen_an_accuracy_interval(rng):
    scores = (rng.random(200) < 0.9).astype(float)
    assert metrics.accuracy_interval(scores, np.arange(200)) == metrics.wilson(scores.sum(), 200)
    copied = metrics.accuracy_interval(np.repeat(scores, 5), np.repeat(np.arange(200), 5))
    np.testing.assert_allclose(copied, metrics.wilson(scores.sum(), 200))


def test_an_accuracy_interval_stays_open_when_every_picture_is_right():
    low, high = metrics.accuracy_interval(np.ones(100), np.arange(100))
    assert (round(low, 3), high) == (0.963, 1.0)


@given(st.permutations(range(12)))
def test_the_names_of_groups_do_not_matter_to_an_accuracy_interval(names):
    scores, groups = np.linspace(0, 1, 36), np.repeat(np.arange(12), 3)
    renamed = np.array(names)[groups] * 1000 - 5
    assert metrics.accuracy_interval(scores, renamed) == metrics.accuracy_interval(scores, groups)


def test_the_bootstrap_agrees_with_scipy_where_no_picture_has_a_copy(rng):
    scores = rng.random((300, 2))
    low, high = metrics.group_bootstrap(scores, np.arange(300), num_resamples=4000)
    expected = stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    np.testing.assert_allclose(low, expected.low, atol=0.004)
    np.testing.assert_allclose(high, expected.high, atol=0.004)


def test_the_bootstrap_keeps_copies_together(rng):
    scores = (rng.random(100) < 0.8).astype(float)
    alone = np.subtract(*metrics.group_bootstrap(scores, np.arange(100)))
    copied = np.subtract(*metrics.group_bootstrap(np.repeat(scores, 9), np.repeat(np.arange(100), 9)))
    np.testing.assert_allclose(copied, alone, atol=1e-12)


def test_the_bootstrap_is_seeded_and_columns_share_their_resamples(rng):
    scores, groups = rng.random((50, 3)), np.repeat(np.arange(25), 2)
    first = metrics.group_bootstrap(scores, groups, seed=3)
    again = metrics.group_bootstrap(scores, groups, seed=3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, metrics.group_bootstrap(scores, groups, seed=4))
    one = metrics.group_bootstrap(scores[:, 1], groups, seed=3)
    assert one[0].shape == ()
    np.testing.assert_allclose([one[0], one[1]], [first[0][1], first[1][1]])


def test_chunks_do_not_change_the_answer(rng, monkeypatch):
    scores, groups = rng.normal(size=(40, 2)), np.arange(40)
    whole = metrics.group_bootstrap(scores, groups), metrics.paired_sign_flip(scores, groups)
    monkeypatch.setattr(metrics, "_CHUNK_ENTRIES", 40 * 7)
    pieces = metrics.group_bootstrap(scores, groups), metrics.paired_sign_flip(scores, groups)
    np.testing.assert_allclose(pieces[0], whole[0])
    np.testing.assert_allclose(pieces[1], whole[1])


def test_a_bootstrapped_balanced_accuracy_agrees_with_scipy(rng):
    labels, predicted = some_predictions(rng, n=300, k=3)

    def score(rows):
        return metrics.balanced_accuracy(metrics.confusion_matrix(labels[rows], predicted[rows], 3))

    mine = metrics.confusion_bootstrap(labels, predicted, np.arange(300), 3, metrics.balanced_accuracy)
    theirs = stats.bootstrap((np.arange(300),), score, vectorized=False, method="percentile", n_resamples=2000, rng=2)
    np.testing.assert_allclose(mine, theirs.confidence_interval, atol=0.01)


def test_a_bootstrap_of_accuracy_is_the_same_by_either_function(rng):
    labels, predicted = some_predictions(rng, n=120, k=4)
    groups = rng.integers(0, 50, 120)
    by_matrix = metrics.confusion_bootstrap(labels, predicted, groups, 4, lambda c: float(np.trace(c) / c.sum()))
    np.testing.assert_allclose(by_matrix, metrics.group_bootstrap(labels == predicted, groups))


def test_a_bootstrap_that_collapses_gives_way_to_wilson():
    labels = np.repeat(np.arange(4), 25)
    low, high = metrics.confusion_bootstrap(labels, labels, np.arange(100), 4, metrics.macro_f1)
    np.testing.assert_allclose((low, high), metrics.wilson(100, 100))


# The paired test


def test_equal_strategies_have_p_one():
    differences = np.zeros((30, 2))
    assert metrics.paired_sign_flip(differences, np.arange(30)).tolist() == [1.0, 1.0]
    assert float(metrics.paired_sign_flip(differences[:, 0], np.arange(30))) == 1.0


def test_a_clear_difference_has_the_smallest_p():
    assert float(metrics.paired_sign_flip(np.ones(40), np.arange(40))) == pytest.approx(1 / 2001)


@pytest.mark.parametrize(("wins", "losses"), [(12, 3), (9, 6), (8, 7), (5, 0)])
def test_the_sign_flip_test_agrees_with_the_exact_mcnemar_test(wins, losses):
    differences = np.concatenate([np.ones(wins), -np.ones(losses), np.zeros(50)])
    exact = stats.binomtest(wins, wins + losses).pvalue
    found = metrics.paired_sign_flip(differences, np.arange(len(differences)), num_resamples=20_000)
    assert float(found) == pytest.approx(exact, abs=0.012)


def test_the_sign_flip_test_agrees_with_scipy(rng):
    differences = rng.normal(0.2, 1, 60)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=20_000, rng=3
    ).pvalue
    found = metrics.paired_sign_flip(differences, np.arange(60), num_resamples=20_000)
    assert float(found) == pytest.approx(expected, abs=0.012)


def test_copies_are_no_evidence(rng):
    differences = np.array([1.0, 1.0, -1.0, 1.0])
    alone = metrics.paired_sign_flip(differences, np.arange(4))
    copied = metrics.paired_sign_flip(np.repeat(differences, 50), np.repeat(np.arange(4), 50))
    assert float(alone) == float(copied) > 0.3


@given(st.integers(0, 1000))
def test_the_sign_of_a_difference_does_not_matter(seed):
    differences = np.random.default_rng(seed).choice([-1, -0.5, 0, 0.5, 1], 25)
    groups = np.arange(25) // 2
    forth = metrics.paired_sign_flip(differences, groups, num_resamples=200)
    back = metrics.paired_sign_flip(-differences, groups, num_resamples=200)
    assert 0 < float(forth) == float(back) <= 1


def test_the_paired_test_rejects_as_often_as_it_says(rng):
    differences = rng.choice([-1.0, 0.0, 0.0, 0.0, 1.0], (200, 1500))
    p_values = metrics.paired_sign_flip(differences, np.arange(200))
    assert 0.03 < np.mean(p_values < 0.05) < 0.065


# Errors


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="metrics: labels has 3, predicted has 2; they must have one entry a picture"):
        metrics.confusion_matrix(np.arange(3), np.arange(2), 3)


def test_no_picture_is_refused():
    with pytest.raises(ValueError, match="for at least one picture"):
        metrics.group_bootstrap(np.zeros(0), np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="counts no picture"):
        metrics.macro_f1(np.zeros((3, 3), dtype=np.int64))


def test_a_class_out_of_range_is_refused():
    with pytest.raises(ValueError, match="classes 0 to 3 found, 0 to 2 required"):
        metrics.confusion_matrix(np.array([0, 3]), np.array([0, 1]), 3)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="5 successes of 4 trials"):
        metrics.wilson(5, 4)
    with pytest.raises(ValueError, match="k is 0"):
        metrics.within_top_k(np.array([0]), np.ones((1, 2)), 0)
