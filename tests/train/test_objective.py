"""The loss of a step by hand: weighted, smoothed, blended; dropout that no part of a step can change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from thawline.train.batches import Batch
from thawline.train.objective import Objective

LABELS = np.array([0, 1, 1, 2])
LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5]])
ONES = np.ones(3, dtype=np.float32)


def entropy(row, label):
    return math.log(sum(math.exp(value) for value in row)) - row[label]


def batch(samples, partners=None, share=1.0):
    return Batch(np.array(samples), np.array(partners if partners is not None else samples), share)


def test_a_loss_is_the_sum_of_weighted_cross_entropies():
    weights = np.array([0.5, 2.0, 1.0], dtype=np.float32)
    loss = Objective(LABELS, weights).loss(LOGITS, batch([0, 1, 3]), share=1)
    expected = sum(w * entropy(row, k) for w, row, k in zip((0.5, 2.0, 1.0), LOGITS.tolist(), (0, 1, 2), strict=True))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_blended_picture_has_two_labels_by_its_share():
    objective, blended = Objective(LABELS, ONES), batch([0, 1, 3], [1, 3, 0], 0.7)
    first = objective.loss(LOGITS, batch([0, 1, 3]), share=1)
    second = objective.loss(LOGITS, batch([1, 3, 0]), share=1)
    assert float(objective.loss(LOGITS, blended, share=0.7)) == pytest.approx(float(0.7 * first + 0.3 * second))


def test_smoothing_spreads_a_label_over_all_classes():
    loss = Objective(LABELS, ONES, label_smoothing=0.3).loss(LOGITS[:1], batch([0]), share=1)
    row = LOGITS[0].tolist()
    assert float(loss) == pytest.approx(0.7 * entropy(row, 0) + 0.1 * sum(entropy(row, k) for k in range(3)))


def test_dropout_is_drawn_from_seed_place_and_picture():
    objective, cpu = Objective(LABELS, ONES, dropout=0.25, seed=4), torch.device("cpu")
    whole = objective.keep(np.array([0, 1, 3]), 400, place=(2, 5), device=cpu)
    part = objective.keep(np.array([3]), 400, place=(2, 5), device=cpu)
    assert torch.equal(whole[2:], part)
    assert whole.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((whole == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(part, objective.keep(np.array([3]), 400, place=(2, 6), device=cpu))
    assert Objective(LABELS, ONES).keep(np.array([0]), 4, place=(0, 0), device=cpu) is None
