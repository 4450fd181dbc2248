"""The batched solver finds what scikit-learn finds one problem at a time, and each fold knows its own rows only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from thawline.heads import linear
from thawline.heads.columns import fit_columns
from thawline.heads.linear import LinearHead, fit_folds, fit_linear
from thawline.heads.rotation import rotate

TIGHT = {"tolerance": 1e-4}


def blobs(seed, n, d, k, spread=1.5):
    """Return (n, d) float32 features, some never negative, and labels that they only partly tell."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d)) * spread
    x[:, : d // 2] = np.abs(x[:, : d // 2])
    return x.astype(np.float32), labels.astype(np.int64)


def reference(x, labels, l2, weights=None):
    """Return scikit-learn's probabilities for the same objective: mean CE + l2·D/2 ‖W‖².

    For two classes scikit-learn has one weight vector v where softmax has ±v/2, so half the penalty is the same.
    """
    n, d = x.shape
    weights = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    doubled = 2 if labels.max() == 1 else 1
    model = LogisticRegression(C=doubled / (l2 * d), tol=1e-8, max_iter=20_000)
    return model.fit(x, labels, sample_weight=weights).predict_proba(x)


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize(("n", "d"), [(150, 12), (40, 90)])
@pytest.mark.parametrize("l2", [1e-4, 1e-2])
def test_a_head_equals_that_of_scikit_learn(n, d, k, l2):
    x, labels = blobs(0, n, d, k)
    head = fit_linear(x, labels, l2=l2, num_classes=k)
    expected = reference(fit_columns(x).apply(x).astype(np.float64), labels, l2)
    np.testing.assert_allclose(softmax(head.logits(x), axis=1), expected, atol=5e-3)
    assert (head.weight.shape, head.bias.shape, head.logits(x).dtype) == ((d, k), (k,), np.float32)


@pytest.mark.parametrize(("n", "d"), [(150, 12), (40, 90)])
def test_row_weights_are_those_of_scikit_learn(n, d):
    x, labels = blobs(1, n, d, 3)
    weights = np.random.default_rng(2).uniform(0.1, 4, n).astype(np.float32)
    head = fit_linear(x, labels, l2=1e-3, num_classes=3, row_weights=weights)
    expected = reference(fit_columns(x).apply(x).astype(np.float64), labels, 1e-3, weights)
    np.testing.assert_allclose(softmax(head.logits(x), axis=1), expected, atol=5e-3)
    again = fit_linear(x, labels, l2=1e-3, num_classes=3, row_weights=weights * 50)
    np.testing.assert_allclose(again.logits(x), head.logits(x), atol=2e-2)


def folds_of(n, num_folds, seed=0):
    dealt = np.random.default_rng(seed).permutation(np.arange(n) % num_folds)
    return (dealt[:, None] != np.arange(num_folds)).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(90, 8), (45, 120)])
def test_held_out_logits_are_those_of_a_fit_on_the_folds_own_rows(n, d):
    """Preparation is shared and blind to labels; beyond it a fold must know its training rows alone."""
    x, labels = blobs(4, n, d, 3)
    rotated, train = rotate(x), folds_of(n, 3)
    logits = fit_folds(rotated, labels, row_weights=train, strengths=[1e-4, 1e-2], num_classes=3, **TIGHT)
    assert logits.shape == (3, 2, n, 3)
    prepared = rotated.columns.apply(x).astype(np.float64)
    for fold in range(3):
        inside, held = train[:, fold] > 0, train[:, fold] == 0
        for s, l2 in enumerate((1e-4, 1e-2)):
            model = LogisticRegression(C=1 / (l2 * d * inside.sum()), tol=1e-8, max_iter=20_000)
            expected = model.fit(prepared[inside], labels[inside]).predict_proba(prepared[held])
            np.testing.assert_allclose(softmax(logits[fold, s, held], axis=1), expected, atol=5e-3)


def test_a_held_out_label_changes_nothing_in_its_fold():
    x, labels = blobs(5, 60, 9, 3)
    rotated, train = rotate(x), folds_of(60, 3)
    other = labels.copy()
    held = train[:, 1] == 0
    other[held] = (other[held] + 1) % 3
    first = fit_folds(rotated, labels, row_weights=train, strengths=[1e-3], num_classes=3, **TIGHT)
    second = fit_folds(rotated, other, row_weights=train, strengths=[1e-3], num_classes=3, **TIGHT)
    np.testing.assert_allclose(second[1], first[1], atol=1e-4)
    assert np.abs(second[0] - first[0]).max() > 0.1


