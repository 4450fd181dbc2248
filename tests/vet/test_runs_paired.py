"""Runs are compared on the pictures that they share, found by content, whatever they are called and in what order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from thawline.core.intervals import accuracy_interval, paired_sign_flip
from thawline.vet.answer_table import AnswerTable
from thawline.vet.answered import TEST
from thawline.vet.runs_paired import pair_runs

NAMES = ("ant", "bee", "crow")


def table_of(names, labels, predicted, *, fold=TEST, groups=None, sure=0.8):
    """Return a table of pictures whose bytes are their names."""
    labels, predicted = np.array(labels), np.array(predicted)
    hashes = np.stack([np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint8) for name in names])
    sure = np.broadcast_to(np.float32(sure), len(names))
    return AnswerTable(
        tuple(f"{name}.jpg" for name in names), hashes, labels, predicted, sure,
        np.where(predicted == labels, sure, np.float32(0.1)),
        np.arange(len(names)) if groups is None else np.array(groups),
        np.broadcast_to(fold, len(names)).astype(np.int64),
    )  # fmt: skip


def test_pictures_are_found_by_content_in_whatever_order_and_classes_by_name():
    first = table_of("abcd", [0, 1, 2, 0], [0, 1, 0, 0])
    other = table_of("dcbz", [2, 0, 1, 1], [2, 0, 2, 1])  # its classes are named the other way round
    paired = pair_runs([first, other], [NAMES, NAMES[::-1]])
    assert (paired.part, paired.num_pictures) == ("test", 3)
    assert [first.paths[row] for row in paired.rows[0]] == ["b.jpg", "c.jpg", "d.jpg"]
    assert [other.paths[row] for row in paired.rows[1]] == ["b.jpg", "c.jpg", "d.jpg"]
    assert [scores["accuracy"].value for scores in paired.scores] == [pytest.approx(2 / 3), pytest.approx(2 / 3)]
    (difference,) = paired.differences
    assert (difference.value, difference.won.tolist(), difference.lost.tolist()) == (0, [1], [0])
    assert difference.low < 0 < difference.high
    assert difference.p_value == 1


def test_a_clear_difference_is_told_with_its_interval_and_p_value():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    right = rng.random(300) < 0.7
    better = right | (rng.random(300) < 0.5)
    names = [f"{row}" for row in range(300)]
    tables = [table_of(names, labels, np.where(hit, labels, (labels + 1) % 3)) for hit in (right, better, right)]
    paired = pair_runs(tables, [NAMES] * 3)
    first, second = paired.differences
    assert first.value == pytest.approx(better.mean() - right.mean())
    assert 0 < first.low < first.value < first.high < 0.3
    assert first.p_value == paired_sign_flip(better * 1.0 - right, np.arange(300)) < 0.01
    assert (second.value, second.p_value) == (0, 1)
    assert second.low < 0 < second.high
    accuracy = paired.scores[0]["accuracy"]
    assert (accuracy.low, accuracy.high) == accuracy_interval(right.astype(float), np.arange(300))
    assert set(paired.scores[0]) == {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"}


def test_copies_count_once():
    names = [f"{row}" for row in range(40)]
    labels, said = np.zeros(40, int), np.arange(40) % 4 == 0
    alone = pair_runs([table_of(names, labels, labels), table_of(names, labels, said * 1)], [NAMES] * 2)
    groups = np.arange(40) // 4 * 10
    copied = pair_runs(
        [table_of(names, labels, labels, groups=groups), table_of(names, labels, said * 1, groups=groups)], [NAMES] * 2
    )
    assert copied.differences[0].value == alone.differences[0].value == -0.25
    assert copied.differences[0].high - copied.differences[0].low > 1.5 * (
        alone.differences[0].high - alone.differences[0].low
    )


def test_other_tests_are_compared_by_all_that_was_held_out():
    folds = np.array([TEST, TEST, TEST, 0, 1, 1])
    first = table_of("abcdef", [0] * 6, [0] * 6, fold=folds)
    other = table_of("fedcba", [0] * 6, [0, 1, 0, 0, 0, 0], fold=folds)
    paired = pair_runs([first, other], [NAMES] * 2)
    assert (paired.part, paired.num_pictures) == ("held out", 6)
    assert paired.differences[0].lost.tolist() == [4]


def test_pictures_under_another_label_are_left_out_and_counted():
    paired = pair_runs([table_of("abc", [0, 1, 2], [0, 1, 2]), table_of("abc", [0, 2, 2], [0, 1, 2])], [NAMES] * 2)
    assert (paired.num_pictures, paired.num_relabelled) == (2, 1)


def test_runs_that_share_nothing_have_nothing_to_compare():
    assert pair_runs([table_of("ab", [0, 1], [0, 1]), table_of("cd", [0, 1], [0, 1])], [NAMES] * 2) is None


def test_changed_pictures_stand_in_the_order_of_how_sure_the_other_run_is():
    first = table_of("abc", [0, 0, 0], [1, 1, 1])
    other = table_of("abc", [0, 0, 0], [0, 0, 0], sure=[0.6, 0.9, 0.7])
    assert pair_runs([first, other], [NAMES] * 2).differences[0].won.tolist() == [1, 2, 0]
