"""Strategies that were drawn by hand, for tests of who leads, ties and wins: rows, and answers to them."""

from __future__ import annotations

import numpy as np

from thawline.search.answers import Rows, answers_from
from thawline.search.judge import rank
from thawline.search.strategy import Strategy

NUM_FOLDS = 5


def rows_of(n, *, num_repeats=2, weight=None, groups=None) -> Rows:
    """Return n rows of two classes; fold f of the first repeat scores the f-th fifth, of the second every fifth row."""
    place = np.arange(n)
    dealt = [place * NUM_FOLDS // n, place % NUM_FOLDS][:num_repeats]
    held = [np.flatnonzero(fold == f) for fold in dealt for f in range(NUM_FOLDS)]
    train = np.stack([~np.isin(place, places) for places in held], axis=1).astype(np.float32)
    return Rows(
        samples=place * 2,
        labels=place // 2 % 2,
        groups=place if groups is None else groups,
        train=train,
        held_out=tuple(held),
        repeat=np.arange(len(held)) // NUM_FOLDS,
        scored=place,
        weight=np.ones(n) if weight is None else weight,
    )


def told(name, right, rows, *, cost=1.0, folds=None, curve=None):
    """Return answers that are right where `right` says; `folds` are those of the first repeat that were run, or all."""
    num_repeats = int(rows.repeat.max()) + 1
    predicted = np.broadcast_to(np.where(right, rows.labels, 1 - rows.labels), (num_repeats, len(right))).copy()
    if folds is not None:
        run = np.isin(np.arange(len(right)), np.concatenate([rows.held_out[fold] for fold in folds]))
        predicted[0, ~run], predicted[1:] = -1, -1
    kind = "frozen" if folds is None else "full"
    logits = np.where(predicted[:, :, None] >= 0, np.eye(2)[predicted], np.nan)
    strategy = Strategy("drawn", (0,), ("mean",), "linear", name, cost, kind=kind)
    choice = 1 if folds is None else None
    return answers_from(strategy, predicted, logits=logits, rows=rows, seconds=2.0, choice=choice, curve=curve)


def wrong_at(n, *places):
    return ~np.isin(np.arange(n), np.concatenate([np.atleast_1d(p) for p in places]))


def every(n, step, start=0):
    return np.arange(start, n, step)


def judged(scored, rows, eligible=None):
    """Return the trials by name, the order of names, and the winner's."""
    trials, winner, order = rank(scored, rows, full_pass_ms=10.0, eligible=eligible)
    assert [trial.name for trial in trials] == [scored[index].strategy.name for index in order]
    return {trial.name: trial for trial in trials}, [trial.name for trial in trials], trials[winner].name
