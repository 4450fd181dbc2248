"""How far means and differences may be off: against textbook variances, and with copies."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.search.spread import spread_of

ONES = np.ones(200)


def plain(scores, *, groups=None):
    n = len(scores)
    return spread_of(
        scores, labels=np.zeros(n, int), groups=np.arange(n) if groups is None else groups, weight=np.ones(n)
    )


@pytest.fixture
def scores():
    return (np.random.default_rng(0).random((200, 3)) < [0.9, 0.7, 0.7]).astype(float)


def test_variances_are_those_of_a_mean_and_of_a_difference(scores):
    spread = plain(scores)
    np.testing.assert_allclose(spread.means, scores.mean(axis=0))
    np.testing.assert_allclose(spread.variances, scores.var(axis=0, ddof=1) / 200)
    gaps = scores - scores[:, [1]]
    np.testing.assert_allclose(spread.variances_from(1), gaps.var(axis=0, ddof=1) / 200)


def test_hits_that_differ_have_one_more_picture_to_doubt_and_equal_ones_none(scores):
    spread = plain(np.column_stack([scores, scores[:, 0]]))
    np.testing.assert_allclose(spread.hit_variances_from(0)[1:3], spread.variances_from(0)[1:3] + 1 / 200**2)
    assert spread.hit_variances_from(0)[[0, 3]].tolist() == [0, 0]


def test_copies_are_no_evidence(scores):
    copied = plain(np.repeat(scores, 5, axis=0), groups=np.repeat(np.arange(200), 5))
    np.testing.assert_allclose(copied.variances, plain(scores).variances)
    np.testing.assert_allclose(copied.hit_variances_from(0), plain(scores).hit_variances_from(0))


def test_three_photos_of_twenty_copies_tell_nothing_apart():
    spread = plain(np.column_stack([np.ones(60), np.zeros(60)]), groups=np.arange(60) // 20)
    assert spread.hit_variances_from(0)[1] == pytest.approx(1 / 9)


def test_classes_that_weigh_alike_are_compared_each_with_its_own_mean():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [180, 20])
    weight = np.where(labels, 5.0, 5 / 9)
    rates = (rng.random((200, 2)) < np.where(labels, 0.5, 0.95)[:, None]).astype(float)
    spread = spread_of(rates * weight[:, None], labels=labels, groups=np.arange(200), weight=weight)
    means = [rates[labels == label].mean(axis=0) for label in (0, 1)]
    np.testing.assert_allclose(spread.means, np.mean(means, axis=0))
    textbook = sum(mean * (1 - mean) / (size - 1) for mean, size in zip(means, (180, 20), strict=True)) / 4
    np.testing.assert_allclose(spread.variances, textbook, rtol=0.1)


def test_one_picture_of_a_class_is_not_certain():
    labels = np.array([0] * 9 + [1])
    weight = np.where(labels, 5.0, 5 / 9)
    rates = np.array([1.0] * 6 + [0.0] * 3 + [1.0])[:, None]
    spread = spread_of(rates * weight[:, None], labels=labels, groups=np.arange(10), weight=weight)
    alone = 0.25 * (2 / 3 * 1 / 3) / 8
    assert spread.variances[0] > 1.5 * alone


def test_equal_strategies_have_equal_means_wherever_they_stand(scores):
    spread = plain(np.column_stack([scores[:, 0], scores, scores[:, 0]]))
    assert spread.means[0] == spread.means[1] == spread.means[4]
