"""What the choosing is worth: each fold scored by what the other folds choose."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from contest_cases import NUM_FOLDS, every, judged, rows_of, told, wrong_at

from thawline.core.intervals import interval_of
from thawline.search.choosing import score_choosing
from thawline.search.contest import Contest
from thawline.search.growth import Growth
from thawline.search.spread import MEANS_FACTOR


def test_the_choosing_scores_each_fold_by_what_the_rows_outside_it_choose():
    """`uneven` has the most credit without its bad fold, and fails on it; elsewhere that fold speaks against it."""
    rows = rows_of(200, num_repeats=1)
    uneven = told("uneven", wrong_at(200, np.arange(40)), rows)
    steady = told("steady", wrong_at(200, np.arange(40, 200)[::4], np.arange(41, 200)[::20]), rows, cost=0.5)
    uneven, steady = (replace(entry, credit=entry.scores) for entry in (uneven, steady))
    trials, order, winner = judged([uneven, steady], rows)
    assert (order, winner) == (["uneven", "steady"], "uneven")
    chosen = score_choosing([uneven, steady], rows, winner=trials["uneven"])
    right = np.concatenate([np.zeros(40), steady.scores[40:]])
    assert chosen.mean == pytest.approx(right.mean()) != pytest.approx(trials["uneven"].mean)
    low, high = interval_of(right.mean(), MEANS_FACTOR * right.var() / 199, most=200 / MEANS_FACTOR)
    assert (chosen.low, chosen.high) == pytest.approx((low, high))
    assert (chosen.growth, chosen.gain) == (0, None)


@pytest.mark.parametrize("balanced", [False, True])
def test_each_fold_is_judged_on_the_rows_outside_it_and_scored_in_its_own_repeat(monkeypatch, balanced):
    weight = np.array([1.0, 0.5, 1.5, 1.0])[np.arange(100) % 4]
    rows = rows_of(100, weight=weight if balanced else None)
    scored, rng = [], np.random.default_rng(0)
    for index in range(2):
        predicted = rng.integers(0, 2, (2, 100))
        scored.append(replace(told(str(index), rng.random(100) < 0.5, rows), predicted=predicted))
    scored = [replace(e, scores=(e.predicted == rows.labels).mean(axis=0) * rows.weight) for e in scored]
    contests, winners = [], iter(rng.integers(0, 2, 10).tolist() * 2)
    choices = []

    def choose(contest):
        contests.append(contest)
        choices.append(next(winners))
        return SimpleNamespace(winner=choices[-1])

    trial = judged(scored, rows)[0]["0"]
    monkeypatch.setattr(Contest, "verdict", choose)
    chosen = score_choosing(scored, rows, winner=trial)
    hits = np.zeros((2, 100))
    for choice, repeat, held_out in zip(choices, rows.repeat, rows.held_out, strict=True):
        hits[repeat, held_out] = scored[choice].predicted[repeat, held_out] == rows.labels[held_out]
    by_row = (hits * rows.weight).mean(axis=0)
    assert len(set(choices)) == 2
    assert chosen.mean == pytest.approx(by_row.mean())
    assert chosen.low < chosen.mean < chosen.high
    for contest, held_out in zip(contests, rows.held_out, strict=True):
        outside = np.setdiff1d(np.arange(100), held_out)
        assert np.array_equal(contest.scores[:, 0], scored[0].scores[outside])
        assert np.array_equal(contest.groups, outside)


def test_one_fold_of_all_rows_chooses_for_itself():
    rows = rows_of(100)
    rows = replace(rows, held_out=(np.arange(100),), repeat=np.array([0]), train=np.zeros((100, 1), np.float32))
    scored = [told("good", wrong_at(100, [0]), rows), told("poor", wrong_at(100, every(100, 3)), rows)]
    trials, _, winner = judged(scored, rows)
    assert score_choosing(scored, rows, winner=trials[winner]).mean == trials["good"].mean == 0.99


def test_the_choosing_honours_who_may_win():
    rows = rows_of(500)
    frozen = told("frozen", wrong_at(500, [0]), rows)
    tuned = told("tuned", wrong_at(500, every(500, 5)), rows, folds=range(NUM_FOLDS))
    trials, _, winner = judged([frozen, tuned], rows, [False, True])
    assert winner == "tuned"
    chosen = score_choosing([frozen, tuned], rows, winner=trials["tuned"], eligible=[False, True])
    assert chosen.mean == pytest.approx(0.8)


def test_a_partial_winner_speaks_for_itself():
    rows = rows_of(300)
    frozen = told("frozen", wrong_at(300, every(300, 3)), rows)
    tuned = told("tuned", wrong_at(300, [5]), rows, folds=[0])
    best = judged([frozen, tuned], rows)[0]["tuned"]
    chosen = score_choosing([frozen, tuned], rows, winner=best, growth=Growth(np.full(300, 0.1)))
    assert (chosen.mean, chosen.low, chosen.high) == (best.mean, best.low, best.high)


def test_what_all_rows_add_is_in_the_forecast_and_its_doubt_in_the_interval():
    rows, rng = rows_of(300), np.random.default_rng(0)
    scored = [told("good", wrong_at(300, every(300, 3)), rows)]
    trial = judged(scored, rows)[0]["good"]
    bare = score_choosing(scored, rows, winner=trial)
    sure = score_choosing(scored, rows, winner=trial, growth=Growth(np.full(300, 0.05)))
    rough = score_choosing(scored, rows, winner=trial, growth=Growth(0.05 + rng.choice([-0.5, 0.5], 300)))
    assert (sure.mean - bare.mean, sure.growth) == (pytest.approx(0.05), pytest.approx(0.05))
    assert sure.high - sure.low == pytest.approx(bare.high - bare.low, rel=0.05)
    assert rough.high - rough.low > 1.2 * (bare.high - bare.low)
    certain = score_choosing(scored, rows, winner=trial, growth=Growth(np.ones(300)))
    assert certain.mean == certain.high == 1


def test_the_gain_compares_the_choosing_with_the_usual_choice_not_the_luckiest():
    """Thirty strategies that guess: the best of them is ahead of the usual one, choosing among them is not."""
    rows, ahead, gains = rows_of(200, num_repeats=1), [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        scored = [told(str(index), rng.random(200) < 0.5, rows) for index in range(30)]
        scored = [replace(entry, credit=entry.scores) for entry in scored]
        trials, _, winner = judged(scored, rows)
        gains.append(score_choosing(scored, rows, winner=trials[winner], usual=scored[0]).gain)
        ahead.append(trials[winner].mean - trials["0"].mean)
    means = np.array([gain.mean for gain in gains])
    assert all(gain.over == "0" and gain.low < gain.mean < gain.high for gain in gains)
    assert np.mean(ahead) > 0.05
    assert abs(means.mean()) < 3 * means.std() / 4
