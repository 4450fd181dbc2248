"""A budget is spent on the promising plans, and every plan's fate is told; clocks are faked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from budget_cases import EPOCHS, NUM_FOLDS, World

from thawline.train import budget
from thawline.train.context import Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.tried import Candidate

FOUR = {"head": 1.0, "last 20 %": 2.0, "last 5 blocks": 3.0, "all": 4.0}


def test_the_better_half_goes_on_and_then_the_others(monkeypatch):
    world = World(monkeypatch, FOUR, wrong={"head": 2, "last 20 %": 1, "last 5 blocks": 0, "all": 2})
    tried = world.spend(1000)
    assert world.ran[:4] == [("head", 0), ("last 20 %", 0), ("last 5 blocks", 0), ("all", 0)]  # the cheapest first
    assert world.ran[4:6] == [("last 5 blocks", 1), ("last 20 %", 1)]  # the best first
    assert {name: one.outcome for name, one in tried.items()} == dict.fromkeys(FOUR, "ran 4 of 4 folds")
    assert tried["last 20 %"].took_s == pytest.approx(4 * EPOCHS * 2)
    assert list(tried) == list(FOUR)  # in the order that they were given


def test_what_is_measured_worse_gets_no_more(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 1.0}, wrong={"head": 8})
    tried = world.spend(1000)
    assert tried["head"].outcome == "ran 1 of 4 folds; measured worse than the best frozen strategy"
    assert tried["all"].outcome == "ran 4 of 4 folds"


def test_plans_shrink_and_what_ran_is_told(monkeypatch):
    world = World(monkeypatch, FOUR, wrong=dict.fromkeys(FOUR, 1))
    tried = world.spend(50)  # whole they take 40 seconds a fold
    assert [name for name, fold in world.ran if fold == 0] == list(FOUR)
    assert all(2 <= one.epochs[0] < EPOCHS for one in tried.values())
    assert all(one.is_shortened for one in tried.values())
    one = tried["all"]
    assert one.outcome.startswith(f"ran {len(one.folds)} of 4 folds, {one.epochs[0]:.3g} of 4 epochs")
    assert one.outcome.endswith("; then not enough of the budget was left")
    assert world.now_s <= 50


def test_what_does_not_fit_is_left_out_and_says_what_it_needs(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 20.0})
    tried = world.spend(30)
    assert (
        tried["all"].outcome == f"left out: it takes 90 s or more, and {30 - world.now_s - 5:.0f} s were left"
    )  # 5 are kept back
    assert tried["all"].folds == []
    assert tried["head"].folds
    assert World(monkeypatch, {"all": 20.0}).spend(-3.0)["all"].outcome == (
        "left out: it takes 90 s or more, and 0 s were left"
    )


def test_forecasting_may_take_a_small_share(monkeypatch):
    world = World(monkeypatch, FOUR)
    world.spend(200)
    assert world.limits["limit_s"] == pytest.approx(10)


def test_a_machine_that_is_three_times_slower_than_forecast_ends_on_time(monkeypatch):
    forecasts_s = {name: takes_s / 3 for name, takes_s in FOUR.items()}
    for seconds in (20, 40, 80, 200):
        world = World(monkeypatch, FOUR, wrong=dict.fromkeys(FOUR, 1), forecasts_s=forecasts_s)
        tried = world.spend(seconds)
        assert world.now_s <= seconds
        assert any(one.folds for one in tried.values())
        assert tried["head"].ratio == pytest.approx(3, rel=0.1)


def test_what_a_fold_took_is_expected_of_the_next(monkeypatch):
    world = World(monkeypatch, {"all": 3.0}, wrong={"all": 0}, forecasts_s={"all": 1.0}, growth=1.0)
    tried = world.spend(40)["all"]  # a fold and the final run take 24 seconds; by the forecast 8
    assert len(tried.folds) == 2
    assert world.now_s + tried.final_s == pytest.approx(36, rel=0.01)


def test_the_cache_is_filled_once(monkeypatch):
    tried = World(monkeypatch, {"all": 1.0}, wrong={"all": 1}, prefix_s=3.0).spend(200)["all"]
    assert tried.took_s == pytest.approx(3 + NUM_FOLDS * EPOCHS)
    assert tried.expected_s == pytest.approx(3 + NUM_FOLDS * EPOCHS)


def test_what_an_earlier_start_of_the_run_spent_is_counted(monkeypatch):
    whole = World(monkeypatch, {"head": 1.0, "all": 2.0}, wrong={"head": 1, "all": 1})
    expected = {name: len(one.folds) for name, one in whole.spend(40).items()}
    again = World(monkeypatch, {"head": 1.0, "all": 2.0}, wrong={"head": 1, "all": 1})
    again.earlier_s = {(name, fold): EPOCHS * again.takes_s[name] for name, fold in whole.ran[:3]}
    assert {name: len(one.folds) for name, one in again.spend(40).items()} == expected
    assert again.ran == whole.ran
    assert sum(again.counted_in) == pytest.approx(sum(again.earlier_s.values()))
    assert again.now_s == pytest.approx(whole.now_s - sum(again.earlier_s.values()))


def test_a_smaller_input_is_tried_where_the_whole_one_does_not_fit(monkeypatch):
    world, asked = World(monkeypatch, {"all": 20.0}), []

    def at_side(side):
        asked.append(side)
        world.takes_s = {"all": 20.0 * side * side}
        small = SimpleNamespace(**vars(world.ground))
        backbone = SimpleNamespace(input=SimpleNamespace(size_px=round(224 * side)))
        small.context = SimpleNamespace(**vars(world.ground.context) | {"network": SimpleNamespace(backbone=backbone)})
        return small

    world.candidates = [Candidate(world.plans[0], world.ground, at_side=at_side)]
    tried = world.spend(45)["all"]
    assert (asked, tried.side) == ([0.75], 0.75)
    assert ", at 168 px" in tried.outcome
    assert tried.candidate.ground is not world.ground


def test_better_means_against_the_best_frozen_strategy_on_the_rows_answered(monkeypatch):
    world = World(monkeypatch, {"head": 1.0}, wrong={"head": 2})
    (one,) = budget.untried(world.candidates)
    one.folds.append(world.answer(world.plans[0], None, 1, budget.UNLIMITED))
    lead, p_value = budget._lead(one)
    assert lead == pytest.approx(-0.1)  # 8 of 10 right where the best frozen one has 9
    assert p_value > 0.05


def test_named_plans_run_the_folds_that_were_asked_for(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 2.0})
    tried = budget.try_named(world.candidates)
    assert world.ran == [(name, fold) for name in ("head", "all") for fold in range(3)]
    assert [one.outcome for one in tried] == ["ran 3 of 4 folds"] * 2
    assert [one.took_s for one in tried] == pytest.approx([12, 24])


def test_no_more_folds_are_run_than_there_are(monkeypatch):
    world = World(monkeypatch, {"head": 1.0})
    world.ground.context.training = TrainOptions(score_folds=9)
    assert len(budget.try_named(world.candidates)[0].folds) == NUM_FOLDS


def test_each_candidate_is_tried_with_its_own_options(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 2.0})
    own = SimpleNamespace(**vars(world.ground))
    own.context = SimpleNamespace(**vars(world.ground.context) | {"training": TrainOptions(score_folds=1)})
    first, second = budget.try_named([world.candidates[0], Candidate(world.plans[1], own, "my row")])
    assert (len(first.folds), len(second.folds)) == (3, 1)
    assert (first.name, second.name) == ("head", "my row")


def test_where_nothing_trains_nothing_is_tried():
    assert budget.try_named([]) == ()
    assert budget.spend([], left_s=lambda: 1.0, count_in=print) == ()


class Side:
    """A crew of several workers on the world's clock: whoever ends first is waited for first.

    The world's own `answer` does a run; here the clock is turned back to when it began, and on to when the first ends.
    """

    speed = 1.0

    def __init__(self, world, count):
        self.world, self.count, self.running, self.done, self.most = world, count, [], {}, 0

    def begin(self, fit, *, share=1):
        world, start = self.world, self.world.now_s
        self.done[fit.plan.name, fit.fold] = world.answer(fit.plan, fit.ground, fit.fold, fit.allowance)
        self.running.append((start + (world.now_s - start) / share, fit))
        world.now_s = start
        self.most = max(self.most, len(self.running))

    def wait(self):
        ends_at, fit = min(self.running, key=lambda run: run[0])
        self.running.remove((ends_at, fit))
        self.world.now_s = max(self.world.now_s, ends_at)
        return fit


def side_by_side(monkeypatch, world, count):
    crew = Side(world, count)
    world.ground.context.machine = Machine(None, crew=crew)
    monkeypatch.setattr(budget, "answer_fold", lambda plan, ground, fold, allowance: crew.done[plan.name, fold])
    return crew


@pytest.mark.parametrize("count", [2, 4])
def test_several_workers_answer_what_one_would_in_less_time(monkeypatch, count):
    wrong = {"head": 2, "last 20 %": 1, "last 5 blocks": 0, "all": 2}
    alone = World(monkeypatch, FOUR, wrong=wrong)
    expected = {name: one.outcome for name, one in alone.spend(1000).items()}
    world = World(monkeypatch, FOUR, wrong=wrong)
    crew = side_by_side(monkeypatch, world, count)
    tried = world.spend(1000)
    assert {name: one.outcome for name, one in tried.items()} == expected
    assert all([done.fold for done in one.folds] == [0, 1, 2, 3] for one in tried.values())
    assert crew.most == count
    longest_s = NUM_FOLDS * EPOCHS * FOUR["all"]  # the folds of one plan come one after the other
    assert world.now_s <= max(1.3 * alone.now_s / count, 1.01 * longest_s)


@pytest.mark.parametrize("seconds", [20, 30, 50])
def test_one_clock_holds_for_all_workers(monkeypatch, seconds):
    alone = World(monkeypatch, FOUR, wrong=dict.fromkeys(FOUR, 1))
    before = sum(len(one.folds) for one in alone.spend(seconds).values())
    world = World(monkeypatch, FOUR, wrong=dict.fromkeys(FOUR, 1))
    side_by_side(monkeypatch, world, 4)
    tried = world.spend(seconds)
    assert world.now_s <= seconds
    assert sum(len(one.folds) for one in tried.values()) > before
    assert all(sum(one.epochs) for one in tried.values())


def test_what_fits_for_no_worker_is_left_out_by_all(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 20.0})
    side_by_side(monkeypatch, world, 2)
    tried = world.spend(30)
    assert tried["all"].outcome.startswith("left out: it takes 90 s or more")
    assert tried["head"].folds


def test_workers_that_are_left_over_train_together(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 20.0})
    crew = side_by_side(monkeypatch, world, 8)
    shares = []
    begin = crew.begin
    crew.begin = lambda fit, *, share: (shares.append(share), begin(fit, share=share))
    tried = world.spend(100)
    assert set(shares) == {4}
    assert len(tried["all"].folds) >= 1  # on one worker a fold and the final run of it would take 90 s and more


def test_named_plans_are_the_same_whichever_fold_ends_first(monkeypatch):
    world = World(monkeypatch, {"all": 2.0, "head": 1.0}, wrong={"all": 1})
    expected = [[done.logits.tolist() for done in one.folds] for one in budget.try_named(world.candidates)]
    again = World(monkeypatch, {"all": 2.0, "head": 1.0}, wrong={"all": 1})
    crew = side_by_side(monkeypatch, again, 3)
    tried = budget.try_named(again.candidates)
    assert [[done.logits.tolist() for done in one.folds] for one in tried] == expected
    assert [one.plan.name for one in tried] == ["all", "head"]
    assert crew.most == 3
