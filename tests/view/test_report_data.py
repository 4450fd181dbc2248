"""What a report shows survives its JSON, and an older or damaged one is refused with a way out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import report_cases as cases

from thawline.core.errors import StoreError
from thawline.vet.answer_table import AnswerTable
from thawline.view.csv_text import comparison_csv
from thawline.view.report import render_report
from thawline.view.report_data import ReportData
from thawline.view.summary import run_text


def test_all_of_fine_tuning_survives_the_json():
    data = replace(
        cases.make_choice(), leaderboard=cases.make_mixed_board(), forecast=cases.make_forecast(), budget_s=400.0,
        finder=((1e-4, 2.0), (1e-3, 1.0)), finder_rate=5e-4,
    )  # fmt: skip
    again = ReportData.from_json(data.to_json())
    assert again.leaderboard == data.leaderboard
    assert (again.forecast, again.budget_s) == (data.forecast, 400.0)
    assert (again.finder, again.finder_rate) == (data.finder, 5e-4)
    assert render_report(again) == render_report(data)


def test_a_row_is_held_against_what_its_recipe_states():
    assert [row.verdict for row in cases.make_rows().rows] == ["as expected", "above", "below"]
    assert [row.verdict for row in cases.solved_only(cases.make_rows()).rows] == ["not stated"] * 3


def test_a_goal_is_held_against_the_best_row_or_the_model_that_is_kept():
    rows, choice = cases.make_rows(goal=0.94), replace(cases.make_choice(), goal=0.94)
    assert rows.headline == rows.best_row.evaluation.accuracy
    assert choice.headline == choice.evaluation.accuracy
    assert (rows.goal_reached, choice.goal_reached) == (True, False)
    assert cases.make_rows(goal=0.95).goal_reached is False  # 57 of 60: to be exceeded
    assert replace(choice, goal=None).goal_reached is None
    assert replace(choice, evaluation=None).goal_reached is None


def test_rows_on_the_frozen_network_share_its_pass():
    data = cases.make_rows()
    assert [data.shares_pass(row) for row in data.rows] == [False, False, True]
    assert (data.has_shared_pass, data.pass_s) == (True, 33.0)
    assert (cases.make_choice().has_shared_pass, cases.make_choice().pass_s) == (False, 0.0)


def test_an_earlier_format_is_refused_with_a_way_out():
    earlier = json.dumps(json.loads(cases.make_choice().to_json()) | {"format": 1})
    with pytest.raises(StoreError, match=r"format 1, this version reads 4.*Run `thawline fit` again"):
        ReportData.from_json(earlier)


def test_json_round_trip_renders_the_same_page():
    data = cases.make_choice(("base64", "array"))
    text = data.to_json()
    again = ReportData.from_json(text)
    assert again.to_json() == text
    assert render_report(again) == render_report(data)
    assert again.leaderboard == data.leaderboard
    assert again.pictures == data.pictures
    assert again.evaluation is not None
    assert again.evaluation.probabilities.dtype == np.float32
    assert np.array_equal(again.evaluation.confusion, cases.make_evaluation(("base64", "array")).confusion)


def test_json_keeps_names_that_are_not_text():
    data = cases.make_choice(("caf\udce9", "tea"))
    again = ReportData.from_json(data.to_json())
    assert again.class_names == data.class_names
    render_report(again).encode("utf-8")


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"format": 99}', "half"])
def test_damaged_json_says_what_to_do(damage):
    text = cases.make_choice().to_json()
    with pytest.raises(StoreError, match=r"^report: the stored data .* cannot be read .*Run `thawline fit` again"):
        ReportData.from_json(text[: len(text) // 2] if damage == "half" else damage)


def test_json_is_plain_json():
    raw = json.loads(cases.make_choice().to_json())
    assert raw["format"] == 4
    assert raw["leaderboard"]["trials"][1]["strategy"]["name"] == "net · fused (1, 2, 3)"


def test_rows_side_by_side_survive_the_json():
    data = cases.make_rows()
    again = ReportData.from_json(data.to_json())
    assert again.to_json() == data.to_json()
    assert render_report(again) == render_report(data)
    assert comparison_csv(again) == comparison_csv(data)
    assert run_text(again) == run_text(data)


def test_answers_survive_the_json():
    answers = AnswerTable(
        ("a.jpg", "\udcff.jpg"), np.arange(64, dtype=np.uint8).reshape(2, 32), np.array([0, 1]), np.array([1, 1]),
        np.float32([0.6, 0.9]), np.float32([0.4, 0.9]), np.array([5, 6]), np.array([-1, 2]),
    )  # fmt: skip
    again = ReportData.from_json(replace(cases.make_choice(), answers=answers).to_json()).answers
    assert (again.paths, again.keys) == (answers.paths, answers.keys)
    for name in ("labels", "predicted", "confidence", "true_share", "groups", "fold"):
        np.testing.assert_array_equal(getattr(again, name), getattr(answers, name))
        assert getattr(again, name).dtype == getattr(answers, name).dtype
    assert ReportData.from_json(cases.make_choice().to_json()).answers is None
