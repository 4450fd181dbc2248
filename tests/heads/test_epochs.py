"""Curves of a head trained by epochs: seeded, learning, and blind to the rows that are only watched."""

from __future__ import annotations

import numpy as np
import torch

from thawline.heads.epochs import train_epochs


def blobs(seed, n, d, k, spread=1.5):
    """Return (n, d) float32 features and labels that they only partly tell."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d)) * spread
    return x.astype(np.float32), labels.astype(np.int64)


def test_epochs_are_seeded_and_their_loss_falls():
    x, labels = blobs(11, 200, 20, 3, spread=1.0)
    train, validation = np.arange(150), np.arange(150, 200)
    options = {"num_classes": 3, "num_epochs": 8}
    first = train_epochs(x, labels, train=train, validation=validation, **options, seed=3)
    assert first == train_epochs(x, labels, train=train, validation=validation, **options, seed=3)
    assert first != train_epochs(x, labels, train=train, validation=validation, **options, seed=4)
    assert len(first.train_loss) == len(first.validation_accuracy) == 8
    assert first.train_loss[-1] < 0.5 * first.train_loss[0]
    assert first.validation_loss[-1] < first.validation_loss[0]
    assert first.train_accuracy[-1] > 0.9 > 0.5 < first.validation_accuracy[-1]


def test_epochs_learn_nothing_from_the_rows_they_watch():
    x, labels = blobs(12, 90, 10, 3)
    train, validation = np.arange(60), np.arange(60, 90)
    other, odd = labels.copy(), x.copy()
    other[60:] = (other[60:] + 1) % 3
    odd[60:] *= 9
    first = train_epochs(x, labels, train=train, validation=validation, num_classes=3, num_epochs=3)
    second = train_epochs(odd, other, train=train, validation=validation, num_classes=3, num_epochs=3)
    assert second.train_loss == first.train_loss
    assert second.validation_loss != first.validation_loss


def test_epochs_leave_torchs_own_seed_alone():
    x, labels = blobs(13, 30, 4, 2)
    state = torch.random.get_rng_state()
    first = train_epochs(x, labels, train=np.arange(20), validation=np.arange(20, 30), num_classes=2, num_epochs=2)
    torch.manual_seed(99)
    assert first == train_epochs(
        x, labels, train=np.arange(20), validation=np.arange(20, 30), num_classes=2, num_epochs=2
    )
    torch.random.set_rng_state(state)
