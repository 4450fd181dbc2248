"""The learning curve of a run: of the strategy that is kept, or of the best frozen one; else a note that says why."""

from dataclasses import replace

import pytest

from thawline.work.choice import choose
from thawline.work.growing import what_more_brings


@pytest.fixture(scope="module")
def outcome(compared):
    return choose(compared)


def test_the_curve_is_that_of_the_strategy_that_is_kept(compared, outcome):
    found = what_more_brings(compared, outcome)
    assert found.strategy == outcome.strategy
    assert found.pictures == len(compared.split.pool)
    assert found.points
    assert found.forecast[0].pictures == found.pictures
    assert found.note == ""
    assert {one.name for one in found.classes} == {"blue", "red"}


def test_where_a_trained_network_is_kept_it_is_that_of_the_best_frozen_one(compared, outcome):
    found = what_more_brings(compared, replace(outcome, strategy="a trained network"))
    assert found.strategy == compared.leaderboard.trials[compared.leaderboard.winner].name


def test_without_a_solved_head_it_says_so(compared, outcome):
    board = compared.leaderboard
    trials = tuple(replace(trial, strategy=replace(trial.strategy, head="dense")) for trial in board.trials)
    trials = tuple(replace(trial, members=()) for trial in trials)
    comparison = replace(compared.comparison, leaderboard=replace(board, trials=trials))
    found = what_more_brings(replace(compared, comparison=comparison), outcome)
    assert (found.points, found.classes) == ((), ())
    assert "No strategy was solved" in found.note


def test_with_too_few_pictures_it_says_so(compared, outcome, monkeypatch):
    monkeypatch.setattr("thawline.work.growing.can_thin", lambda _: False)
    assert "too few pictures" in what_more_brings(compared, outcome).note


def test_very_many_pictures_are_said_to_be_asked_less_often(compared, outcome, monkeypatch):
    monkeypatch.setattr("thawline.vet.thinning.MOST_WORK", 1)
    found = what_more_brings(compared, outcome)
    assert "fewer heads" in found.note
    assert len(found.forecast) == 4


def test_where_even_those_take_long_class_means_are_asked_and_that_is_said(compared, outcome, monkeypatch):
    monkeypatch.setattr("thawline.vet.thinning.MOST_WORK", 1)
    assert "class means" in what_more_brings(compared, outcome).note
    monkeypatch.setattr("thawline.vet.thinning.LONGEST", 10**9)
    assert "class means" not in what_more_brings(compared, outcome).note
