"""Who leads, ties and wins, above all where a strategy answered only some of the folds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from thawline.core.intervals import accuracy_interval, group_bootstrap
from thawline.core.types import Curve
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.search import judge
from thawline.search.answers import Rows, answers_from
from thawline.search.judge import rank, score_choosing
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
    logits = np.where(predicted[0, :, None] >= 0, np.eye(2)[predicted[0]], np.nan)
    strategy = Strategy("drawn", (0,), ("mean",), "linear", name, cost, kind=kind)
    choice = 1 if folds is None else None
    return answers_from(strategy, predicted, logits=logits, rows=rows, seconds=2.0, choice=choice, curve=curve)


def wrong_at(n, *places):
    return ~np.isin(np.arange(n), np.concatenate([np.atleast_1d(p) for p in places]))


def judged(scored, rows, eligible=None):
    """Return the trials by name, the order of names, and the winner's."""
    trials, winner, order = rank(scored, rows, full_pass_ms=10.0, seed=0, eligible=eligible)
    assert [trial.name for trial in trials] == [scored[index].strategy.name for index in order]
    return {trial.name: trial for trial in trials}, [trial.name for trial in trials], trials[winner].name


def every(n, step, start=0):
    return np.arange(start, n, step)


def test_a_lucky_fold_does_not_win_though_it_has_the_best_mean_and_costs_least():
    rows = rows_of(100)
    frozen = told("frozen", wrong_at(100, every(100, 7)), rows)
    lucky = told("lucky", np.ones(100, bool), rows, cost=0.1, folds=[0])
    trials, order, winner = judged([lucky, frozen], rows)
    assert trials["lucky"].mean == 1 > trials["frozen"].mean
    assert (order[0], winner) == ("frozen", "frozen")
    assert (trials["lucky"].num_pictures, trials["frozen"].num_pictures) == (20, 100)


def test_a_partial_strategy_may_tie_but_does_not_win_by_its_cost():
    rows = rows_of(1000)
    frozen = told("frozen", wrong_at(1000, every(1000, 7)), rows)
    same = told("same", wrong_at(1000, every(1000, 7)), rows, cost=0.1, folds=[0])
    trials, _, winner = judged([frozen, same], rows)
    assert trials["same"].tied
    assert trials["same"].difference == 0
    assert winner == "frozen"


def test_a_partial_strategy_that_is_better_for_sure_leads_and_wins():
    rows = rows_of(300)
    frozen = told("frozen", wrong_at(300, every(300, 3)), rows)
    worse = told("worse", wrong_at(300, every(300, 2)), rows)
    tuned = told("tuned", wrong_at(300, [5]), rows, cost=1.2, folds=[0])
    scored = [frozen, worse, tuned]
    trials, order, winner = judged(scored, rows)
    assert order == ["tuned", "frozen", "worse"]
    assert winner == "tuned"
    best, other = trials["tuned"], trials["frozen"]
    assert (best.difference, best.difference_low, best.difference_high, best.p_value) == (0, 0, 0, 1)
    assert best.tied
    assert other.difference == pytest.approx((60 - 20) / 60 - 59 / 60)  # on the shared fold
    assert other.difference_low <= other.difference <= other.difference_high < 0
    assert other.p_value < 0.01
    assert score_choosing(scored, rows, winner=best, seed=0) == (best.mean, best.low, best.high)


def test_of_several_better_ones_the_furthest_ahead_leads():
    rows = rows_of(300)
    frozen = told("frozen", wrong_at(300, every(300, 2)), rows)
    good = told("good", wrong_at(300, every(300, 5)), rows, cost=0.2, folds=[0])
    best = told("best", wrong_at(300, []), rows, folds=[0])
    _, order, winner = judged([frozen, good, best], rows)
    assert order == ["best", "good", "frozen"]
    assert winner == "best"


def test_a_complete_strategy_tied_with_a_partial_leader_wins_if_it_is_cheaper():
    rows = rows_of(1000)
    first, second = np.arange(200), np.arange(200, 1000)
    leader = told("tuned", wrong_at(1000, [0]), rows, cost=1.2, folds=[0])
    steady = told("steady", wrong_at(1000, [3], second[::3]), rows, cost=0.5)  # as good on the fold, poor elsewhere
    frozen = told("frozen", wrong_at(1000, first[::3], second[::8]), rows, cost=1.0)
    trials, order, winner = judged([leader, steady, frozen], rows)
    assert order[0] == "tuned"
    assert trials["steady"].tied
    assert not trials["frozen"].tied
    assert winner == "steady"


def test_an_easy_fold_does_not_lift_a_partial_strategy():
    rows = rows_of(200)
    hard = np.arange(40, 200)
    leader = told("leader", wrong_at(200, hard[::4]), rows)
    second = told("second", wrong_at(200, hard[::4], [0, 1]), rows)
    easy = told("easy", wrong_at(200, [0, 1, 2]), rows, folds=[0])
    trials, order, _ = judged([easy, second, leader], rows)
    assert (trials["easy"].mean, trials["leader"].mean) == (pytest.approx(37 / 40), 0.8)
    assert order == ["leader", "second", "easy"]
    assert trials["easy"].difference == pytest.approx(-3 / 40)


