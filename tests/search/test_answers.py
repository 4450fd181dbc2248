"""Answers carry the scores of every row and fold that was answered, and of no other."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.search.answers import Rows, answers_from, right_shares
from thawline.search.strategy import Strategy

STRATEGY = Strategy("drawn", (0,), ("mean",), "linear", "drawn · whole · linear", 1.0)
LABELS = np.array([0, 1, 0, 1, 0, 1])


def rows_of(weight=None) -> Rows:
    """Six rows, of which the last five are scored: by two folds, twice."""
    held = (np.array([1, 2]), np.array([3, 4, 5]), np.array([1, 4]), np.array([2, 3, 5]))
    train = np.ones((6, 4), np.float32)
    for fold, places in enumerate(held):
        train[places, fold] = 0
    return Rows(
        samples=np.arange(6),
        labels=LABELS,
        groups=np.arange(6),
        train=train,
        held_out=held,
        repeat=np.array([0, 0, 1, 1]),
        scored=np.arange(1, 6),
        weight=np.ones(6) if weight is None else weight,
    )


def answers(predicted, rows):
    predicted = np.array(predicted)
    logits = np.where(predicted[0, :, None] >= 0, np.eye(2)[predicted[0]], np.nan)
    return answers_from(STRATEGY, predicted, logits=logits, rows=rows, seconds=1.0)


def test_complete_answers_by_hand():
    found = answers([[1, 0, 1, 0, 0], [1, 1, 0, 0, 1]], rows_of())
    assert found.scores.tolist() == [1, 0.5, 0.5, 1, 0.5]
    assert found.fold_scores == (1, pytest.approx(2 / 3), 1, pytest.approx(1 / 3))
    assert found.is_complete
    assert (found.choice, found.curve) == (None, None)


def test_one_repeat_of_two_is_complete():
    found = answers([[1, 0, 1, 0, 0], [-1] * 5], rows_of())
    assert found.scores.tolist() == [1, 1, 1, 1, 0]
    assert found.fold_scores == (1, pytest.approx(2 / 3))
    assert found.is_complete


def test_one_fold_is_partial_and_says_nothing_of_the_rest():
    found = answers([[-1, -1, 1, 1, 0], [-1] * 5], rows_of())
    np.testing.assert_array_equal(found.scores, [np.nan, np.nan, 1, 0, 0])
    assert found.answered.tolist() == [False, False, True, True, True]
    assert found.fold_scores == (pytest.approx(1 / 3),)
    assert not found.is_complete


def test_a_fold_with_a_row_unanswered_has_no_score():
    partial = answers([[1, -1, 1, 1, 0], [-1] * 5], rows_of())
    assert partial.fold_scores == (pytest.approx(1 / 3),)
    assert partial.answered.tolist() == [True, False, True, True, True]


def test_scores_are_weighted():
    weight = np.array([9, 0.5, 2, 0.5, 1.5, 0.5])
    found = answers([[1, 0, 1, 1, 0], [-1] * 5], rows_of(weight))
    assert found.scores.tolist() == [0.5, 2, 0.5, 0, 0]
    assert found.fold_scores == (1, pytest.approx(0.5 / 2.5))


def test_shares_of_the_repeats_that_answered():
    predicted = np.array([[0, 0, -1], [0, 1, -1], [1, -1, -1]])
    np.testing.assert_array_equal(right_shares(predicted, np.array([0, 1, 0])), [2 / 3, 0.5, np.nan])


def test_answers_and_rows_print_in_a_line():
    assert repr(rows_of()) == "<Rows: 5 of 6 pictures scored in 4 folds>"
    partial = answers([[-1, -1, 1, 1, 0], [-1] * 5], rows_of())
    assert repr(partial) == "<Answers drawn · whole · linear: 3 of 5 rows>"
