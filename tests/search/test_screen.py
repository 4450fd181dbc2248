"""What may win is kept, what surely cannot is not, and copies count once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.search.answers import Rows, answers_from
from thawline.search.contest import contest_of
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
    """Both rivals lie equally far behind; the one that is behind on every picture surely is."""
    rows = rows_of()
    best = answered(rows, margins(0, 2.0))
    noisy, steady = answered(rows, margins(5, 2.0)), answered(rows, margins(0, 2.0))
    behind = 0.004
    for rival, expected in ((noisy, True), (steady, False)):
        lost = best.credit.mean() - rival.credit.mean()
        rival = replace(rival, credit=rival.credit + lost - behind)
        assert may_win([best, rival], rows).tolist() == [True, expected]


def test_copies_count_once():
    """On 8 of 400 pictures the second is worse: as independent pictures that is sure, as copies of one it is not."""
    groups = np.arange(N)
    groups[:8] = 0
    for rows, expected in ((rows_of(), False), (rows_of(groups), True)):
        best = answered(rows, np.full(N, 2.0))
        worse = replace(best, credit=best.credit - 0.18 * (np.arange(N) < 8))
        assert may_win([best, worse], rows).tolist() == [True, expected]


@pytest.mark.parametrize("head", ["class mean", "k-NN"])
def test_how_loud_a_head_is_changes_nothing(head):
    rows = rows_of()
    best = margins(0, 2.0)
    assert may_win([answered(rows, best), answered(rows, best * 1000, head)], rows).tolist() == [True, True]
    assert not may_win([answered(rows, best), answered(rows, (best - 1.5) * 1000, head)], rows)[1]


def test_who_leads_and_who_wins_are_kept():
    """Whoever the rules of a contest name, were the sketches the solutions, is looked at more closely."""
    for seed in range(20):
        rows = rows_of()
        rng = np.random.default_rng(seed)
        best = margins(seed, 2.0)
        entries = [answered(rows, best * scale - rng.uniform(0, 0.1)) for scale in rng.uniform(0.97, 1.03, 6)]
        costs = rng.uniform(0.1, 1.0, 6)
        entries = [
            replace(entry, strategy=replace(entry.strategy, cost=cost))
            for entry, cost in zip(entries, costs.tolist(), strict=True)
        ]
        verdict, kept = contest_of(entries, rows).verdict(), may_win(entries, rows)
        assert kept[verdict.leader]
        assert kept[verdict.winner]
