"""The loss is the weighted cross-entropy, blended like the pictures; dropout is drawn for each picture alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.train.batches import Batch
from thawline.train.objective import Objective

LABELS = np.array([0, 2, 1, 2])
WEIGHTS = np.array([0.5, 1.5, 1.0], np.float32)
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]])
CPU = torch.device("cpu")


def cross_entropy(logits, label, smoothing=0.0):
    """Return the loss of one picture, by hand."""
    shares = np.exp(logits) / np.exp(logits).sum()
    target = np.full(len(shares), smoothing / len(shares))
    target[label] += 1 - smoothing
    return -float((target * np.log(shares)).sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_sum_over_pictures_each_weighted_by_its_class(smoothing):
    objective, batch = Objective(LABELS, WEIGHTS, smoothing), Batch(np.array([0, 3]), np.array([0, 3]))
    rows = LOGITS.double().numpy()
    expected = 0.5 * cross_entropy(rows[0], 0, smoothing) + 1.0 * cross_entropy(rows[1], 2, smoothing)
    assert float(objective.loss(LOGITS, batch, share=1)) == pytest.approx(expected, rel=1e-5)


def test_a_blended_picture_has_the_labels_of_both_by_their_shares():
    objective, batch = Objective(LABELS, WEIGHTS), Batch(np.array([0, 1]), np.array([2, 0]), 0.7)
    first, second = LOGITS.double().numpy()
    expected = 0.7 * (0.5 * cross_entropy(first, 0) + cross_entropy(second, 2))
    expected += 0.3 * (1.5 * cross_entropy(first, 1) + 0.5 * cross_entropy(second, 0))
    assert float(objective.loss(LOGITS, batch, share=0.7)) == pytest.approx(expected, rel=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean():
    keep = Objective(LABELS, WEIGHTS, dropout=0.3, seed=1).keep(np.arange(20), 500, place=(0, 0), device=CPU)
    assert keep.shape == (20, 500)
    assert keep.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert float(keep.eq(0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert Objective(LABELS, WEIGHTS).keep(np.arange(20), 500, place=(0, 0), device=CPU) is None


def test_dropout_depends_on_seed_epoch_step_and_picture_and_not_on_the_rest_of_its_batch():
    objective, samples = Objective(LABELS, WEIGHTS, dropout=0.3, seed=1), np.arange(20)
    keep = objective.keep(samples, 100, place=(2, 3), device=CPU)
    assert torch.equal(keep, objective.keep(samples, 100, place=(2, 3), device=CPU))
    assert torch.equal(keep[5:9], objective.keep(samples[5:9], 100, place=(2, 3), device=CPU))
    assert not torch.equal(keep[0], keep[1])
    for place in ((2, 4), (3, 3)):
        assert not torch.equal(keep, objective.keep(samples, 100, place=place, device=CPU))
    assert not torch.equal(keep, replace(objective, seed=2).keep(samples, 100, place=(2, 3), device=CPU))
