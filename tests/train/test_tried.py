"""What a run took says what the next will take; what came of a candidate is told in numbers and words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from budget_cases import EPOCHS, World, forecast_of

from thawline.train.plan import parse_plan
from thawline.train.tried import Candidate, Pace, Tried, cost_of, forecast_rows, untried


def one_of(world, name="all"):
    plan = parse_plan(name)
    return Tried(Candidate(plan, world.ground), forecast_of(plan), whole_s=21.0)


def learn(pace, one, took_s):
    pace.learn(one, took_s=took_s, forecast_s=1.0)
    return [pace.factor(other) for other in pace.all]


def test_what_a_plan_took_is_expected_of_it_again_and_on_average_of_those_not_measured(monkeypatch):
    world = World(monkeypatch, {"all": 1.0})
    first, second, third = (one_of(world) for _ in range(3))
    pace = Pace([first, second, third])
    assert pace.factor(first) == 1
    assert learn(pace, first, 2.0) == [2, 2, 2]
    assert learn(pace, second, 0.5) == [2, 0.5, 1.25]


def test_a_machine_that_has_become_slower_is_so_for_all_and_a_quicker_one_for_who_ran(monkeypatch):
    world = World(monkeypatch, {"all": 1.0})
    pace = Pace([one_of(world) for _ in range(3)])
    first, second, _ = pace.all
    for one in pace.all:
        learn(pace, one, 1.0)
    assert learn(pace, first, 3.0) == [3, 3, 3]
    assert learn(pace, second, 3.0) == [3, 3, 3]
    assert learn(pace, first, 1.0) == [1, 3, 1]  # what was said of the third is taken back; the second was measured
    assert learn(pace, second, 0.5) == [1, 0.5, 1]


@pytest.mark.parametrize(("took_s", "factor"), [(0.001, 0.1), (0.8, 0.8), (5.0, 5), (1000.0, 10)])
def test_one_odd_measurement_does_not_decide_everything(monkeypatch, took_s, factor):
    one = one_of(World(monkeypatch, {"all": 1.0}))
    assert learn(Pace([one]), one, took_s) == [factor]


def test_a_cost_is_read_off_a_forecast():
    forecast = forecast_of(parse_plan("all"), 2.0, prefix_s=3.0)
    assert cost_of(forecast).fold_s(EPOCHS) == forecast.folds_s(1)
    assert cost_of(forecast).final_s(EPOCHS) == forecast.final_s


def test_what_was_shortened_is_told(monkeypatch):
    one = one_of(World(monkeypatch, {"all": 1.0}))
    one.epochs = (EPOCHS, EPOCHS)
    assert (one.is_shortened, one.shortened_words) == (False, "")
    one.epochs = (2.5, 2.5)
    assert (one.is_shortened, one.shortened_words) == (True, ", 2.5 of 4 epochs")
    one.epochs = (2.5, 1.23456)
    assert one.shortened_words == ", 1.23–2.5 of 4 epochs"
    one.epochs, one.side = (EPOCHS,), 0.5
    assert (one.is_shortened, one.shortened_words) == (True, ", at 224 px")


def test_a_run_with_hardly_an_epoch_says_nothing(monkeypatch):
    one = one_of(World(monkeypatch, {"all": 1.0}))
    assert not one.is_too_short
    one.took_s = 1.0
    for epochs, is_too_short in ((0.1, True), (1.4, True), (1.8, False), (4.0, False)):
        one.epochs = (epochs,)
        assert one.is_too_short is is_too_short


def test_rows_compare_like_with_like(monkeypatch):
    world = World(monkeypatch, {"head": 1.0, "all": 20.0}, wrong={"head": 8}, prefix_s=0.5)
    ran, left_out = forecast_rows(tuple(world.spend(30.0).values()))
    assert (ran["strategy"], ran["seconds"], ran["took_s"]) == ("head", 0.5 + 4.0, 0.5 + 4.0)  # one fold of both
    assert (ran["folds"], ran["epochs"], ran["epochs_wanted"]) == (1, [4.0], 4)
    assert (left_out["seconds"], left_out["took_s"]) == (0.5 + 4 * 80.0 + 100.0, None)  # all that it would take
    assert (left_out["memory_bytes"], left_out["disk_bytes"], left_out["size_px"]) == (10**6, 10**3, None)
    assert (left_out["folds"], left_out["epochs"]) == (0, [])


def test_several_processes_plan_by_the_same_seconds(monkeypatch):
    world = World(monkeypatch, {"all": 2.0}, prefix_s=1.0)
    world.ground.context.machine = SimpleNamespace(processes=SimpleNamespace(agree=lambda value: value + 100))
    (one,) = untried(world.candidates)
    assert (one.forecast.prefix_s, one.forecast.start_s, one.forecast.epoch_s) == (101, 100, 102)


def test_a_whole_candidate_is_all_folds_and_the_final_run_or_what_a_row_does(monkeypatch):
    world = World(monkeypatch, {"all": 2.0}, prefix_s=1.0, answer_s=0.25)
    whole = [untried(world.candidates, num_folds=count)[0].whole_s for count in (None, 3, 0)]
    assert whole == [1 + 4 * 8 + 10, 1 + 3 * 8, 1 + 10 + 20 * 0.25]
    assert untried([]) == ()
