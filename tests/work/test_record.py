"""What stands in a run's files is what was measured: each score under its own name, mistakes surest first."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from thawline.features.network import Network
from thawline.use.evaluate import evaluate_rows
from thawline.view.report_data import ReportData
from thawline.work.advising import advise, basis_of
from thawline.work.choice import choose
from thawline.work.order import Expectations, Expected, Goal, Row
from thawline.work.record import leaderboard_json, report_data, run_json, write_files
from thawline.work.rows import answer_rows


def lopsided(compared):
    """Return an evaluation in which no two scores are the same: of the first class's pictures, some are wrong."""
    dataset, test = compared.dataset, compared.split.test
    labels = dataset.labels[test]
    rows = np.concatenate([test[labels == 0], test[labels == 1][:1]])
    shares = np.tile([0.9, 0.1], (len(rows), 1))
    shares[-1] = [0.3, 0.7]
    shares[0], shares[1] = [0.2, 0.8], [0.4, 0.6]
    return evaluate_rows(dataset, rows, shares=shares, strategy="drawn", leaked=np.zeros_like(rows))


@pytest.fixture(scope="module")
def outcome(compared):
    return replace(choose(compared), evaluation=lopsided(compared))


@pytest.fixture(scope="module")
def data(compared, outcome):
    return report_data(compared, outcome, leaderboard=outcome.leaderboard)


@pytest.fixture(scope="module")
def side_by_side(compared, order):
    """Return the comparison and the outcome of three rows that were answered one by one."""
    rows = (
        Row(name="solved", frozen="whole", origin=0.5),
        Row(name="best", frozen="best"),
        Row(name="by epochs", plan="head", training={"watch": True}),
    )
    session = compared.session
    asked = replace(order, rows=rows, protocol="test", deliver="best", expectations=Expectations(name="mine"))
    laid = replace(compared, session=replace(session, order=asked))
    laid.session.clock.lap("rows")
    return laid, answer_rows(laid)


def test_every_score_stands_under_its_own_name(compared, outcome, data):
    test, evaluation = run_json(compared, outcome, data=data)["test"], outcome.evaluation
    scores = {
        "accuracy": evaluation.accuracy.value,
        "balanced_accuracy": evaluation.balanced_accuracy.value,
        "macro_f1": evaluation.macro_f1.value,
        "macro_precision": evaluation.macro_precision.value,
    }
    assert len(set(scores.values())) == len(scores), "choose other answers: each score must be a number of its own"
    recalls = [1 - 2 / (len(evaluation.labels) - 1), 1.0]
    assert test["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert test == test | scores
    assert test["n"] == len(evaluation.labels)


def test_run_json_has_what_scripts_rely_on(compared, outcome, data):
    facts = run_json(compared, outcome, data=data)
    keys = {
        "thawline", "photos", "winner", "test", "pictures", "extraction", "runtime", "budget_s", "forecast", "backbone",
        "input", "bank", "pictures_key", "options", "seconds", "versions", "rule", "goal", "goal_reached",
        "pictures and labels", "refit", "expectation",
    }  # fmt: skip
    assert facts.keys() == keys
    assert facts["pictures"] == {"used": len(compared.dataset), "skipped": 0, "leaked": 0}
    assert facts["winner"] == outcome.strategy
    assert json.loads(json.dumps(facts)).keys() == keys


def test_a_trained_network_that_learnt_from_no_test_picture_says_how_it_would(compared, outcome, data):
    assert data.num_refitted == len(compared.split.test)
    assert run_json(compared, outcome, data=data)["refit"] == {"pictures": 36, "held_out": len(compared.split.test)}
    assert not any("--refit all" in note for note in data.notes)
    measured = replace(outcome, final=replace(outcome.final, rows=compared.split.pool))
    kept = report_data(compared, measured, leaderboard=outcome.leaderboard)
    assert any("`--refit all` alone, in a second training run" in note for note in kept.notes)
    assert (kept.num_refitted, run_json(compared, measured, data=kept)["refit"]) == (0, None)


def test_mistakes_are_the_surest_first(outcome, data):
    mistakes = data.album.mistakes
    assert [mistake.confidence for mistake in mistakes] == pytest.approx([0.8, 0.6])
    assert [mistake.path for mistake in mistakes] == list(outcome.evaluation.paths[:2])
    assert {(mistake.label, mistake.top[0][0]) for mistake in mistakes} == {(0, 1)}


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (
            {"crop_share": 0.875},
            "`--fit crop --crop-share 0.875`: the square shows the middle of the picture, 87.5 % of",
        ),
        ({"crop_share": 1.0}, "`--fit crop`: the shorter side fills the square"),
        ({"fit": "stretch", "crop_share": 1.0}, "`--fit stretch`: the whole picture is kept and squeezed"),
    ],
)
def test_the_report_says_what_the_square_shows(compared, outcome, changes, note):
    context = compared.session.context
    backbone = replace(context.network.backbone, input=replace(context.network.backbone.input, **changes))
    seen = replace(context, network=Network(backbone, context.network.model))
    asked = replace(compared, session=replace(compared.session, context=seen))
    assert any(note in said for said in report_data(asked, outcome, leaderboard=outcome.leaderboard).notes)


def test_a_goal_is_reached_or_not(compared, outcome):
    value = outcome.expectation.score.value  # of what is known, not of the test alone
    for accuracy, is_reached in ((value - 0.01, True), (value, False)):
        order = replace(compared.session.order, expectations=Expectations(goal=Goal(accuracy, "mine")))
        asked = replace(compared, session=replace(compared.session, order=order))
        data = report_data(asked, outcome, leaderboard=outcome.leaderboard)
        assert (data.goal, data.goal_words, data.goal_reached) == (accuracy, "mine", is_reached)
        assert run_json(asked, outcome, data=data)["goal_reached"] is is_reached


