"""The head that is kept answers alike, fitted in memory or in passes over the bank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from thawline.search.room import holds
from thawline.work import final_head as module
from thawline.work.final_head import fit_head, logits_of

NO_ROOM = 1


def trial_of(compared, head):
    """Return the best frozen trial with a head of a kind."""
    return next(trial for trial in compared.leaderboard.trials if trial.strategy.head == head)


def shares(head, compared, trial):
    pool = compared.split.pool
    return softmax(logits_of(head, compared, rows=pool, blocks=trial.strategy.blocks).astype(float), axis=1)


@pytest.mark.parametrize("head", ["linear", "together", "class mean"])
def test_what_is_fitted_in_passes_answers_as_what_is_fitted_in_memory(compared, head, monkeypatch):
    trial, pool = trial_of(compared, head), compared.split.pool
    held = fit_head(compared, trial, rows=pool)
    passes = []
    for name in ("fit_streamed", "class_mean_streamed"):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, whole=whole, **facts: passes.append(1) or whole(*args, **facts))
    vast = replace(compared, room=NO_ROOM)
    read = fit_head(vast, trial, rows=pool)
    assert len(passes) == (len(trial.members) or 1)
    assert type(read) is type(held)
    np.testing.assert_allclose(shares(read, vast, trial), shares(held, compared, trial), atol=2e-2)
    assert np.abs(shares(read, vast, trial) - shares(held, compared, trial)).mean() < 1e-3
    fit_head(compared, trial, rows=pool)
    assert len(passes) == (len(trial.members) or 1)


def test_neighbours_are_those_of_the_sample(compared):
    trial, pool = trial_of(compared, "k-NN"), compared.split.pool
    some = pool[::2]
    sample = replace(compared.split, folds=((some[::2], some[1::2]),))
    read = fit_head(replace(compared, room=NO_ROOM, sample=sample), trial, rows=pool)
    assert read.labels.tolist() == compared.dataset.labels[some].tolist()
    assert len(fit_head(compared, trial, rows=pool).labels) == len(pool)


def test_answers_that_are_read_in_parts_are_those_that_are_read_at_once(compared, monkeypatch):
    trial, pool = trial_of(compared, "linear"), compared.split.pool
    head, blocks = fit_head(compared, trial, rows=pool), trial.strategy.blocks
    at_once = logits_of(head, compared, rows=pool, blocks=blocks)
    monkeypatch.setattr(module, "logits_in_parts", lambda head, table: np.concatenate([head.logits(table[:])]))
    assert np.array_equal(logits_of(head, replace(compared, room=NO_ROOM), rows=pool, blocks=blocks), at_once)
    monkeypatch.undo()
    in_parts = logits_of(head, replace(compared, room=NO_ROOM), rows=pool, blocks=blocks)
    np.testing.assert_allclose(in_parts, at_once, atol=1e-4)


def test_the_rule_is_by_bytes(compared, monkeypatch):
    trial, pool = trial_of(compared, "linear"), compared.split.pool
    columns = sum(compared.bank.spec.widths[block] for block in trial.strategy.blocks)
    size = {"num_rows": len(pool), "num_columns": columns}
    least = next(room for room in range(4 * len(pool) * columns, 1 << 40, 4) if holds(room, **size))
    monkeypatch.setattr(module, "fit_streamed", lambda *args, **facts: 1 / 0)
    fit_head(replace(compared, room=least), trial, rows=pool)
    with pytest.raises(ZeroDivisionError):
        fit_head(replace(compared, room=least - 4), trial, rows=pool)
