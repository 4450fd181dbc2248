"""The one list of scores: what an entry says, and which scores apply to which answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from thawline.core.scores import SCORES, Score, ScoreInput, compute_scores

UNEVEN = np.array([[6, 2, 1], [0, 1, 1], [3, 0, 16]])  # accuracy, precision, recall and F1 all differ


def given_of(confusion, *, leaked=0):
    """Return answers with this confusion matrix, the first `leaked` of the pictures leaked."""
    labels, predicted = np.repeat(np.indices(confusion.shape).reshape(2, -1), confusion.ravel(), axis=1)
    return ScoreInput(
        labels, np.eye(len(confusion))[predicted], np.arange(len(labels)), (np.arange(len(labels)) < leaked).astype(int)
    )


def test_an_entry_has_a_name_a_title_and_a_meaning_of_its_own():
    for words in zip(*((kind.name, kind.title, kind.meaning) for kind in SCORES), strict=True):
        assert len(set(words)) == len(SCORES)
    assert all(kind.name.isidentifier() and kind.meaning.endswith(".") for kind in SCORES)
    assert all(kind.explanation == f"{kind.meaning} Higher is better." for kind in SCORES)


def test_every_score_is_the_one_that_its_name_says():
    given = given_of(UNEVEN, leaked=5)
    labels, predicted = given.labels, given.predicted
    expected = {
        "accuracy": 23 / 30,
        "accuracy_without_leaks": sk.accuracy_score(labels[5:], predicted[5:]),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_precision": sk.precision_score(labels, predicted, average="macro"),
        "macro_recall": sk.recall_score(labels, predicted, average="macro"),
        "macro_f1": sk.f1_score(labels, predicted, average="macro"),
    }
    scores = compute_scores(given)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(expected)
    assert len({round(score.value, 6) for score in scores.values()}) == len(expected) - 1  # the recall twice
    for score in scores.values():
        assert 0 <= score.low < score.value < score.high <= 1
    assert [score.n for score in scores.values()] == [30, 25, 30, 30, 30, 30]


@pytest.mark.parametrize(("num_classes", "applies"), [(5, False), (6, True)])
def test_top_5_applies_to_more_than_five_classes(num_classes, applies):
    assert ("top5" in compute_scores(given_of(np.eye(num_classes, dtype=int)))) is applies


def test_top_5_counts_the_five_most_probable():
    shares = np.tile(np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.06, 0.04]), (7, 1))
    score = compute_scores(ScoreInput(np.arange(7), shares, np.arange(7), np.zeros(7, int)))["top5"]
    assert (score.value, score.n) == (pytest.approx(5 / 7), 7)


@pytest.mark.parametrize(("leaked", "n"), [(0, None), (1, 29), (29, 1), (30, None)])
def test_the_accuracy_without_leaks_applies_where_some_pictures_are_leaked(leaked, n):
    score = compute_scores(given_of(UNEVEN, leaked=leaked)).get("accuracy_without_leaks")
    assert (score and score.n) == n


def test_copies_count_as_one_picture_in_every_interval():
    given = given_of(UNEVEN)
    copied = ScoreInput(*(np.repeat(rows, 3, axis=0) for rows in (given.labels, given.probabilities, given.groups)),
                        np.zeros(90, int))  # fmt: skip
    for name, score in compute_scores(given).items():
        other = compute_scores(copied)[name]
        assert (other.value, other.low, other.high) == pytest.approx((score.value, score.low, score.high))
        assert other.n == 3 * score.n


def test_an_added_score_is_computed(added_score):
    assert added_score.explanation.endswith("not the true one. Lower is better.")
    assert compute_scores(given_of(UNEVEN))["error_rate"] == Score(
        pytest.approx(7 / 30), pytest.approx(0.118, abs=1e-3), pytest.approx(0.409, abs=1e-3), 30
    )
