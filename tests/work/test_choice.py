"""Named rows are to win, those of a budget have to be the best; a run without rows keeps the frozen winner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.search.compare import leaderboard_of
from thawline.train.budget import spend
from thawline.train.hyperparameters import TrainOptions
from thawline.train.phases import candidate_plans
from thawline.work import choice
from thawline.work.choice import choose, rows_to_try
from thawline.work.order import Row
from thawline.work.recipe import rows_of_plans
from thawline.work.rows import _ground_at_side, candidates_of, ground_of

WORSE = "measured worse than the best frozen strategy"
ONE_EPOCH = TrainOptions(epochs=1, augment="none")
HEAD, NOTHING = Row(name="head", plan="head"), Row(name="tutorial_cnn from nothing", plan="tutorial_cnn from nothing")


def test_without_rows_the_frozen_winner_is_kept(compared):
    outcome = choose(compared)
    assert outcome.leaderboard is compared.leaderboard
    assert outcome.strategy == compared.leaderboard.trials[compared.leaderboard.winner].name
    assert outcome.evaluation.accuracy.n == len(compared.split.test)
    assert (outcome.rows, outcome.tried, outcome.drifts) == ((), (), {})


def test_the_named_rows_stand_next_to_the_frozen_strategies_and_one_of_them_wins(compared, compared_for, order):
    outcome = choose(compared_for(replace(order, rows=(HEAD, NOTHING))))
    board, before = outcome.leaderboard, compared.leaderboard
    trained = {trial.name: trial for trial in board.trials if trial.strategy.tune}
    assert trained.keys() == {"simple_cnn · head", "tutorial_cnn · from nothing"}
    assert len(board.trials) == len(before.trials) + 2
    assert outcome.strategy in trained
    assert board.trials[board.winner].name == outcome.strategy
    assert {trial.num_pictures for trial in trained.values()} == {len(compared.split.folds[0][1])}
    assert {trial.name: trial.mean for trial in board.trials if trial.name not in trained} == {
        trial.name: trial.mean for trial in before.trials
    }
    assert [result.outcome for result in outcome.tried] == ["ran 1 of 3 folds"] * 2


def test_rows_have_options_folders_and_names_of_their_own(compared, compared_for, order):
    rows = (
        Row(name="slow", plan="head", training={"epochs": 2}),
        Row(name="fast", plan="head", training={"learning_rate": 1e-2}),
    )
    laid = compared_for(replace(order, rows=rows))
    grounds = [ground_of(laid, row).context for row in rows]
    assert [ground.training.epochs for ground in grounds] == [2, 1]
    assert [ground.training.learning_rate for ground in grounds] == [None, 1e-2]
    assert [ground.folder.name for ground in grounds] == ["0-slow", "1-fast"]
    outcome = choose(laid)
    assert {"slow", "fast"} <= {trial.name for trial in outcome.leaderboard.trials}
    assert outcome.strategy in ("slow", "fast")
    assert [result.name for result in outcome.tried] == ["slow", "fast"]


def test_a_solved_head_that_is_named_may_win(compared, compared_for, order):
    outcome = choose(compared_for(replace(order, rows=(Row(name="as a whole", frozen="whole"),))))
    assert outcome.strategy == "simple_cnn · whole · linear"
    assert outcome.classifier.networks[0] is compared.session.context.network
    any_of_them = choose(compared_for(replace(order, rows=(Row(name="best", frozen="best"), NOTHING))))
    best = any_of_them.leaderboard
    assert best.trials[best.winner].name == any_of_them.strategy


def test_a_budget_that_reaches_nothing_changes_no_ranking(compared, compared_for, order):
    outcome = choose(compared_for(replace(order, rows=(HEAD,), budget_s=1.0)))
    assert outcome.leaderboard.trials == compared.leaderboard.trials
    assert outcome.leaderboard.winner == compared.leaderboard.winner
    (result,) = outcome.tried
    assert result.outcome.startswith("left out: it takes ")
    assert result.outcome.endswith(" s or more, and 0 s were left")


def test_a_trained_network_must_be_the_best_to_win_within_a_budget(compared, compared_for, order):
    asked = replace(order, rows=(NOTHING,), training=TrainOptions(epochs=1, learning_rate=1e-9, augment="none"))
    laid = compared_for(replace(asked, budget_s=36_000.0))  # steps too small to learn anything
    outcome = choose(laid)
    (result,) = outcome.tried
    assert result.outcome in ("ran 3 of 3 folds", f"ran {len(result.folds)} of 3 folds; {WORSE}")
    assert outcome.strategy == compared.leaderboard.trials[compared.leaderboard.winner].name


def test_without_rows_the_candidates_are_tried(compared, compared_for, order):
    laid = compared_for(order)
    plans = candidate_plans(laid.session.context.network)
    assert rows_to_try(laid.session) == rows_of_plans(plans)
    assert rows_to_try(compared_for(replace(order, rows=(HEAD,))).session) == (HEAD,)


def test_a_smaller_input_has_a_name_a_cost_a_folder_and_features_of_its_own(compared, compared_for, order):
    row = Row(name="all", plan="all")
    laid = compared_for(replace(order, rows=(row,)))
    ground = _ground_at_side(laid, row, 0.5)
    assert ground.context.network.backbone.input.size_px == 32  # no less than the least stride
    whole = ground_of(laid, row).context
    assert ground.context.folder.name == f"{whole.folder.name}-32px"
    assert candidates_of(laid, (row,))[0][1].at_side is None  # a network from nothing has the size that suits it


@pytest.mark.parametrize("final_s", [1.0, 1e9])
def test_what_cannot_be_trained_in_time_may_not_win(compared_for, order, monkeypatch, final_s):
    told = []

    def spend_all(candidates, **limits):
        tried = spend(candidates, **limits)
        tried[0].final_s = final_s
        return tried

    def ranked(*answers, eligible, **facts):
        told.append(eligible[-1])
        return leaderboard_of(*answers, eligible=eligible, **facts)

    monkeypatch.setattr(choice, "spend", spend_all)
    monkeypatch.setattr(choice, "leaderboard_of", ranked)
    choose(compared_for(replace(order, rows=(NOTHING,), training=ONE_EPOCH, budget_s=36_000.0)))
    assert told == [final_s == 1.0]