def test_only_the_eligible_win():
    rows = rows_of(200)
    frozen = told("frozen", wrong_at(200, [0]), rows, cost=0.5)
    tied = told("tied", wrong_at(200, [1]), rows, cost=1.0)
    better = told("better", wrong_at(200, every(200, 4)), rows, folds=range(NUM_FOLDS))
    worse = told("worse", wrong_at(200, every(200, 2)), rows, cost=0.1, folds=range(NUM_FOLDS))
    scored = [frozen, tied, better, worse]
    assert judged(scored, rows)[2] == "frozen"
    assert judged(scored, rows, [False, True, True, True])[2] == "tied"
    trials, order, winner = judged(scored, rows, [False, False, True, True])
    assert winner == "better"  # none of the two is tied: the nearer one, though the other is cheaper
    assert order[0] == "frozen"
    assert not trials["better"].tied


def test_where_only_partial_ones_may_win_the_usual_rules_hold_among_them():
    rows = rows_of(1000)
    frozen = told("frozen", wrong_at(1000, every(1000, 9)), rows)
    dear = told("dear", wrong_at(1000, every(1000, 9)), rows, cost=1.2, folds=[0])
    cheap = told("cheap", wrong_at(1000, every(1000, 9)), rows, cost=1.0, folds=[0])
    poor = told("poor", wrong_at(1000, every(1000, 2)), rows, cost=0.1, folds=[0])
    scored = [frozen, dear, cheap, poor]
    assert judged(scored, rows, [False, True, True, True])[2] == "cheap"
    assert judged(scored, rows, [True, True, True, True])[2] == "frozen"
    assert judged([frozen, poor], rows, [False, True])[2] == "poor"


def test_a_network_tuned_in_one_repeat_is_complete_and_the_cheaper_of_a_tie_wins():
    rows = rows_of(500)
    frozen = told("frozen", wrong_at(500, [0, 1]), rows, cost=1.0)
    tuned = told("tuned", wrong_at(500, [2, 3]), rows, cost=0.6, folds=range(NUM_FOLDS))
    scored = [frozen, tuned]
    trials, _, winner = judged(scored, rows)
    assert winner == "tuned"
    assert trials["tuned"].tied
    assert trials["tuned"].num_pictures == 500
    assert len(trials["tuned"].fold_scores) == NUM_FOLDS
    assert trials["tuned"].accuracy == trials["tuned"].mean == pytest.approx(498 / 500)
    mean, low, high = score_choosing(scored, rows, winner=trials["tuned"], seed=0)
    assert mean == pytest.approx(498 / 500)  # what the repeat without answers would have said is not held against it
    assert low < mean < high


@pytest.mark.parametrize(("cheaper", "winner"), [(0.501, "better"), (0.494, "cheap")])
def test_costs_are_compared_in_hundredths_and_the_better_of_equally_cheap_ones_wins(cheaper, winner):
    """0.501 and 0.504 are both 0.50; 0.494 is 0.49."""
    rows = rows_of(500)
    better = told("better", wrong_at(500, [0, 1]), rows, cost=0.504)
    cheap = told("cheap", wrong_at(500, [2, 3, 4]), rows, cost=cheaper)
    for scored in ([better, cheap], [cheap, better]):
        trials, order, chosen = judged(scored, rows)
        assert order == ["better", "cheap"]
        assert trials["cheap"].tied
        assert chosen == winner


def test_of_equally_cheap_and_equally_good_ones_the_cheaper_wins():
    rows = rows_of(500)
    right = wrong_at(500, [0, 1])
    scored = [told("dear", right, rows, cost=0.503), told("cheap", right, rows, cost=0.499)]
    assert judged(scored, rows)[2] == judged(scored[::-1], rows)[2] == "cheap"


def test_the_choosing_scores_each_fold_by_what_the_rows_outside_it_choose():
    """`uneven` is the best without its bad fold, fails on it, and elsewhere that fold speaks against it."""
    rows = rows_of(200, num_repeats=1)
    uneven = told("uneven", wrong_at(200, np.arange(40)), rows)
    steady = told("steady", wrong_at(200, np.arange(40, 200)[::4], np.arange(41, 200)[::20]), rows, cost=0.5)
    trials, order, winner = judged([uneven, steady], rows)
    assert (order, winner) == (["uneven", "steady"], "uneven")
    assert not trials["steady"].tied
    mean, low, high = score_choosing([uneven, steady], rows, winner=trials["uneven"], seed=0)
    right = np.concatenate([np.zeros(40), steady.scores[40:]])
    assert mean == pytest.approx(right.mean()) != pytest.approx(trials["uneven"].mean)
    assert (low, high) == accuracy_interval(right, np.arange(200))


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
    monkeypatch.setattr(judge, "_judge", choose)
    mean, low, high = score_choosing(scored, rows, winner=trial, seed=0)
    hits = np.zeros((2, 100))
    for choice, repeat, held_out in zip(choices, rows.repeat, rows.held_out, strict=True):
        hits[repeat, held_out] = scored[choice].predicted[repeat, held_out] == rows.labels[held_out]
    by_row = (hits * rows.weight).mean(axis=0)
    assert len(set(choices)) == 2
    assert mean == pytest.approx(by_row.mean())
    interval = group_bootstrap if balanced else accuracy_interval
    np.testing.assert_allclose((low, high), interval(by_row, np.arange(100)))
    assert [contest.num_resamples for contest in contests] == [500] * 10
    for contest, held_out in zip(contests, rows.held_out, strict=True):
        outside = np.setdiff1d(np.arange(100), held_out)
        assert np.array_equal(contest.scores[:, 0], scored[0].scores[outside])
        assert np.array_equal(contest.groups, outside)


