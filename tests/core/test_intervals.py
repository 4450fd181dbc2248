from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thawline.core import intervals, metrics


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def some_predictions(rng, n, k):
    labels = rng.integers(0, k, n)
    return labels, np.where(rng.random(n) < 0.7, labels, rng.integers(0, k, n))


@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_that_of_scipy(n, share, confidence):
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(intervals.wilson(successes, n, confidence=confidence), expected, atol=1e-12)


def test_wilson_without_a_trial_says_nothing():
    assert intervals.wilson(0, 0) == (0.0, 1.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=60))
def test_an_accuracy_interval_holds_its_mean_and_stays_in_range(rows):
    scores, groups = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    low, high = intervals.accuracy_interval(scores, groups)
    assert 0 <= low <= scores.mean() + 1e-12
    assert scores.mean() - 1e-12 <= high <= 1
    assert low < high


def test_copies_widen_an_accuracy_interval(rng):
    scores = (rng.random(200) < 0.9).astype(float)
    assert intervals.accuracy_interval(scores, np.arange(200)) == intervals.wilson(scores.sum(), 200)
    copied = intervals.accuracy_interval(np.repeat(scores, 5), np.repeat(np.arange(200), 5))
    np.testing.assert_allclose(copied, intervals.wilson(scores.sum(), 200))


def test_an_accuracy_interval_stays_open_when_every_picture_is_right():
    low, high = intervals.accuracy_interval(np.ones(100), np.arange(100))
    assert (round(low, 3), high) == (0.963, 1.0)


@given(st.permutations(range(12)))
def test_the_names_of_groups_do_not_matter_to_an_accuracy_interval(names):
    scores, groups = np.linspace(0, 1, 36), np.repeat(np.arange(12), 3)
    renamed = np.array(names)[groups] * 1000 - 5
    assert intervals.accuracy_interval(scores, renamed) == intervals.accuracy_interval(scores, groups)


def test_the_default_is_2000_resamples_of_seed_0(rng):
    scores, groups = rng.normal(size=(40, 2)), np.arange(40) // 2
    found = intervals.paired_sign_flip(scores, groups)
    assert np.array_equal(found, intervals.paired_sign_flip(scores, groups, num_resamples=2000, seed=0))


def test_chunks_do_not_change_the_answer(rng, monkeypatch):
    scores, groups = rng.normal(size=(40, 2)), np.arange(40)
    whole = intervals.paired_sign_flip(scores, groups)
    monkeypatch.setattr(intervals, "_CHUNK_ENTRIES", 40 * 7)
    np.testing.assert_allclose(intervals.paired_sign_flip(scores, groups), whole)


def test_intervals_of_class_means_agree_with_a_bootstrap_where_pictures_are_many(rng):
    labels, predicted = some_predictions(rng, n=300, k=3)

    def score(rows):
        return metrics.class_means(metrics.confusion_matrix(labels[rows], predicted[rows], num_classes=3))

    means, low, high = intervals.class_mean_intervals(labels, predicted, groups=np.arange(300), num_classes=3)
    drawn = np.array([score(rng.integers(0, 300, 300)) for _ in range(1500)])
    np.testing.assert_allclose(means, score(np.arange(300)))
    np.testing.assert_allclose((high - low) / (4 * drawn.std(axis=0)), 0.98, atol=0.06)


def test_an_interval_of_class_means_stays_open_when_every_picture_is_right():
    labels = np.repeat(np.arange(4), 25)
    means, low, high = intervals.class_mean_intervals(labels, labels, groups=np.arange(100), num_classes=4)
    np.testing.assert_allclose(means, 1)
    np.testing.assert_allclose((low, high), np.transpose([intervals.wilson(100, 100)] * 3))


def test_a_rare_class_counts_by_its_few_pictures():
    labels = np.repeat([0, 1], [95, 5])
    _, low, _ = intervals.class_mean_intervals(labels, labels, groups=np.arange(100), num_classes=2)
    assert low[1] == pytest.approx(intervals.wilson(19, 19)[0])  # 4 / (1/95 + 1/5)


def test_copies_count_once_in_class_means(rng):
    labels, predicted = some_predictions(rng, n=80, k=3)
    alone = intervals.class_mean_intervals(labels, predicted, groups=np.arange(80), num_classes=3)
    copied = (np.repeat(rows, 4) for rows in (labels, predicted, np.arange(80)))
    labels, predicted, groups = copied
    found = intervals.class_mean_intervals(labels, predicted, groups=groups, num_classes=3)
    np.testing.assert_allclose(found, alone, atol=0.01)


