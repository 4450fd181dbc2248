"""The learning curve: what all rows add to what the folds' rows give."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.rotation import rotate
from thawline.search.answers import Rows, answers_from
from thawline.search.growth import growth_of
from thawline.search.strategy import Strategy

STRATEGY = Strategy("drawn", (0,), ("mean",), "linear", "drawn", 1.0)


def drawn(n, *, num_columns, copies=1, seed=0):
    """Return features, rows of three classes in five folds, and a linear head's answers; a class has its own mean."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(3), n // 3)
    features = (rng.normal(size=(n, num_columns)) + 1.2 * np.eye(3, num_columns)[labels]).astype(np.float32)
    features, labels, groups = (np.repeat(part, copies, axis=0) for part in (features, labels, np.arange(n)))
    place = groups // 3 % 5
    held = tuple(np.flatnonzero(place == fold) for fold in range(5))
    train = np.stack([place != fold for fold in range(5)], axis=1).astype(np.float32)
    rows = Rows(
        np.arange(len(labels)),
        labels,
        groups,
        train,
        held,
        np.zeros(5, int),
        np.arange(len(labels)),
        np.ones(len(labels)),
    )
    rotated = rotate(features)
    logits = fit_folds(rotated, labels, row_weights=train, strengths=L2_STRENGTHS[2:3], num_classes=3)[:, 0]
    kept = np.zeros((1, len(labels), 3), np.float32)
    for fold, rows_of_fold in enumerate(held):
        kept[0, rows_of_fold] = logits[fold, rows_of_fold]
    return rotated, rows, answers_from(STRATEGY, kept.argmax(axis=2), logits=kept, rows=rows, seconds=0.0, choice=2)


def test_growth_is_what_more_rows_of_the_same_kind_give():
    """Sixty columns, 60 rows: from 48 rows to 60 a head gains what the curve through 24 and 48 says."""
    found, gains = [], []
    for seed in range(12):
        rotated, rows, entry = drawn(60, num_columns=60, seed=seed)
        found.append(growth_of(rotated, entry, rows=rows, num_classes=3).added.mean())
        _, _, more = drawn(75, num_columns=60, seed=100 + seed)  # its folds learn from 60
        gains.append(more.scores.mean() - entry.scores.mean())
    error = (np.var(found) / 12 + np.var(gains) / 12) ** 0.5
    assert 0.005 < np.mean(found) < 0.06
    assert abs(np.mean(found) - np.mean(gains)) < 3 * error


def test_where_all_is_learnt_more_rows_add_nothing():
    rotated, rows, entry = drawn(600, num_columns=3)
    growth = growth_of(rotated, entry, rows=rows, num_classes=3)
    assert growth.added.shape == (600,)
    assert abs(growth.added.mean()) < 0.01
    assert "points" in repr(growth)


def test_copies_stay_in_one_half():
    alone = _growth(drawn(60, num_columns=60)).added
    copied = _growth(drawn(60, num_columns=60, copies=3)).added
    assert copied.mean() == pytest.approx(alone.mean(), abs=0.02)


def _growth(given):
    rotated, rows, entry = given
    return growth_of(rotated, entry, rows=rows, num_classes=3)
