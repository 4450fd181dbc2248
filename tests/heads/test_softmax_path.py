"""Softmax regressions solved along the path of strengths are the converged ones, wherever the path began."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.rotation import rotate
from thawline.heads.softmax_path import solve_path


def blobs(seed, n, d, k, spread):
    """Return (n, d) float32 features and labels that they only partly tell."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d)) * spread
    return x.astype(np.float32), labels.astype(np.int64)


def folds_of(n, num_folds):
    dealt = np.random.default_rng(0).permutation(np.arange(n) % num_folds)
    return (dealt[:, None] != np.arange(num_folds)).astype(np.float32)


def last_of_path(rotated, labels, train, strengths, **options):
    """Return (N, K, F) logits of the weakest strength."""
    *_, (_, point) = solve_path(rotated, labels, row_weights=train, strengths=strengths, num_classes=4, **options)
    return point.logits.permute(2, 0, 1).numpy()


def centred(logits):
    """Return (N, K) logits whose mean over the classes is 0: what is added to all of a row says nothing."""
    return logits - logits.mean(axis=1, keepdims=True)


def test_logits_lie_within_a_hundredth_of_converged_ones_at_every_strength_whatever_led_to_them():
    x, labels = blobs(8, 200, 60, 4, spread=3)
    rotated, train = rotate(x), folds_of(200, 5)
    held_out = train.T == 0
    for strength in L2_STRENGTHS:
        ways = [[strength], [strength, *(other for other in L2_STRENGTHS if other > strength)]]
        converged = last_of_path(rotated, labels, train, [strength], tolerance=1e-4)
        for strengths in ways:  # cold, and warm along the path
            solved = last_of_path(rotated, labels, train, strengths)
            for fold in range(5):
                expected = centred(converged[held_out[fold], :, fold])
                apart = centred(solved[held_out[fold], :, fold]) - expected
                assert np.linalg.norm(apart) < 0.01 * np.linalg.norm(expected)


def test_weights_give_the_logits():
    x, labels = blobs(6, 50, 70, 3, 1.5)
    rotated = rotate(x)
    solved = solve_path(rotated, labels, row_weights=folds_of(50, 2), strengths=[1e-3, 1e-2], num_classes=3)
    for _, point in solved:
        again = torch.einsum("nr,kpr->kpn", rotated.z, point.w[..., :-1]) + point.w[..., -1:]
        np.testing.assert_allclose(again, point.logits, atol=1e-3 * float(point.logits.abs().max()))


def test_strengths_are_solved_from_the_strongest_to_the_weakest_and_named_by_their_place():
    x, labels = blobs(7, 40, 8, 2, 1.5)
    solved = solve_path(rotate(x), labels, row_weights=folds_of(40, 2), strengths=[1e-2, 1e-4, 1e-3], num_classes=2)
    assert [place for place, _ in solved] == [0, 2, 1]


@pytest.mark.parametrize("strength", [1e-6, 1e-2])
def test_features_that_tell_nothing_end_at_the_shares_of_the_classes(strength):
    labels = np.array([0] * 30 + [1] * 10)
    x = np.ones((40, 3), np.float32)
    ((_, point),) = solve_path(rotate(x), labels, row_weights=np.ones((40, 1)), strengths=[strength], num_classes=2)
    np.testing.assert_allclose(torch.softmax(point.logits, 0)[0, 0], 0.75, atol=1e-3)