@pytest.mark.parametrize("sizes", [(20, 20, 20), (40, 15, 5)])
def test_intervals_of_class_means_hold_the_truth_as_often_as_they_say(rng, sizes):
    shares = np.array(sizes) / sum(sizes)
    given = np.array([[0.8, 0.1, 0.1], [0.1, 0.9, 0.0], [0.3, 0.1, 0.6]])
    truth = metrics.class_means((given * shares[:, None] * 10**6).round().astype(np.int64))
    inside, widths, found = np.zeros(3), np.zeros(3), []
    for _ in range(600):
        labels = rng.choice(3, sum(sizes), p=shares)
        predicted = (rng.random((len(labels), 1)) > given.cumsum(axis=1)[labels]).sum(axis=1)
        means, low, high = intervals.class_mean_intervals(labels, predicted, groups=np.arange(60), num_classes=3)
        inside += (low <= truth) & (truth <= high)
        widths += high - low
        found.append(means)
    assert (inside / 600 > 0.915).all()
    assert (widths / 600 < 1.2 * 3.92 * np.std(found, axis=0)).all()


def test_equal_strategies_have_p_one():
    differences = np.zeros((30, 2))
    assert intervals.paired_sign_flip(differences, np.arange(30)).tolist() == [1.0, 1.0]
    assert float(intervals.paired_sign_flip(differences[:, 0], np.arange(30))) == 1.0


def test_a_clear_difference_has_the_smallest_p():
    assert float(intervals.paired_sign_flip(np.ones(40), np.arange(40))) == pytest.approx(1 / 2001)


@pytest.mark.parametrize(("wins", "losses"), [(12, 3), (9, 6), (8, 7), (5, 0)])
def test_the_sign_flip_test_agrees_with_the_exact_mcnemar_test(wins, losses):
    differences = np.concatenate([np.ones(wins), -np.ones(losses), np.zeros(50)])
    exact = stats.binomtest(wins, wins + losses).pvalue
    found = intervals.paired_sign_flip(differences, np.arange(len(differences)), num_resamples=20_000)
    assert float(found) == pytest.approx(exact, abs=0.012)


def test_the_sign_flip_test_agrees_with_scipy(rng):
    differences = rng.normal(0.2, 1, 60)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=20_000, rng=3
    ).pvalue
    found = intervals.paired_sign_flip(differences, np.arange(60), num_resamples=20_000)
    assert float(found) == pytest.approx(expected, abs=0.012)


def test_copies_are_no_evidence(rng):
    differences = np.array([1.0, 1.0, -1.0, 1.0])
    alone = intervals.paired_sign_flip(differences, np.arange(4))
    copied = intervals.paired_sign_flip(np.repeat(differences, 50), np.repeat(np.arange(4), 50))
    assert float(alone) == float(copied) > 0.3


@given(st.integers(0, 1000))
def test_the_sign_of_a_difference_does_not_matter(seed):
    differences = np.random.default_rng(seed).choice([-1, -0.5, 0, 0.5, 1], 25)
    groups = np.arange(25) // 2
    forth = intervals.paired_sign_flip(differences, groups, num_resamples=200)
    back = intervals.paired_sign_flip(-differences, groups, num_resamples=200)
    assert 0 < float(forth) == float(back) <= 1


def test_the_paired_test_rejects_as_often_as_it_says(rng):
    differences = rng.choice([-1.0, 0.0, 0.0, 0.0, 1.0], (200, 1500))
    p_values = intervals.paired_sign_flip(differences, np.arange(200))
    assert 0.03 < np.mean(p_values < 0.05) < 0.065


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="5 successes of 4 trials"):
        intervals.wilson(5, 4)


def test_no_picture_is_refused():
    with pytest.raises(ValueError, match="for at least one picture"):
        intervals.accuracy_interval(np.zeros(0), np.zeros(0, dtype=np.int64))


def test_the_interval_of_a_mean_of_hits_is_about_that_of_their_share(rng):
    hits = (rng.random(400) < 0.8).astype(float)
    found = intervals.mean_interval(hits, np.arange(400))
    np.testing.assert_allclose(found, intervals.accuracy_interval(hits, np.arange(400)), atol=2e-3)
    np.testing.assert_allclose(intervals.mean_interval(3 * hits, np.arange(400), most=3), 3 * np.array(found))


def test_copies_widen_the_interval_of_a_mean_and_of_influences(rng):
    values, labels = rng.random(60), np.arange(60) % 3
    for find in (
        intervals.mean_interval,
        lambda values, groups: intervals.influence_interval(
            0.5, (values - values.mean()) / len(values), labels=np.resize(labels, len(values)), groups=groups
        ),
    ):
        once, copied = find(values, np.arange(60)), find(np.tile(values, 4), np.tile(np.arange(60), 4))
        np.testing.assert_allclose(copied, once, rtol=1e-9)


def test_one_group_says_next_to_nothing():
    assert intervals.mean_interval(np.full(5, 0.3), np.zeros(5, int)) == pytest.approx(intervals.wilson(0.3, 1))
