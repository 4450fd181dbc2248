"""Rows side by side all answer what they never saw; what the backbone cannot do is refused before the work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import ThawlineError, TrainingError
from thawline.work.order import Row
from thawline.work.record import report_data
from thawline.work.rows import answer_rows, require_rows
from thawline.work.session import Clock, compare_frozen, open_session

HEAD, NOTHING = Row(name="head", plan="head"), Row(name="tutorial_cnn from nothing", plan="tutorial_cnn from nothing")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(name="odd", frozen="99 blocks cut"), ("row 'odd'", "'99 blocks cut'", "'1 block cut', '2 blocks cut'")),
        (Row(name="odd", frozen="somewhere"), ("cannot be read at 'somewhere'", "'best', 'whole'")),
        (Row(name="odd", plan="last 99 blocks"), ("row 'odd'", "99")),
        (Row(name="last 99 blocks", plan="last 99 blocks"), ("99",)),
    ],
)
def test_what_the_backbone_cannot_do_is_refused_before_the_work(row, words, compared_for, order):
    with pytest.raises(ThawlineError) as error:
        require_rows(compared_for(replace(order, rows=(row,))).session)
    assert all(part in str(error.value) for part in words)
    assert ("row '" in str(error.value)) == (row.name != row.plan)


def test_rows_side_by_side_answer_the_held_out_pictures_once(compared, compared_for, order):
    rows = (Row(name="solved", frozen="whole"), Row(name="by epochs", plan="head"))
    outcome = answer_rows(compared_for(replace(order, rows=rows, protocol="test", deliver="solved")))
    test, dataset = compared.split.test, compared.dataset
    paths = tuple(dataset.samples[row].path for row in test)
    for answered in outcome.rows:
        assert answered.evaluation.paths == paths
        assert answered.evaluation.labels.tolist() == dataset.labels[test].tolist()
        trial = next(trial for trial in outcome.leaderboard.trials if trial.name == answered.row.name)
        assert trial.mean == pytest.approx(answered.evaluation.accuracy.value)
    assert [answered.does for answered in outcome.rows] == ["simple_cnn · whole · linear", "simple_cnn · head"]
    assert [answered.epochs for answered in outcome.rows] == [None, 1]
    assert outcome.delivered == "solved"
    assert outcome.evaluation is outcome.rows[0].evaluation
    assert outcome.leaderboard.rule == f"{len(test)} held-out pictures, read once"


def test_under_folds_every_picture_is_answered_by_a_model_that_never_saw_it(compared, compared_for, order):
    rows = (Row(name="solved", frozen="whole"), Row(name="by epochs", plan="head"))
    outcome = answer_rows(compared_for(replace(order, rows=rows, protocol="folds")))
    pool = [compared.dataset.samples[row].path for row in compared.split.pool]
    for answered in outcome.rows:
        assert sorted(answered.evaluation.paths) == sorted(pool)
        assert answered.made is None
    solved = next(trial for trial in compared.leaderboard.trials if trial.name == "simple_cnn · whole · linear")
    assert outcome.rows[0].evaluation.accuracy.value == pytest.approx(solved.mean)
    assert outcome.delivered == "by epochs"
    assert len(outcome.classifier.class_names) == 2
    np.testing.assert_allclose(outcome.evaluation.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_within_a_budget_a_row_that_does_not_fit_whole_has_fewer_epochs_and_says_so(compared_for, order, monkeypatch):
    monkeypatch.setattr(Clock, "slowness", 1.0)  # else a busy machine keeps all of so short a budget for the report
    rows = (Row(name="solved", frozen="whole"), Row(name="by epochs", plan="head"), Row(name="long", plan="all"))
    long = replace(rows[2], training={"epochs": 100_000})
    laid = compared_for(replace(order, rows=(*rows[:2], long), protocol="test", budget_s=9.0, deliver="by epochs"))
    laid = replace(laid, session=replace(laid.session, clock=Clock()))
    outcome = answer_rows(laid)
    assert [answered.row.name for answered in outcome.rows] == ["solved", "by epochs", "long"]
    assert outcome.delivered == "by epochs"
    by_epochs, shortened = outcome.tried
    assert by_epochs.outcome == "trained on every training picture"
    assert shortened.outcome.endswith("of 100000 epochs")
    assert 0 < shortened.epochs[0] < 100_000
    assert [answered.ran_epochs for answered in outcome.rows] == [0, 1, shortened.epochs[0]]
    notes = report_data(laid, outcome, leaderboard=outcome.leaderboard).notes
    assert "Shortened to fit the budget: long; the recipe's stated scores do not apply." in notes


def test_a_budget_that_no_row_fits_is_refused(compared_for, order):
    asked = replace(order, rows=(Row(name="by epochs", plan="head"),), protocol="test", budget_s=1.0)
    with pytest.raises(TrainingError, match=r"none of 1 rows fits into the budget of 1 s.*Raise --budget"):
        answer_rows(compared_for(asked))


def test_with_repeats_every_drawing_of_the_folds_is_answered(order, tmp_path):
    rows = (Row(name="by epochs", plan="head"),)
    options = replace(order.options, repeats=2)
    asked = replace(order, rows=rows, protocol="folds", options=options)
    outcome = answer_rows(compare_frozen(open_session(asked, tmp_path), hold_out=False))
    (answered,) = outcome.rows
    assert answered.answers.predicted.shape[0] == 2
    assert (answered.answers.predicted >= 0).all()
    assert len(answered.answers.fold_scores) == 6
