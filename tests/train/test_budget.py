"""A budget is spent on the promising plans, by halving, and never on what it does not reach; clocks are faked."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thawline.core.types import Curve
from thawline.search.answers import Rows, answers_from
from thawline.search.strategy import Strategy
from thawline.train import budget
from thawline.train.context import Machine
from thawline.train.folds import FoldAnswers
from thawline.train.forecast import Forecast
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Trained
from thawline.train.plan import parse_plan

NUM_FOLDS, FOLD_ROWS = 4, 10
COUNT = NUM_FOLDS * FOLD_ROWS
LABELS = np.arange(COUNT) % 2
FOLDS = tuple(np.arange(COUNT).reshape(NUM_FOLDS, FOLD_ROWS))
ROWS = Rows(
    samples=np.arange(COUNT),
    labels=LABELS,
    groups=np.arange(COUNT),
    train=np.ones((COUNT, NUM_FOLDS), np.float32),
    held_out=FOLDS,
    repeat=np.zeros(NUM_FOLDS, np.int64),
    scored=np.arange(COUNT),
    weight=np.ones(COUNT),
)


def answers_with(wrong_rows):
    """Return answers to all rows, wrong in some."""
    predicted = LABELS.copy()
    predicted[list(wrong_rows)] ^= 1
    strategy = Strategy("drawn", (0,), ("mean",), "linear", "drawn", 1.0)
    return answers_from(strategy, predicted[None], logits=np.eye(2)[predicted], rows=ROWS, seconds=1.0)


class World:
    """Plans that take a known time and get a known number of rows wrong a fold, and a clock that they turn."""

    def __init__(self, monkeypatch, takes_s, wrong=None, forecasts_s=None, prefix_s=0.0, final_s=0.0, answer_s=0.0):
        self.now_s, self.ran = 0.0, []
        self.takes_s, self.wrong = takes_s, wrong or {}
        self.forecasts_s, self.prefix_s, self.final_s = forecasts_s or takes_s, prefix_s, final_s
        self.answer_s = answer_s
        self.plans = [parse_plan(name) for name in takes_s]
        frozen = (answers_with([0, 10, 20, 30]), answers_with([0, 1, 10, 11]))  # the first is the better one
        self.ground = SimpleNamespace(
            context=SimpleNamespace(training=TrainOptions(score_folds=3), machine=Machine(None)),
            split=SimpleNamespace(num_folds=NUM_FOLDS, test=np.arange(20)),
            bank=SimpleNamespace(spec=None),
            frozen=SimpleNamespace(answers=frozen),
        )
        self.candidates = [budget.Candidate(plan, self.ground) for plan in self.plans]
        monkeypatch.setattr(budget.time, "perf_counter", lambda: self.now_s)
        monkeypatch.setattr(budget, "forecast_plans", self.forecast)
        monkeypatch.setattr(budget, "answer_fold", self.answer)
        monkeypatch.setattr(budget, "answers_of", self.answers)

    def forecast(self, entries, *_, **__):
        return tuple(
            Forecast(
                plan, plan.name, self.prefix_s, self.forecasts_s[plan.name], self.final_s, 10**6, 10**3, self.answer_s
            )
            for plan, _ in entries
        )

    def answer(self, plan, ground, fold):
        is_first = plan.name not in (name for name, _ in self.ran)
        self.now_s += self.takes_s[plan.name] + self.prefix_s * is_first
        self.ran.append((plan.name, fold))
        predicted = LABELS[FOLDS[fold]].copy()
        predicted[: self.wrong.get(plan.name, 0)] ^= 1
        return FoldAnswers(fold, np.eye(2)[predicted], Trained({}, Curve((), (), (), ()), 0.0, 0.1), 1.0)

    def answers(self, plan, ground, folds):
        predicted, logits = np.full((1, COUNT), -1), np.full((COUNT, 2), np.nan)
        for done in folds:
            predicted[0, FOLDS[done.fold]], logits[FOLDS[done.fold]] = done.logits.argmax(axis=1), done.logits
        strategy = Strategy("drawn", (0,), ("mean",), "linear", plan.name, 1.0, tune=plan.name)
        return answers_from(strategy, predicted, logits=logits, rows=ROWS, seconds=1.0)

    def spend(self, budget_s, started_at=0.0):
        return {one.plan.name: one for one in budget.spend(self.candidates, budget_s=budget_s, started_at=started_at)}


FOUR = {"head": 1.0, "last 20 %": 2.0, "last 5 blocks": 3.0, "all": 4.0}


def test_halves_go_on_and_the_better_ones(monkeypatch):
    world = World(monkeypatch, FOUR, wrong={"head": 5, "last 20 %": 1, "last 5 blocks": 0, "all": 2})
    tried = world.spend(1000)
    assert [world.ran[at : at + 4] for at in (0, 4)] == [
        [("head", 0), ("last 20 %", 0), ("last 5 blocks", 0), ("all", 0)],  # the cheapest first
        [("last 5 blocks", 1), ("last 20 %", 1), ("last 5 blocks", 2), ("last 5 blocks", 3)],  # the best first
    ]
    assert len(world.ran) == 8
    assert {name: one.outcome for name, one in tried.items()} == {
        "head": "ran 1 of 4 folds; others were better",
        "last 20 %": "ran 2 of 4 folds; others were better",
        "last 5 blocks": "ran 4 of 4 folds",
        "all": "ran 1 of 4 folds; others were better",
    }
    assert tried["last 20 %"].took_s == 4
    assert list(tried) == list(FOUR)  # in the order that they were given


def test_the_one_that_is_left_runs_every_fold(monkeypatch):
    world = World(monkeypatch, {"all": 1.0})
    assert world.spend(1000)["all"].outcome == "ran 4 of 4 folds"
    assert world.ran == [("all", fold) for fold in range(4)]


@pytest.mark.parametrize(("budget_s", "reached"), [(5.9, []), (6.1, ["head"]), (8.1, ["head", "last 20 %"])])
def test_what_the_budget_does_not_reach_is_left_out(budget_s, reached, monkeypatch):
    world = World(monkeypatch, FOUR)
    tried = world.spend(budget_s)
    assert sorted({name for name, _ in world.ran}) == sorted(reached)
    for name, one in tried.items():
        assert (one.outcome == "left out: not enough of the budget was left") is (name not in reached)
        assert bool(one.folds) is (name in reached)


def test_the_time_before_the_first_training_counts(monkeypatch):
    world = World(monkeypatch, {"head": 1.0})
    world.now_s = 95.0
    assert world.spend(100, started_at=0.0)["head"].folds == []
    assert len(world.spend(100, started_at=90.0)["head"].folds) == NUM_FOLDS


def test_time_for_the_final_training_and_the_cache_is_kept_back(monkeypatch):
    world = World(monkeypatch, {"all": 1.0}, prefix_s=3.0, final_s=10.0)
    assert world.spend(18.9)["all"].folds == []  # 3 + 1 + 10, and 5 for what comes afterwards
    world = World(monkeypatch, {"all": 1.0}, prefix_s=3.0, final_s=10.0)
    tried = world.spend(19.1)
    assert tried["all"].outcome == "ran 1 of 4 folds; then not enough of the budget was left"


def test_a_plan_that_takes_longer_than_was_expected_is_not_trusted_again(monkeypatch):
    world = World(monkeypatch, {"all": 12.0}, forecasts_s={"all": 4.0})
    tried = world.spend(28.0)  # a second fold by the forecast: 12 + 4 + 5; by what was seen: 12 + 12 + 5
    assert tried["all"].outcome == "ran 1 of 4 folds; then not enough of the budget was left"
    assert world.now_s == 12


def test_the_cache_is_filled_once(monkeypatch):
    world = World(monkeypatch, {"all": 1.0}, prefix_s=3.0, final_s=10.0)
    assert len(world.spend(20.1)["all"].folds) == 2  # 3 + 1 for the first, 1 + 10 more for the second, and 5


def test_what_others_took_counts_for_a_plan_that_has_not_run(monkeypatch):
    world = World(monkeypatch, {"head": 3.0, "all": 12.0}, forecasts_s={"head": 1.0, "all": 4.0})
    tried = world.spend(5 + 3 + 11.9)
    assert (len(tried["head"].folds) > 0, len(tried["all"].folds)) == (True, 0)


@pytest.mark.parametrize(("took_s", "pace"), [(None, 1), (0.01, 0.5), (0.8, 0.8), (2.0, 2), (100.0, 3)])
def test_one_odd_measurement_does_not_decide_everything(monkeypatch, took_s, pace):
    world = World(monkeypatch, {"all": 1.0})
    (forecast,) = world.forecast([(world.plans[0], world.ground.context)])
    assert budget._pace([budget.Tried(world.candidates[0], forecast, whole_s=1.0, took_s=took_s)]) == pace


@pytest.mark.parametrize("budget_s", [7.0, 12.0, 20.0, 33.0, 60.0])
def test_a_budget_is_never_overdrawn_where_forecasts_hold(budget_s, monkeypatch):
    world = World(monkeypatch, FOUR, wrong={"head": 3, "all": 1}, final_s=2.0)
    world.spend(budget_s)
    assert world.now_s + 2.0 + budget.AFTERWARDS_S <= budget_s


def test_better_means_against_the_best_frozen_strategy_on_the_rows_answered(monkeypatch):
    world = World(monkeypatch, FOUR, wrong={"head": 2})
    (forecast,) = world.forecast([(world.plans[0], world.ground.context)])
    one = budget.Tried(world.candidates[0], forecast, 1.0)
    one.folds.append(world.answer(world.plans[0], None, 1))
    assert budget._lead(one) == pytest.approx(-0.1)  # 8 of 10 right where the best frozen one has 9


def test_named_plans_run_the_folds_that_were_asked_for(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 2.0})
    tried = budget.try_named(world.candidates)
    assert world.ran == [(name, fold) for name in ("head", "all") for fold in range(3)]
    assert [one.outcome for one in tried] == ["ran 3 of 4 folds"] * 2
    assert [one.took_s for one in tried] == [3, 6]


def test_no_more_folds_are_run_than_there_are(monkeypatch):
    world = World(monkeypatch, {"head": 1.0})
    world.ground.context.training = TrainOptions(score_folds=9)
    assert len(budget.try_named(world.candidates)[0].folds) == NUM_FOLDS


def test_rows_compare_like_with_like(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 4.0}, prefix_s=0.5, final_s=2.0)
    tried = tuple(world.spend(9.0).values())
    ran, left_out = budget.forecast_rows(tried)
    assert (ran["strategy"], ran["seconds"], ran["took_s"]) == ("head", 0.5 + 1.0, 1.5)  # one fold of both
    assert (left_out["seconds"], left_out["took_s"]) == (0.5 + 4 * 4.0 + 2.0, None)  # all that it would take
    assert (left_out["memory_bytes"], left_out["disk_bytes"]) == (10**6, 10**3)


class RowWorld(World):
    """Rows that are run as a whole: each takes what its plan takes."""

    def spend(self, budget_s, delivered="", num_folds=0):
        candidates = [
            budget.Candidate(plan, self.ground, f"row {number}") for number, plan in enumerate(self.plans, start=1)
        ]
        tried = budget.spend_on_rows(
            candidates, self.run, num_folds=num_folds, delivered=delivered, budget_s=budget_s, started_at=0.0
        )
        assert [one.candidate for one in tried] == candidates
        return tried

    def run(self, candidate):
        self.now_s += self.takes_s[candidate.plan.name]
        self.ran.append(candidate.name)


def test_rows_run_whole_in_the_order_of_their_author_as_long_as_they_fit(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 10.0, "last 5 blocks": 20.0, "head": 2.0}, final_s=0.0)
    tried = world.spend(5 + 31, num_folds=1)
    assert world.ran == ["row 1", "row 2"]
    world = RowWorld(monkeypatch, {"all": 10.0, "last 5 blocks": 20.0, "head": 2.0})
    tried = world.spend(5 + 20, num_folds=1)  # the second does not fit, the third does
    assert world.ran == ["row 1", "row 3"]
    assert [one.outcome for one in tried] == [
        "ran 1 of 1 folds", "left out: not enough of the budget was left", "ran 1 of 1 folds",
    ]  # fmt: skip
    assert [(row["strategy"], row["seconds"], row["took_s"]) for row in budget.forecast_rows(tried)] == [
        ("row 1", 10, 10), ("row 2", 20, None), ("row 3", 2, 2),
    ]  # fmt: skip


def test_the_delivered_row_goes_first(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 10.0, "last 5 blocks": 20.0, "head": 2.0})
    world.spend(5 + 23, delivered="row 2", num_folds=1)
    assert world.ran == ["row 2", "row 3"]


def test_a_row_that_answers_the_test_part_is_trained_once_on_all_rows_of_choosing(monkeypatch):
    facts = {"forecasts_s": {"all": 1000.0}, "prefix_s": 1.0, "final_s": 4.0, "answer_s": 0.25}
    world = RowWorld(
        monkeypatch, {"all": 10.0}, **facts
    )  # 1 + 4 and 20 pictures to answer; a fold's time does not count
    (one,) = world.spend(5 + 9.9)
    assert (one.whole_s, one.took_s) == (10, None)
    (one,) = world.spend(5 + 10.1, delivered="row 1")  # what answers the test rows is the model that is delivered
    assert (one.whole_s, one.took_s, one.outcome) == (10, 10, "trained on every training picture")


def test_the_final_training_run_of_the_delivered_row_is_kept_back_where_rows_answer_folds(monkeypatch):
    plans = {"all": 8.0, "head": 4.0}
    for budget_s, ran in ((5 + 17.9, []), (5 + 18.1, ["row 1"]), (5 + 22.1, ["row 1", "row 2"])):
        world = RowWorld(monkeypatch, plans, forecasts_s={"all": 4.0, "head": 2.0}, final_s=10.0)
        world.spend(budget_s, delivered="row 1", num_folds=2)
        assert [name for name in world.ran if name == "row 1"] == ran[:1]
        assert world.ran == (ran or ["row 2"])  # what does not fit holds nothing back


def test_rows_that_take_longer_than_expected_slow_down_what_is_expected_of_the_next(monkeypatch):
    plans, expected = {"all": 20.0, "head": 10.0}, {"all": 10.0, "head": 5.0}
    world = RowWorld(monkeypatch, plans, forecasts_s=expected)
    tried = world.spend(5 + 29, num_folds=1)  # 20 are spent; another 10 are expected now, not 5
    assert world.ran == ["row 1"]
    assert tried[1].expected_s == 5
    world = RowWorld(monkeypatch, plans, forecasts_s=expected)
    world.spend(5 + 31, num_folds=1)
    assert world.ran == ["row 1", "row 2"]


def test_each_candidate_is_tried_with_its_own_options(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 2.0})
    own = SimpleNamespace(**vars(world.ground))
    own.context = SimpleNamespace(training=TrainOptions(score_folds=1), machine=world.ground.context.machine)
    first, second = budget.try_named([world.candidates[0], budget.Candidate(world.plans[1], own, "my row")])
    assert (len(first.folds), len(second.folds)) == (3, 1)
    assert (first.name, second.name) == ("head", "my row")


def test_where_nothing_trains_nothing_is_tried():
    assert budget.try_named([]) == ()
    assert budget.spend_on_rows([], print, num_folds=0, delivered="", budget_s=1.0, started_at=0.0) == ()
