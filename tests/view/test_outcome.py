"""Ties, goals and too few pictures are put into words as the numbers say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import report_cases as cases

from thawline.core.scores import Score
from thawline.use.expectation import Expectation
from thawline.view.outcome import (
    better_frozen_text,
    choosing_text,
    disagreement_text,
    goal_text,
    is_cross_validated,
    refit_text,
    source_text,
    tied_rows,
    unclear_rows,
)
from thawline.view.report import render_report
from thawline.view.summary import run_html, run_text

TEST, CHOOSING = Score(0.927, 0.857, 0.964, 96), Score(0.807, 0.765, 0.844, 384)


def expecting(*, is_pooled=True, p_value=0.006, test=TEST, metric="accuracy"):
    """Return a run's data with what is to be expected of it."""
    score = Score(0.831, 0.795, 0.862, 480) if is_pooled else test
    return replace(cases.make_choice(), expectation=Expectation(metric, score, test, CHOOSING, is_pooled, p_value))


def with_folder(board):
    """Return a leaderboard as the validation folder gives it: one fold."""
    trials = tuple(replace(trial, fold_scores=trial.fold_scores[:1]) for trial in board.trials)
    return replace(board, trials=trials, rule="the validation folder")


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        (0.8, "reached, by the whole of the interval"),
        (0.97, "not reached, but its interval ends at 0.983, above the goal: these pictures cannot tell"),
        (0.95, "not reached, but its interval ends at 0.983, above the goal: these pictures cannot tell"),
        (0.99, "not reached, by the whole of the interval"),
        (None, ""),
    ],
)
def test_the_goal_is_judged_with_the_interval(goal, sentence):
    assert goal_text(cases.make_rows(goal=goal), "{:.3f}".format) == sentence


def test_the_best_row_and_its_ties_are_the_leaderboards():
    data = cases.make_rows()
    assert data.best_row.name == "thawed"
    assert [row.name for row in tied_rows(data)] == ["solved"]
    assert unclear_rows(data) == ()


def test_the_expected_score_says_what_it_is_taken_from():
    assert source_text(cases.make_choice()) == ""
    assert source_text(expecting()) == (
        "from the 96 test pictures and the 384 of the folds together, the surer score counting more"
    )
    own = expecting(is_pooled=False, test=Score(0.9, 0.8, 0.95, 11))
    assert source_text(own) == "from your own test alone, its 11 pictures without a copy in training"
    whole = expecting(is_pooled=False, test=Score(0.9, 0.8, 0.95, 12))
    assert source_text(whole) == "from your own test alone, its 12 pictures"


def test_a_test_further_from_the_folds_than_chance_explains_is_told_with_what_it_means():
    assert disagreement_text(cases.make_choice(), "{:.3f}".format) == ""
    assert disagreement_text(expecting(p_value=0.06), "{:.3f}".format) == ""
    kind = disagreement_text(expecting(), "{:.3f}".format)
    assert kind.startswith("The test says 0.927 (0.857 to 0.964), the folds 0.807 (0.765 to 0.844): further apart than")
    assert "once in 20 runs" in kind
    assert "a kind test rather than a better model: expect what the two say together" in kind
    unkind = disagreement_text(expecting(test=Score(0.7, 0.6, 0.78, 96)), "{:.3f}".format)
    assert "an unkind test rather than a worse model" in unkind
    own = disagreement_text(expecting(is_pooled=False), "{:.3f}".format)
    assert "Your test pictures are then of another kind than those for training" in own
    assert "runs" not in own


def test_nothing_is_cross_validated_where_one_part_was_named_for_choosing():
    board = cases.make_board()
    assert is_cross_validated(board)
    assert choosing_text(board).startswith("each fold scored by what the other folds chose")
    folder = with_folder(board)
    assert not is_cross_validated(folder)
    assert choosing_text(folder) == "on the pictures that it was chosen by, so with the optimism of having been picked"
    own = replace(expecting(is_pooled=False), leaderboard=folder)
    text = disagreement_text(own, "{:.3f}".format)
    assert "the pictures that it was chosen by 0.807" in text
    assert "Having been picked by them makes some of the difference." in text
    partial = cases.make_mixed_board(winner=1)
    assert is_cross_validated(partial)
    assert choosing_text(partial).startswith("the winner's own, on the folds that it ran")


def test_the_refitted_model_is_told_to_be_another_than_the_measured_one():
    assert refit_text(cases.make_choice()) == ""
    text = refit_text(replace(cases.make_choice(), num_refitted=12))
    assert text.startswith("The delivered model learnt from all 45 pictures, the 12 held-out ones too,")
    assert text.endswith("the scores are of the model before, which learnt from the others alone.")


def with_named_winner(*, difference=-0.075, low=-0.158, high=-0.01, tied=False, is_named=True, kind="partial"):
    """Return a run's data whose winner is a plan that was named, next to a frozen leader."""
    data = cases.make_choice()
    leader, *others = data.leaderboard.trials
    gaps = {"difference": difference, "difference_low": low, "difference_high": high, "tied": tied}
    strategy = replace(leader.strategy, name="net · last 20 %", kind=kind, tune="last 20 %")
    plan = replace(leader, strategy=strategy, num_pictures=60, mean=leader.mean + difference, **gaps)
    trials = (replace(leader, strategy=replace(leader.strategy, kind="frozen")), plan, *others)
    return replace(data, leaderboard=replace(data.leaderboard, trials=trials, winner=1, is_named=is_named))


def test_a_better_frozen_leader_is_told_with_its_interval_and_how_to_get_it():
    data = with_named_winner()
    leader = data.leaderboard.trials[0].name
    assert better_frozen_text(data, "{:.3f}".format) == (
        f"The frozen leader, {leader}, is better than the plan that wins among those named, net · last 20 %: by 0.075 "
        "[0.010 to 0.158] on the 60 pictures that both answered. The same command with `fit`, and without plans, "
        "delivers it."
    )
    unsure = better_frozen_text(with_named_winner(high=0.02), "{:.3f}".format)
    assert "by 0.075 [0.020 worse to 0.158 better]" in unsure


@pytest.mark.parametrize("facts", [{"tied": True}, {"is_named": False}, {"kind": "frozen"}])
def test_no_frozen_strategy_is_called_better_that_is_not_or_might_have_won(facts):
    assert better_frozen_text(with_named_winner(**facts), "{:.3f}".format) == ""


def test_the_result_opens_with_the_better_frozen_leader_and_speaks_of_no_folds_that_did_not_run():
    data = with_named_winner()
    told = better_frozen_text(data, "{:.3f}".format)
    assert run_text(data).splitlines()[0] == told
    assert told in run_html(data, Path("runs/tune")).replace("&nbsp;", " ")
    page = cases.words(render_report(data))
    assert page.index("is better than the plan that wins among those named") < page.index("95 % interval")
    assert "The winner, on the 60 of" in page
    assert "The choosing, scored by" not in page