def test_the_command_is_the_order_s(compared, outcome, monkeypatch):
    monkeypatch.setattr("sys.argv", ["notebook", "--token=secret"])
    for command in ("", "thawline fit photos"):
        asked = replace(
            compared, session=replace(compared.session, order=replace(compared.session.order, command=command))
        )
        data = report_data(asked, outcome, leaderboard=outcome.leaderboard)
        assert data.command == command
        assert "secret" not in data.to_json()


def test_rows_side_by_side_keep_their_order_and_their_scores(side_by_side):
    compared, outcome = side_by_side
    data = report_data(compared, outcome, leaderboard=outcome.leaderboard)
    rows = run_json(compared, outcome, data=data)["rows"]
    assert [row["row"] for row in rows] == ["solved", "best", "by epochs"]
    assert [row["origin"] for row in rows] == [0.5, None, None]
    assert [row["shares_pass"] for row in rows] == [True, True, True]
    for row, answered in zip(rows, outcome.rows, strict=True):
        evaluation = answered.evaluation
        assert (row["precision"], row["recall"], row["macro_f1"]) == (
            evaluation.macro_precision.value, evaluation.macro_recall.value, evaluation.macro_f1.value
        )  # fmt: skip
        assert (row["accuracy"], row["low"], row["high"]) == (
            evaluation.accuracy.value, evaluation.accuracy.low, evaluation.accuracy.high
        )  # fmt: skip
    assert data.comparison.frozen is compared.leaderboard
    assert data.comparison.recipe == "mine"
    assert any("the row “best”" in note for note in data.notes)
    assert any("a tenth of its training pictures" in note for note in data.notes)
    assert any("states no scores" in note for note in data.notes)


def test_a_model_that_took_the_place_of_one_beyond_the_budget_is_told(side_by_side):
    laid, outcome = side_by_side
    order = replace(laid.session.order, deliver="by epochs")
    asked = replace(laid, session=replace(laid.session, order=order))
    notes = report_data(asked, outcome, leaderboard=outcome.leaderboard).notes
    kept = "the row “best”, the last one that fitted the budget: “by epochs”, named in the recipe, did not."
    assert any(note.endswith(kept) for note in notes)


def test_a_row_s_precision_is_not_its_recall(side_by_side, compared):
    laid, outcome = side_by_side
    rows = tuple(replace(answered, evaluation=lopsided(compared)) for answered in outcome.rows)
    outcome = replace(outcome, rows=rows)
    facts = run_json(laid, outcome, data=report_data(laid, outcome, leaderboard=outcome.leaderboard))["rows"][0]
    assert facts["precision"] != facts["recall"]
    assert facts["recall"] == pytest.approx(lopsided(compared).balanced_accuracy.value)


def test_what_is_stated_holds_for_these_pictures_labels_and_backbone(side_by_side):
    laid, outcome = side_by_side
    stated = Expected(laid.dataset.labelled_key, "simple_cnn", "thawline", 1.0, {"solved": (0.5, 0.4, 0.6)})
    for entry, expected in (
        (stated, (0.5, 0.4, 0.6)),
        (replace(stated, backbone="resnet18"), None),
        (replace(stated, pictures="others"), None),
        (replace(stated, protocol="folds"), None),
    ):
        expectations = replace(laid.session.order.expectations, expected=(entry,))
        order = replace(laid.session.order, expectations=expectations)
        asked = replace(laid, session=replace(laid.session, order=order))
        rows = report_data(asked, outcome, leaderboard=outcome.leaderboard).comparison.rows
        assert [row.expected for row in rows] == [expected, None, None]


def test_every_run_leaves_the_same_files(side_by_side, compared, tmp_path):
    chosen = choose(compared)
    for place, laid, outcome in (("one", compared, chosen), ("rows", *side_by_side)):
        basis = basis_of(laid, outcome)
        advice = advise(laid, outcome, basis=basis)
        data = report_data(laid, outcome, leaderboard=outcome.leaderboard, advice=advice)
        (tmp_path / place).mkdir()
        facts = write_files(tmp_path / place, laid, outcome=outcome, data=data, basis=basis)
        assert json.loads((tmp_path / place / "run.json").read_text()) == json.loads(json.dumps(facts))
        assert ReportData.from_json((tmp_path / place / "report.json").read_text()).to_json() == data.to_json()
        curve = json.loads((tmp_path / place / "learning_curve.json").read_text())
        assert {"pictures", "mean", "low", "high"} <= curve["points"][0].keys() & curve["forecast"][0].keys()
    common = {
        "history.csv", "leaderboard.csv", "leaderboard.json", "learning_curve.json", "ledger.csv", "report.html",
        "report.json", "run.json", "suspects.csv",
        "metrics.json", "predictions.csv", "model_card.md", "figures",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "one").iterdir()} == common
    assert {path.name for path in (tmp_path / "rows").iterdir()} == common | {"comparison.csv"}


def test_a_leaderboard_names_strategy_and_kind(compared):
    facts = leaderboard_json(compared.leaderboard)
    assert facts["winner"] == compared.leaderboard.trials[compared.leaderboard.winner].name
    assert [trial["strategy"] for trial in facts["trials"]] == [trial.name for trial in compared.leaderboard.trials]
    assert {trial["kind"] for trial in facts["trials"]} == {"frozen"}
    assert all("curve" not in trial for trial in facts["trials"])
    assert facts["chosen"]["mean"] == compared.leaderboard.chosen_mean