def test_problems_solved_in_groups_are_the_same_problems(monkeypatch):
    x, labels = blobs(7, 60, 10, 3)
    rotated, train = rotate(x), folds_of(60, 5)
    whole = fit_folds(rotated, labels, row_weights=train, strengths=linear.L2_STRENGTHS, num_classes=3, **TIGHT)
    monkeypatch.setattr(linear, "MAX_FLOATS", 60 * 3 * 4)
    pieces = fit_folds(rotated, labels, row_weights=train, strengths=linear.L2_STRENGTHS, num_classes=3, **TIGHT)
    solved = ~np.isnan(whole) & ~np.isnan(pieces)  # each group ends its path where its own folds lose by going on
    assert solved[:, -2:].all()
    np.testing.assert_allclose(pieces[solved], whole[solved], atol=2e-3 * np.abs(whole[solved]).max())


def test_no_weaker_strength_is_solved_once_the_held_out_loss_has_risen():
    x, labels = blobs(11, 120, 40, 3, spread=4)
    rotated, train = rotate(x), folds_of(120, 4)
    strengths = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    logits = fit_folds(rotated, labels, row_weights=train, strengths=strengths, num_classes=3)
    solved = ~np.isnan(logits).any(axis=(0, 2, 3))
    losses = [
        np.mean(
            [
                -log_softmax(logits[f, s][train[:, f] == 0], axis=1)[range(30), labels[train[:, f] == 0]]
                for f in range(4)
            ]
        )
        for s in np.flatnonzero(solved)
    ]
    assert np.isnan(logits[:, ~solved]).all()
    assert 0 < solved.sum() < len(strengths)
    assert solved[-1]
    assert np.argmin(losses) == 1  # the weakest that was solved is the first that lost
    assert np.all(np.diff(losses[1:]) > 0)


def test_separable_classes_and_constant_features_end():
    x = np.repeat(np.eye(2, dtype=np.float32) * 100, 20, axis=0)
    labels = np.repeat([0, 1], 20)
    assert fit_linear(x, labels, l2=1e-6, num_classes=2).logits(x).argmax(axis=1).tolist() == labels.tolist()
    flat = fit_linear(np.ones((40, 3), np.float32), labels, l2=1e-3, num_classes=2)
    np.testing.assert_allclose(softmax(flat.logits(np.ones((1, 3))), axis=1), 0.5, atol=1e-3)


def test_a_class_without_rows_is_never_the_answer():
    x, labels = blobs(9, 60, 8, 3)
    head = fit_linear(x, labels, l2=1e-3, num_classes=4)
    assert softmax(head.logits(x), axis=1)[:, 3].max() < 0.05


def test_a_head_is_linear_in_prepared_features():
    x, labels = blobs(10, 40, 6, 3)
    head = fit_linear(x, labels, l2=1e-3, num_classes=3)
    assert isinstance(head, LinearHead)
    np.testing.assert_allclose(head.logits(x), head.columns.apply(x) @ head.weight + head.bias)


@pytest.mark.parametrize(("n", "d"), [(150, 12), (40, 90)])
def test_a_folded_head_acts_on_raw_features(n, d):
    x, labels = blobs(14, n, d, 3)
    x[:, 0], x[:, 1] = 5, x[:, 1] * 1e-3 + 100  # a constant column; one that is large and hardly varies
    head = fit_linear(x, labels, l2=1e-3, num_classes=3, rooted=False)
    weight, bias = head.folded()
    assert (weight.shape, bias.shape, weight.dtype, bias.dtype) == ((d, 3), (3,), np.float32, np.float32)
    assert not weight[0].any()
    np.testing.assert_allclose(x.astype(np.float64) @ weight + bias, head.logits(x), atol=5e-3)
    expected = reference(fit_columns(x, rooted=False).apply(x).astype(np.float64), labels, 1e-3)
    np.testing.assert_allclose(softmax(x.astype(np.float64) @ weight + bias, axis=1), expected, atol=5e-3)


def test_a_rooted_head_cannot_be_folded():
    x, labels = blobs(15, 60, 10, 3)
    with pytest.raises(
        ValueError, match=r"fold a head: 5 of its 10 columns are rooted, none may be\. Fit it with root"
    ):
        fit_linear(x, labels, l2=1e-3, num_classes=3).folded()


def test_logits_of_the_first_rows_alone_are_the_same_ones():
    x, labels = blobs(16, 60, 10, 3)
    rotated, train = rotate(x), folds_of(60, 3)
    whole = fit_folds(rotated, labels, row_weights=train, strengths=[1e-3, 1e-2], num_classes=3)
    part = fit_folds(rotated, labels, row_weights=train, strengths=[1e-3, 1e-2], num_classes=3, num_answers=20)
    assert np.array_equal(part, whole[:, :, :20])


def test_strengths_ascend_so_that_the_last_of_a_tie_is_the_strongest():
    assert tuple(sorted(linear.L2_STRENGTHS)) == linear.L2_STRENGTHS