def test_one_fold_of_all_rows_chooses_for_itself():
    rows = rows_of(100)
    rows = replace(rows, held_out=(np.arange(100),), repeat=np.array([0]), train=np.zeros((100, 1), np.float32))
    scored = [told("good", wrong_at(100, [0]), rows), told("poor", wrong_at(100, every(100, 3)), rows)]
    trials, _, winner = judged(scored, rows)
    assert score_choosing(scored, rows, winner=trials[winner], seed=0)[0] == trials["good"].mean == 0.99


def test_the_choosing_honours_who_may_win():
    rows = rows_of(500)
    frozen = told("frozen", wrong_at(500, [0]), rows)
    tuned = told("tuned", wrong_at(500, every(500, 5)), rows, folds=range(NUM_FOLDS))
    trials, _, winner = judged([frozen, tuned], rows, [False, True])
    assert winner == "tuned"
    chosen = score_choosing([frozen, tuned], rows, winner=trials["tuned"], seed=0, eligible=[False, True])
    assert chosen[0] == pytest.approx(0.8)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_partial_strategy_changes_nothing_for_the_others(balanced):
    n = 200
    weight = np.where(np.arange(n) // 2 % 2, 0.5, 1.5) if balanced else None
    rows = rows_of(n, weight=weight, groups=np.arange(n) // 4)
    rng = np.random.default_rng(0)
    complete = [told(f"frozen {i}", rng.random(n) < 0.8, rows, cost=0.1 * i) for i in range(6)]
    partial = told("partial", rng.random(n) < 0.7, rows, cost=0.01, folds=[0, 1])
    with_it, order, winner = judged([*complete[:3], partial, *complete[3:]], rows)
    without, order_without, winner_without = judged(complete, rows)
    assert [name for name in order if name != "partial"] == order_without
    assert winner == winner_without
    assert {name: trial for name, trial in with_it.items() if name != "partial"} == without
    chosen = [score_choosing(s, rows, winner=without[winner], seed=0) for s in (complete, [partial, *complete])]
    assert chosen[0] == chosen[1]


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
        assert (trial.low, trial.high) == accuracy_interval(right[:20].astype(float), np.arange(20))
    assert trial.low < trial.mean < trial.high
    assert trial.mean == pytest.approx((1 * 5 + 15 * 5 / 9) / (4 * 5 + 16 * 5 / 9) if balanced else 16 / 20)
    assert trial.low >= 0
    assert trial.high <= 1
    assert trial.difference == pytest.approx(trial.mean - 1)
    gaps = (partial.scores - frozen.scores)[:20] / rows.weight[:20].mean()
    ends = group_bootstrap(gaps, np.arange(20))
    np.testing.assert_allclose((trial.difference_low, trial.difference_high), ends)
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


def test_copies_count_once_in_a_partial_duel():
    """Sixty rows of a fold are evidence; three photos, twenty times each, are not."""
    right = wrong_at(300, every(300, 3))
    for groups, leads in ((np.arange(300), True), (np.arange(300) // 20, False)):
        rows = rows_of(300, groups=groups)
        frozen = told("frozen", right, rows)
        tuned = told("tuned", np.ones(300, bool), rows, folds=[0])
        assert (judged([frozen, tuned], rows)[1][0] == "tuned") is leads


def test_what_cannot_be_ranked_is_refused():
    rows = rows_of(50)
    frozen = told("frozen", np.ones(50, bool), rows)
    first, last = (told(f"fold {fold}", np.ones(50, bool), rows, folds=[fold]) for fold in (0, 4))
    with pytest.raises(ValueError, match=r"rank: none of 2 strategies answered all 50 rows; at least one must\. Rank"):
        rank([first, last], rows, full_pass_ms=1.0, seed=0)
    with pytest.raises(ValueError, match=r"rank: no row was answered by all 3 strategies; at least one must be\. Let"):
        rank([frozen, first, last], rows, full_pass_ms=1.0, seed=0)
    for eligible in ([False, False], [True]):
        with pytest.raises(
            ValueError, match=r"rank: \d of \d entries may win; at least one of 2 must\. Pass one entry"
        ):
            rank([frozen, first], rows, full_pass_ms=1.0, seed=0, eligible=eligible)
