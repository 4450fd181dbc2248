"""Who leads, ties and wins, above all where a strategy answered only some of the folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contest_cases import NUM_FOLDS, every, judged, rows_of, told, wrong_at

from thawline.search.choosing import score_choosing
from thawline.search.judge import rank


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


def test_of_several_better_ones_the_furthest_ahead_leads():
    rows = rows_of(300)
    frozen = told("frozen", wrong_at(300, every(300, 2)), rows)
    good = told("good", wrong_at(300, every(300, 5)), rows, cost=0.2, folds=[0])
    best = told("best", wrong_at(300, []), rows, folds=[0])
    _, order, winner = judged([frozen, good, best], rows)
    assert order == ["best", "good", "frozen"]
    assert winner == "best"


def test_a_complete_strategy_tied_with_a_partial_leader_does_not_win_for_being_cheap():
    rows = rows_of(1000)
    first, second = np.arange(200), np.arange(200, 1000)
    leader = told("tuned", wrong_at(1000, [0]), rows, cost=1.2, folds=[0])
    steady = told("steady", wrong_at(1000, [3], second[::3]), rows, cost=0.5)  # as good on the fold, poor elsewhere
    frozen = told("frozen", wrong_at(1000, first[::3], second[::8]), rows, cost=1.0)
    trials, order, winner = judged([leader, steady, frozen], rows)
    assert (order[0], winner) == ("tuned", "tuned")
    assert trials["steady"].tied
    assert not trials["frozen"].tied


def test_the_most_credit_leads_though_another_scores_above_it():
    """`clear` is wrong once more, but right by far; what scores above it is tied, not the leader."""
    rows, rng = rows_of(400), np.random.default_rng(0)
    right = wrong_at(400, every(400, 10))
    close = told("close", right, rows)
    clear = told("clear", right & (np.arange(400) != 5), rows)
    clear = replace(clear, credit=np.where(clear.scores > 0.5, 0.9, 0.3) + rng.normal(0, 0.01, 400))
    trials, order, winner = judged([close, clear], rows)
    assert (order, winner) == (["clear", "close"], "clear")
    assert trials["close"].mean > trials["clear"].mean
    assert trials["close"].difference == pytest.approx(1 / 400)
    assert trials["close"].tied
    assert trials["clear"].credit > trials["close"].credit


@pytest.mark.parametrize(("noise", "winner"), [(0.0, "cheap"), (0.05, "dear")])
def test_a_cheaper_one_wins_only_where_it_is_shown_to_lose_hardly_anything(noise, winner):
    """The mean credit is the same 0.1 points less in both; what differs is how sure the pictures make it."""
    rows, rng = rows_of(400), np.random.default_rng(0)
    dear, cheap = (
        told(name, wrong_at(400, every(400, 10)), rows, cost=cost) for name, cost in (("dear", 1.0), ("cheap", 0.5))
    )
    shift = rng.normal(0, 1, 400)
    cheap = replace(cheap, credit=dear.credit - 0.001 + noise * (shift - shift.mean()))
    trials, order, won = judged([dear, cheap], rows)
    assert (order, won) == (["dear", "cheap"], winner)
    assert trials["cheap"].tied


@pytest.mark.parametrize(("cost", "winner"), [(0.97, "cheap"), (0.985, "dear")])
def test_what_saves_hardly_anything_is_not_cheaper(cost, winner):
    rows = rows_of(400)
    dear, cheap = (told(name, wrong_at(400, [1]), rows, cost=c) for name, c in (("dear", 1.0), ("cheap", cost)))
    cheap = replace(cheap, credit=dear.credit - 1e-4)
    assert judged([dear, cheap], rows)[2] == winner


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


def test_of_equally_cheap_and_equally_good_ones_the_cheaper_wins():
    rows = rows_of(500)
    right = wrong_at(500, [0, 1])
    scored = [told("dear", right, rows, cost=0.503), told("cheap", right, rows, cost=0.499)]
    assert judged(scored, rows)[2] == judged(scored[::-1], rows)[2] == "cheap"


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
    chosen = [score_choosing(s, rows, winner=without[winner]) for s in (complete, [partial, *complete])]
    assert chosen[0] == chosen[1]


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
        rank([first, last], rows, full_pass_ms=1.0)
    with pytest.raises(ValueError, match=r"rank: no row was answered by all 3 strategies; at least one must be\. Let"):
        rank([frozen, first, last], rows, full_pass_ms=1.0)
    for eligible in ([False, False], [True]):
        with pytest.raises(
            ValueError, match=r"rank: \d of \d entries may win; at least one of 2 must\. Pass one entry"
        ):
            rank([frozen, first], rows, full_pass_ms=1.0, eligible=eligible)


def test_where_nothing_is_chosen_the_best_score_leads():
    rows = rows_of(400)
    better, clearer = told("better", wrong_at(400, [1]), rows), told("clearer", wrong_at(400, [2, 3]), rows)
    clearer = replace(clearer, credit=np.ones(400))
    assert rank([better, clearer], rows, full_pass_ms=1.0)[2] == [1, 0]
    assert rank([better, clearer], rows, full_pass_ms=1.0, by="score")[2] == [0, 1]
