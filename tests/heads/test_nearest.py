"""Class means and neighbours, against the same thing written out in numpy, one row at a time."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads import nearest
from thawline.heads.columns import fit_columns
from thawline.heads.nearest import class_mean_folds, fit_class_mean, fit_neighbours, neighbour_folds
from thawline.heads.rotation import rotate


def blobs(seed, n=60, d=8, k=3):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    return (rng.normal(size=(k, d))[labels] * 2 + rng.normal(size=(n, d)) * 2).astype(np.float32), labels


def folds_of(n, num_folds=3):
    return (np.arange(n)[:, None] % num_folds != np.arange(num_folds)).astype(np.float32)


# Class means


def test_a_class_mean_head_by_hand():
    x, labels = np.array([[-3.0], [-1.0], [1.0], [3.0]], np.float32), np.array([0, 0, 1, 1])
    head = fit_class_mean(x, labels, num_classes=2)
    mean = 2 / np.sqrt(5)  # of the second class, after division by the standard deviation √5
    np.testing.assert_allclose(head.weight, [[-mean, mean]], rtol=1e-5)
    np.testing.assert_allclose(head.bias, [-0.4, -0.4], rtol=1e-5)
    assert head.logits(np.array([[-0.1], [0.1]])).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("d", [8, 90])
def test_fold_logits_order_classes_by_distance_to_the_means_of_training_rows(d):
    x, labels = blobs(0, d=d)
    train = folds_of(60) * np.random.default_rng(1).uniform(0.5, 2, (60, 1)).astype(np.float32)
    rotated = rotate(x)
    logits = class_mean_folds(rotated, labels, row_weights=train, num_classes=3)
    prepared = rotated.columns.apply(x)
    assert logits.shape == (3, 60, 3)
    for fold in range(3):
        inside = train[:, fold] > 0
        means = np.stack([prepared[inside & (labels == k)].mean(axis=0) for k in range(3)])
        distances = np.square(prepared[:, None] - means).sum(axis=2)
        relative = -0.5 * (distances - distances[:, [0]])
        np.testing.assert_allclose(logits[fold] - logits[fold][:, [0]], relative, atol=2e-3 * d)


def test_one_fold_of_all_rows_is_the_linear_head():
    x, labels = blobs(2)
    logits = class_mean_folds(rotate(x), labels, row_weights=np.ones((60, 1), np.float32), num_classes=3)[0]
    np.testing.assert_allclose(fit_class_mean(x, labels, num_classes=3).logits(x), logits, atol=2e-3)


def test_a_class_without_training_rows_is_never_the_answer():
    x, labels = blobs(3)
    train = np.ones((60, 2), np.float32)
    train[labels == 1, 1] = 0
    logits = class_mean_folds(rotate(x), labels, row_weights=train, num_classes=4)
    assert set(logits[0].argmax(axis=1)) <= {0, 1, 2}
    assert set(logits[1].argmax(axis=1)) <= {0, 2}
    head = fit_class_mean(x, labels, num_classes=4)
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()
    np.testing.assert_allclose(head.logits(x)[:, :3], logits[0][:, :3], atol=2e-3)
    assert set(head.logits(x).argmax(axis=1)) <= {0, 1, 2}


# Neighbours


def votes_by_hand(prepared, labels, inside, query, k, num_classes):
    """Return the log of the weighted votes' shares of one query among the rows of `inside`."""
    unit = prepared / np.linalg.norm(prepared, axis=1, keepdims=True)
    similarity = unit[inside] @ unit[query]
    best = np.argsort(-similarity, kind="stable")[:k]
    votes = np.zeros(num_classes)
    for row in best:
        votes[labels[inside][row]] += np.exp((similarity[row] - 1) / nearest.VOTE_TEMPERATURE)
    return np.log(votes / votes.sum() + 1e-4)


@pytest.mark.parametrize("d", [8, 90])
def test_neighbours_of_folds_are_those_of_a_search_row_by_row(d):
    x, labels = blobs(4, d=d)
    rotated, train = rotate(x), folds_of(60)
    logits = neighbour_folds(rotated, labels, row_weights=train, num_classes=3, neighbours=(1, 4, 7))
    prepared = rotated.columns.apply(x).astype(np.float64)
    assert logits.shape == (3, 3, 60, 3)
    for fold in range(3):
        inside = np.flatnonzero(train[:, fold] > 0)
        for query in np.flatnonzero(train[:, fold] == 0):
            for s, k in enumerate((1, 4, 7)):
                expected = votes_by_hand(prepared, labels, inside, query, k, 3)
                np.testing.assert_allclose(logits[fold, s, query], expected, atol=5e-3)
        assert not logits[fold][:, inside].any()


def test_a_block_of_rows_sees_what_all_rows_see(monkeypatch):
    x, labels = blobs(5)
    rotated = rotate(x)
    whole = neighbour_folds(rotated, labels, row_weights=folds_of(60), num_classes=3)
    monkeypatch.setattr(nearest, "SIMILARITIES", 7 * 60)
    np.testing.assert_allclose(
        neighbour_folds(rotated, labels, row_weights=folds_of(60), num_classes=3), whole, atol=1e-5
    )


def test_neighbours_among_drawn_keys_are_those_of_a_search_among_them():
    x, labels = blobs(5)
    rotated, train = rotate(x), folds_of(60)
    found = neighbour_folds(rotated, labels, row_weights=train, num_classes=3, max_keys=20)
    drawn = np.zeros(60, dtype=bool)
    drawn[np.random.default_rng(0).choice(60, 20, replace=False)] = True
    alone = neighbour_folds(rotated, labels, row_weights=train * drawn[:, None], num_classes=3)
    held = train == 0
    for fold in range(3):
        np.testing.assert_allclose(found[fold][:, held[:, fold]], alone[fold][:, held[:, fold]], atol=1e-5)


def test_more_neighbours_than_rows_are_all_rows():
    x, labels = blobs(6, n=9)
    logits = neighbour_folds(rotate(x), labels, row_weights=folds_of(9), num_classes=3, neighbours=(6, 500))
    np.testing.assert_allclose(logits[:, 0], logits[:, 1])  # each fold trains on 6
    assert np.isfinite(logits).all()
    assert fit_neighbours(x, labels, k=500, num_classes=3).k == 9


def test_a_neighbour_head_is_the_search_row_by_row():
    x, labels = blobs(7)
    head = fit_neighbours(x[:50], labels[:50], k=5, num_classes=3)
    assert (head.keys.dtype, head.keys.shape) == (np.float16, (50, 8))
    columns = fit_columns(x[:50])
    prepared = columns.apply(x).astype(np.float64)
    found = head.logits(x[50:])
    assert (found.dtype, found.shape) == (np.float32, (10, 3))
    for row, logits in enumerate(found):
        expected = votes_by_hand(prepared, labels, np.arange(50), 50 + row, 5, 3)
        np.testing.assert_allclose(np.exp(logits), np.exp(expected), atol=0.02)  # keys are in half precision


def test_the_nearest_neighbour_of_a_training_row_is_the_row():
    x, labels = blobs(8)
    assert fit_neighbours(x, labels, k=1, num_classes=3).logits(x).argmax(axis=1).tolist() == labels.tolist()


def test_rows_of_zeros_are_near_to_nobody_and_end_nothing():
    x = np.ones((6, 3), np.float32)
    labels = np.array([0, 1, 0, 1, 0, 1])
    assert np.isfinite(neighbour_folds(rotate(x), labels, row_weights=folds_of(6), num_classes=2)).all()
    assert np.isfinite(fit_neighbours(x, labels, k=3, num_classes=2).logits(x)).all()
