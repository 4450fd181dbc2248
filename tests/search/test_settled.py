"""A strategy's folds, solved again under one strength, answer as they did in the comparison under that strength."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.rotation import rotate
from thawline.search.answers import Rows
from thawline.search.settled import settled_logits

N, K, COLUMNS = 90, 3, 12
LABELS = np.arange(N) % K
HASHES = [hashlib.sha256(bytes([row])).hexdigest() for row in range(N)]
STRATEGY = SimpleNamespace(blocks=((0, "mean"),), head="linear")


class Bank:
    """Features by hash, as a bank of features reads them."""

    def __init__(self, features):
        self.rows = dict(zip(HASHES, features, strict=True))

    def read(self, hashes, blocks):
        assert blocks == STRATEGY.blocks
        return np.stack([self.rows[name] for name in hashes])


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(K, COLUMNS))[LABELS] + 1.5 * rng.normal(size=(N, COLUMNS))).astype(np.float32)


@pytest.fixture(scope="module")
def rows():
    """Three folds, drawn twice."""
    held_out = [
        np.sort(part) for repeat in range(2) for part in np.array_split(np.random.default_rng(repeat).permutation(N), 3)
    ]
    train = np.ones((N, 6), dtype=np.float32)
    for fold, part in enumerate(held_out):
        train[part, fold] = 0
    everything = np.arange(N)
    return Rows(everything, LABELS, everything, train, tuple(held_out), np.repeat([0, 1], 3), everything, np.ones(N))


def test_every_fold_answers_its_held_out_rows_under_the_one_strength(features, rows):
    l2 = 1e-3
    logits, labels = settled_logits([Bank(features)], HASHES, rows=rows, strategy=STRATEGY, l2=l2)
    compared = fit_folds(rotate(features), LABELS, row_weights=rows.train, strengths=L2_STRENGTHS, num_classes=K)
    assert logits.shape == (2 * N, K)
    start = 0
    for fold, held_out in enumerate(rows.held_out):
        place = slice(start, start + len(held_out))
        expected = compared[fold, L2_STRENGTHS.index(l2), held_out]
        np.testing.assert_allclose(logits[place], expected, atol=1e-4)
        assert labels[place].tolist() == LABELS[held_out].tolist()
        start += len(held_out)


def test_strategies_that_learnt_from_views_answer_the_plain_pictures(features, rows):
    noise = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    banks = [Bank(features), Bank(features + 0.1 * noise)]
    logits, labels = settled_logits(banks, HASHES, rows=rows, strategy=STRATEGY, l2=1e-2)
    alone, _ = settled_logits(banks[:1], HASHES, rows=rows, strategy=STRATEGY, l2=1e-2)
    assert logits.shape == alone.shape == (2 * N, K)
    assert not np.allclose(logits, alone)
    assert (logits.argmax(axis=1) == labels).mean() > 0.7


def test_a_strength_that_was_not_solved_answers_nothing(features, rows, monkeypatch):
    def unsolved(*_, num_answers, strengths, **__):
        found = np.zeros((6, len(strengths), num_answers, K), dtype=np.float32)
        found[4:] = np.nan  # a path that ended before it
        return found

    monkeypatch.setattr("thawline.search.held_out.fit_folds", unsolved)
    logits, labels = settled_logits([Bank(features)], HASHES, rows=rows, strategy=STRATEGY, l2=1e-6)
    assert len(logits) == len(labels) == sum(map(len, rows.held_out[:4]))


def test_a_row_that_another_view_gives_away_is_left_out_of_its_fold(rows):
    rng = np.random.default_rng(2)
    drawn = rng.normal(size=(N, 200)).astype(np.float32)  # nothing to learn, and columns enough to learn rows by heart
    banks = [Bank(drawn), Bank(drawn)]
    logits, labels = settled_logits(banks, HASHES, rows=replace(rows), strategy=STRATEGY, l2=1e-3)
    assert (logits.argmax(axis=1) == labels).mean() < 0.55
