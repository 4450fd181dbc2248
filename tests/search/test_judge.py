"""What a trial says of a strategy: its score, its interval, its settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contest_cases import NUM_FOLDS, every, judged, rows_of, told, wrong_at
from sklearn.metrics import f1_score

from thawline.core.intervals import wilson
from thawline.core.types import Curve
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.search.choosing import score_choosing
from thawline.search.judge import rank
from thawline.search.spread import MEANS_FACTOR


def test_a_network_tuned_in_one_repeat_is_complete_and_the_cheaper_of_equals_wins():
    rows = rows_of(500)
    frozen = told("frozen", wrong_at(500, [0, 1]), rows, cost=1.0)
    tuned = told("tuned", wrong_at(500, [0, 1]), rows, cost=0.6, folds=range(NUM_FOLDS))
    scored = [frozen, tuned]
    trials, _, winner = judged(scored, rows)
    assert winner == "tuned"
    assert trials["tuned"].tied
    assert trials["tuned"].num_pictures == 500
    assert len(trials["tuned"].fold_scores) == NUM_FOLDS
    assert trials["tuned"].accuracy == trials["tuned"].mean == pytest.approx(498 / 500)
    chosen = score_choosing(scored, rows, winner=trials["tuned"])
    assert chosen.mean == pytest.approx(498 / 500)  # the repeat without answers is not held against it
    assert chosen.low < chosen.mean < chosen.high


def test_an_interval_is_a_forecast_and_that_of_a_final_model_is_not():
    rows = rows_of(200)
    scored = [told("good", wrong_at(200, every(200, 5)), rows)]
    (forecast,), (grown,), (final,) = (
        rank(scored, rows, full_pass_ms=1.0, **given)[0] for given in ({}, {"growth": 0.02}, {"is_forecast": False})
    )
    assert forecast.mean == grown.mean == final.mean == 0.8
    assert forecast.high - forecast.low == pytest.approx((final.high - final.low) * MEANS_FACTOR**0.5, rel=0.02)
    assert (grown.low - forecast.low, grown.high - forecast.high) == pytest.approx((0.02, 0.02), abs=0.003)


@pytest.mark.parametrize("mean", [1.0, 0.995])
def test_a_score_near_certainty_keeps_an_open_interval(mean):
    rows = rows_of(200)
    trial = judged([told("good", wrong_at(200, np.arange(round(200 * (1 - mean)))), rows)], rows)[0]["good"]
    low, high = wilson(mean * 200 / MEANS_FACTOR, 200 / MEANS_FACTOR)
    assert trial.low == pytest.approx(low, abs=0.01)
    assert trial.high == pytest.approx(high, abs=0.01)


def test_class_sizes_are_no_chance_where_classes_weigh_alike():
    """Nine of ten pictures are of one class: their number does not widen the interval of a balanced accuracy."""
    rows = rows_of(400)
    labels = (np.arange(400) % 10 == 0).astype(np.int64)
    rows = replace(rows, labels=labels, weight=np.where(labels, 5, 5 / 9))
    right = wrong_at(400, np.flatnonzero(labels)[:4], np.flatnonzero(1 - labels)[:36])
    trial = judged([told("good", right, rows)], rows)[0]["good"]
    assert trial.mean == pytest.approx(0.9)
    error = (MEANS_FACTOR * 0.09 / 4 * (1 / 40 + 1 / 360)) ** 0.5  # of the mean of two shares of 0.9
    assert trial.high - trial.low == pytest.approx(2 * 1.96 * error, rel=0.1)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_trial_is_scored_over_its_own_rows(balanced):
    rows = rows_of(100)
    if balanced:  # the first fold has more than its share of the rare class
        labels = np.isin(np.arange(100), [0, 1, 2, 3, 40, 60, 61, 80, 90, 99]).astype(np.int64)
        rows = replace(rows, labels=labels, weight=np.where(labels, 5, 5 / 9))
    right = wrong_at(100, [0, 1, 2, 7, 50])
    frozen = told("frozen", np.ones(100, bool), rows)
    partial = told("partial", right, rows, folds=[0])
    trial = judged([frozen, partial], rows)[0]["partial"]
    assert trial.mean == pytest.approx(trial.fold_scores[0])
    assert trial.accuracy == pytest.approx(16 / 20)
    if not balanced:
        assert (trial.low, trial.high) == pytest.approx(wilson(16 / MEANS_FACTOR, 20 / MEANS_FACTOR), abs=0.02)
    assert trial.low < trial.mean < trial.high
    assert trial.mean == pytest.approx((1 * 5 + 15 * 5 / 9) / (4 * 5 + 16 * 5 / 9) if balanced else 16 / 20)
    assert trial.low >= 0
    assert trial.high <= 1
    assert trial.difference == pytest.approx(trial.mean - 1)
    assert trial.difference_low < trial.difference < trial.difference_high < 0.05
    truth, said = rows.labels[:20], np.where(right[:20], rows.labels[:20], 1 - rows.labels[:20])
    assert trial.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))


def test_a_strategys_own_curve_and_choice_reach_its_trial():
    rows = rows_of(50)
    curve = Curve((2.0, 1.0), (2.0, 1.5), (0.5, 0.9), (0.5, 0.7), (0.1, 0.01))
    frozen = told("frozen", np.ones(50, bool), rows)
    tuned = told("tuned", np.ones(50, bool), rows, folds=[0], curve=curve)
    trials = judged([frozen, tuned], rows)[0]
    assert (trials["frozen"].curve, trials["frozen"].l2) == (None, L2_STRENGTHS[1])
    assert (trials["tuned"].curve, trials["tuned"].l2) == (curve, None)
    assert (trials["tuned"].fit_s, trials["tuned"].predict_ms) == (2.0, 10.0)
    voted = replace(frozen, strategy=replace(frozen.strategy, head="k-NN", name="voted"))
    unchosen = replace(voted, strategy=replace(voted.strategy, name="unchosen"), choice=None)
    trials = judged([frozen, voted, unchosen], rows)[0]
    assert (trials["voted"].neighbours, trials["voted"].l2) == (NEIGHBOURS[1], None)
    assert (trials["unchosen"].neighbours, trials["frozen"].neighbours) == (None, None)
