"""What a person is told: asked of pictures that no model saw, by whatever model is kept."""

from dataclasses import replace

import numpy as np
import pytest

from thawline.heads.calibrate import probabilities
from thawline.vet.answered import TEST
from thawline.work.advising import advise, answered_of, basis_of, space_read
from thawline.work.choice import choose
from thawline.work.doubting import doubting
from thawline.work.order import Row
from thawline.work.rows import answer_rows


def test_choosing_answers_every_picture_once(compared):
    outcome = choose(compared)
    answered = answered_of(compared, outcome)
    assert answered.rows.tolist() == list(range(len(compared.dataset)))
    assert sorted(answered.rows[answered.is_test]) == compared.split.test.tolist()
    assert answered.probabilities.sum(axis=1) == pytest.approx(np.ones(len(answered)), abs=1e-5)
    for place in np.flatnonzero(~answered.is_test):
        assert answered.rows[place] in compared.split.folds[answered.fold[place]][1]
    inside = outcome.chosen.rows
    own = probabilities(outcome.chosen.held_out_logits, outcome.classifier.temperature)
    assert answered.probabilities[inside] == pytest.approx(own, abs=1e-6)
    assert answered.probabilities[compared.split.test] == pytest.approx(outcome.evaluation.probabilities, abs=1e-6)
    advice = advise(compared, outcome)
    assert advice.num_answered == advice.suspects.num_asked == len(compared.dataset)


def test_advice_shows_the_first_of_all_suspects_that_the_table_has(compared):
    outcome = choose(compared)
    basis = basis_of(compared, outcome)
    wrong = [suspect.path for suspect in basis.suspects]
    assert sorted(wrong) == sorted(
        path for path, right in zip(basis.answered.paths, basis.answered.is_right, strict=True) if not right
    )
    assert advise(compared, outcome, basis=basis).suspects.listed == basis.suspects


def test_a_row_that_answered_the_test_alone_is_asked_about_the_test_alone(compared_for, order):
    rows = (Row("head", frozen="whole"),)
    compared = compared_for(replace(order, rows=rows, protocol="test"))
    answered = answered_of(compared, answer_rows(compared))
    assert answered.rows.tolist() == compared.split.test.tolist()
    assert (answered.fold == TEST).all()


def test_pictures_are_alike_by_what_the_kept_strategy_reads(compared):
    outcome = choose(compared)
    space = space_read(compared, outcome)
    assert len(space.x) == len(compared.dataset)
    assert np.linalg.norm(space.x, axis=1) == pytest.approx(np.ones(len(space.x)), abs=1e-5)
    named = replace(outcome, strategy="a trained network")
    best = compared.leaderboard.trials[compared.leaderboard.winner]
    assert space_read(compared, named).x.shape == space_read(compared, replace(outcome, strategy=best.name)).x.shape


def test_a_frozen_and_a_trained_winner_both_say_where_they_look(compared, compared_for, order):
    frozen = choose(compared)
    trained_rows = compared_for(replace(order, rows=(Row("all", plan="all"),), protocol="test"))
    for basis, outcome in ((compared, frozen), (trained_rows, answer_rows(trained_rows))):
        advice = advise(basis, outcome)
        assert advice.looks.absent == ""
        assert advice.looks.pictures
        shown = {sample.path for sample in basis.dataset.samples}
        assert {look.path for look in advice.looks.pictures} <= shown
        assert any(max(map(max, look.rows)) == 255 for look in advice.looks.pictures)
        assert {point.path for point in advice.picture_map.points} == shown


def test_the_table_says_of_which_pictures_the_model_abstains(compared):
    outcome = doubting(compared, choose(compared))
    answered = answered_of(compared, outcome)
    doubt = outcome.doubted.doubt.model_copy(update={"error_rate": 0.1, "min_probability": 0.8, "false_alarms": 0.2})
    doubted = replace(outcome.doubted, doubt=doubt)
    basis = basis_of(compared, replace(outcome, doubted=doubted))
    outside = dict(zip(doubted.rows.tolist(), doubted.outside.tolist(), strict=True))
    told = [
        doubt.about(sure, outside.get(row)) is not None
        for row, sure in zip(answered.rows.tolist(), answered.confidence.tolist(), strict=True)
    ]
    assert basis.abstained.tolist() == told
    assert 0 < sum(told) < len(told)
    assert not basis_of(compared, replace(outcome, doubted=None)).abstained.any()
