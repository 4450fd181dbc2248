"""Heads that answer together: the logarithms of their mean probabilities, each on its columns, at its temperature."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from thawline.heads.calibrate import probabilities
from thawline.heads.linear import fit_linear
from thawline.heads.together import Member, TogetherHead, fit_together

N, D, K = 40, 6, 3


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(N, dtype=np.int64) % K
    return (rng.normal(size=(K, D))[labels] + rng.normal(size=(N, D))).astype(np.float32), labels


def member(x, labels, *, reads, temperature):
    mask = np.isin(np.arange(D), reads)
    return Member(mask, fit_linear(x[:, mask], labels, l2=1e-2, num_classes=K), temperature)


def test_the_logits_are_the_logarithms_of_the_mean_probabilities():
    x, labels = drawn()
    members = (member(x, labels, reads=(0, 1, 2), temperature=1.0), member(x, labels, reads=(1, 4, 5), temperature=2.0))
    by_hand = (
        softmax(members[0].head.logits(x[:, :3]), axis=1) + softmax(members[1].head.logits(x[:, [1, 4, 5]]) / 2, axis=1)
    ) / 2
    logits = TogetherHead(members).logits(x)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits), by_hand, rtol=1e-5)
    np.testing.assert_allclose(probabilities(logits, 1.0), by_hand, rtol=1e-5)


def test_one_head_alone_answers_as_itself():
    x, labels = drawn()
    alone = member(x, labels, reads=tuple(range(D)), temperature=0.7)
    np.testing.assert_allclose(
        probabilities(TogetherHead((alone,)).logits(x), 1.0), probabilities(alone.head.logits(x), 0.7), rtol=1e-4
    )


def test_answers_stay_finite_where_every_head_is_certain():
    x, labels = drawn()
    certain = member(1e4 * x, labels, reads=(0, 1), temperature=1e-3)
    logits = TogetherHead((certain, certain)).logits(1e4 * x)
    assert np.isfinite(logits).all()
    assert np.isfinite(probabilities(logits, 0.5)).all()


def test_each_head_is_trained_on_its_columns_of_all_rows():
    x, labels = drawn()
    reads = [np.arange(D) < 4, np.arange(D) % 2 == 0]
    weights = np.linspace(0.5, 1.5, N).astype(np.float32)
    more = {"num_classes": K, "row_weights": weights}
    head = fit_together(x, labels, reads=reads, strengths=[1e-2, 1e-4], temperatures=[1.0, 0.7], **more)
    for found, mask, l2, temperature in zip(head.members, reads, [1e-2, 1e-4], [1.0, 0.7], strict=True):
        alone = fit_linear(x[:, mask], labels, l2=l2, **more)
        assert (found.temperature, found.reads.tolist()) == (temperature, mask.tolist())
        np.testing.assert_array_equal(found.head.weight, alone.weight)
