"""What may win is kept, what surely cannot is not, and copies count once."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.search.answers import Rows, answers_from
from thawline.search.screen import may_win
from thawline.search.strategy import Strategy

N, K = 400, 4


def rows_of(groups=None):
    labels = np.arange(N) % K
    held_out = tuple(np.arange(fold, N, 5) for fold in range(5))
    train = np.ones((N, 5), np.float32)
    for fold, held in enumerate(held_out):
        train[held, fold] = 0
    groups = np.arange(N) if groups is None else groups
    return Rows(np.arange(N), labels, groups, train, held_out, np.zeros(5, np.int64), np.arange(N), np.ones(N))


def answered(rows, margin, head="linear"):
    """Return the answers of a strategy whose true logits stand out by (N,) margins."""
    logits = np.zeros((N, K), np.float32)
    logits[np.arange(N), rows.labels] = margin
    strategy = Strategy("drawn", (0,), ("mean",), head, f"drawn · {head}", 1.0)
    return answers_from(strategy, logits.argmax(axis=1)[None], logits=logits, rows=rows, seconds=0.0)


def margins(seed, mean):
    return np.random.default_rng(seed).normal(size=N) + mean


def test_what_is_clearly_behind_cannot_win_and_what_is_close_may():
    rows = rows_of()
    best = margins(0, 2.0)
    rivals = [best, best - 0.001, best - 1.0]
    assert may_win([answered(rows, margin) for margin in rivals], rows).tolist() == [True, True, False]


def test_noise_keeps_a_rival_that_pairs_badly_with_the_best():
    rows = rows_of()
    near, paired = answered(rows, margins(1, 1.95)), answered(rows, margins(0, 2.0) - 0.05)
    assert may_win([answered(rows, margins(0, 2.0)), near], rows).tolist() == [True, True]
    # as far behind, but behind on every picture: only the slack for what a sketch adds keeps it, or nothing
    assert may_win([answered(rows, margins(0, 2.0)), paired], rows)[0]
    assert not may_win([answered(rows, margins(0, 2.0)), answered(rows, margins(0, 2.0) - 0.2)], rows)[1]


def test_copies_count_once():
    """On 8 of 400 pictures the second is worse: as independent pictures that is sure, as copies of one it is not."""
    margin = np.full(N, 2.0)
    worse = margin.copy()
    worse[:8] = -2.0
    groups = np.arange(N)
    groups[:8] = 0
    alone, together = rows_of(), rows_of(groups)
    assert not may_win([answered(alone, margin), answered(alone, worse)], alone)[1]
    assert may_win([answered(together, margin), answered(together, worse)], together)[1]


@pytest.mark.parametrize("head", ["class mean", "k-NN"])
def test_a_head_whose_probabilities_are_no_probabilities_may_win_by_its_score(head):
    rows = rows_of()
    best = margins(0, 2.0)
    loud = answered(rows, best * 1000, head)
    assert may_win([answered(rows, best), loud], rows).tolist() == [True, True]
    assert not may_win([answered(rows, best), answered(rows, (best - 1.5) * 1000, head)], rows)[1]


def test_the_best_by_loss_and_the_best_by_score_are_always_kept():
    for seed in range(20):
        rows = rows_of()
        rng = np.random.default_rng(seed)
        entries = [answered(rows, margins(seed * 10 + place, rng.uniform(0.5, 2.5))) for place in range(6)]
        losses = [np.log1p((K - 1) * np.exp(-entry.logits[np.arange(N), rows.labels])).mean() for entry in entries]
        kept = may_win(entries, rows)
        assert kept[int(np.argmin(losses))]
        assert kept[int(np.argmax([entry.scores.mean() for entry in entries]))]
