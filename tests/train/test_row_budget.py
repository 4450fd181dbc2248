"""Rows run in the order of their author as long as they fit, whole or for fewer epochs; clocks are faked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from budget_cases import EPOCHS, World

from thawline.train.context import Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.row_budget import spend_on_rows, train_side_by_side
from thawline.train.tried import Candidate


class RowWorld(World):
    """Rows that are run as a whole: each takes its epochs, once, and then answers."""

    def spend(self, seconds, delivered="", num_folds=1):
        self.num_folds = max(1, num_folds)
        candidates = [Candidate(plan, self.ground, f"row {number}") for number, plan in enumerate(self.plans, start=1)]
        tried = spend_on_rows(
            candidates, self.run, num_folds=num_folds, delivered=delivered, left_s=lambda: seconds - self.now_s
        )
        assert [one.candidate for one in tried] == candidates
        return tried

    def run(self, candidate, allowance):
        self.ran.append(candidate.name)
        self.takes_s = {name: self.num_folds * takes_s for name, takes_s in self.takes_s.items()}
        epochs = self.train(candidate.plan.name, allowance)
        self.takes_s = {name: takes_s / self.num_folds for name, takes_s in self.takes_s.items()}
        return epochs


def test_rows_run_whole_as_long_as_they_fit(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 2.0, "last 5 blocks": 5.0, "head": 0.5})
    tried = world.spend(31)
    assert world.ran == ["row 1", "row 2", "row 3"]
    assert [one.outcome for one in tried] == ["ran 1 of 1 folds"] * 3
    assert world.now_s == pytest.approx(30)


def test_a_row_that_does_not_fit_whole_has_fewer_epochs_so_that_the_others_have_some(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 2.0, "last 5 blocks": 5.0, "head": 0.5})
    tried = world.spend(22.7)
    assert [one.outcome for one in tried] == [
        "ran 1 of 1 folds",
        "ran 1 of 1 folds, 2.7 of 4 epochs",
        "ran 1 of 1 folds, 2.4 of 4 epochs",
    ]
    assert world.now_s == pytest.approx(22.5, abs=0.6)


def test_a_row_whose_two_epochs_do_not_fit_is_left_out(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 2.0, "last 5 blocks": 50.0, "head": 0.5})
    tried = world.spend(20)
    assert world.ran == ["row 1", "row 3"]
    assert tried[1].outcome.startswith("left out: it takes 100 s or more, ")
    assert (tried[1].took_s, tried[1].epochs) == (None, ())


def test_the_delivered_row_goes_first(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 2.0, "last 5 blocks": 5.0, "head": 0.5})
    world.spend(100, delivered="row 2")
    assert world.ran == ["row 2", "row 1", "row 3"]


def test_a_row_that_answers_the_test_part_learns_from_every_row_of_choosing(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 5.0}, forecasts_s={"all": 4.0}, answer_s=0.25)
    (one,) = world.spend(200, delivered="row 1", num_folds=0)
    assert one.whole_s == 4 * 4.0 * 1.25 + 20 * 0.25
    assert one.outcome == "trained on every training picture"
    assert one.ratio == pytest.approx(20 / 25)


def test_the_final_run_of_the_delivered_row_is_kept_back_where_rows_answer_folds(monkeypatch):
    plans = {"all": 1.0, "head": 1.0}
    for seconds, epochs in ((8 + 5 + 2.0, 4), (7.0, 2)):  # two folds and a final run are 13 seconds whole
        world = RowWorld(monkeypatch, plans, forecasts_s={"all": 1.0, "head": 0.5})
        first, _ = world.spend(seconds, delivered="row 1", num_folds=2)
        assert first.epochs[0] == pytest.approx(epochs, abs=0.6)
        assert world.now_s + 1.25 * first.epochs[0] <= seconds


def test_rows_that_take_longer_than_forecast_slow_down_what_is_expected_of_the_next(monkeypatch):
    world = RowWorld(monkeypatch, {"all": 6.0, "head": 6.0}, forecasts_s={"all": 2.0, "head": 2.0})
    tried = world.spend(24)
    assert tried[0].epochs[0] < EPOCHS
    assert world.now_s <= 25


def test_where_nothing_trains_nothing_is_tried():
    assert spend_on_rows([], print, num_folds=0, delivered="", left_s=lambda: 1.0) == ()


def crew_that_notes(begun):
    return SimpleNamespace(
        count=2,
        begin=lambda fit, *, share: begun.append((fit.plan.name, fit.fold, fit.part, share)),
        wait=lambda: begun[-1],
    )


def test_without_a_budget_all_rows_are_trained_side_by_side(monkeypatch):
    world, begun = RowWorld(monkeypatch, {"head": 1.0, "all": 2.0}), []
    world.ground.context.machine = Machine(None, crew=crew_that_notes(begun))
    train_side_by_side(world.candidates, by_folds=False)
    assert begun == [("head", None, "final", 1), ("all", None, "final", 1)]
    train_side_by_side([], by_folds=True)


def test_folds_whose_length_the_first_one_tells_are_not_begun_together(monkeypatch):
    world, begun = RowWorld(monkeypatch, {"head": 1.0, "all": 2.0}), []
    world.ground.split = SimpleNamespace(folds=range(3))
    world.ground.context.machine = Machine(None, crew=crew_that_notes(begun))
    watching = SimpleNamespace(**vars(world.ground))
    watching.context = SimpleNamespace(**vars(world.ground.context) | {"training": TrainOptions(patience=2)})
    train_side_by_side([world.candidates[0], Candidate(world.plans[1], watching)], by_folds=True)
    assert [(name, fold) for name, fold, _, _ in begun] == [("head", fold) for fold in range(3)]
