"""What scripts rely on: every score with its interval, and a row for every picture that was held out."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.scores import SCORES
from thawline.use.evaluate import evaluate_rows
from thawline.vet.answered import TEST
from thawline.view.ending import ending_text
from thawline.view.report import render_report
from thawline.view.summary import run_text
from thawline.work.advising import advise, basis_of
from thawline.work.choice import choose
from thawline.work.record import report_data
from thawline.work.result_files import metrics_json, write_result_files


@pytest.fixture(scope="module")
def outcome(compared):
    return choose(compared)


@pytest.fixture(scope="module")
def basis(compared, outcome):
    return basis_of(compared, outcome)


@pytest.fixture(scope="module")
def written(compared, outcome, basis, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    advice = advise(compared, outcome, basis=basis)
    data = report_data(compared, outcome, leaderboard=outcome.leaderboard, advice=advice)
    write_result_files(folder, data=data, basis=basis)
    return folder


def test_metrics_have_every_score_with_its_interval(written, outcome):
    facts = json.loads((written / "metrics.json").read_text())
    scores = outcome.evaluation.scores
    assert facts == metrics_json(outcome.evaluation)
    assert list(facts) == [kind.name for kind in SCORES if kind.name in scores]
    for name, row in facts.items():
        assert set(row) == {"value", "low", "high", "n"}
        assert row["low"] <= row["value"] <= row["high"]
        assert row["value"] == scores[name].value


def test_predictions_have_a_row_for_every_picture_that_was_held_out(written, compared, outcome, basis):
    text = (written / "predictions.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert text.splitlines()[0] == "path,part,label,predicted,probability,abstained,suspect,blue,red"
    assert [row["path"] for row in rows] == list(basis.answered.paths)
    assert len(rows) == len(compared.dataset)
    of_test = {row["path"]: row for row in rows if row["part"] == "test"}
    assert set(of_test) == set(outcome.evaluation.paths)
    assert {row["part"] for row in rows} == {"test", *(f"fold {n}" for n in (1, 2, 3))}
    for place, row in enumerate(rows):
        shares = {name: float(row[name]) for name in ("blue", "red")}
        assert row["predicted"] == max(shares, key=shares.get)
        assert float(row["probability"]) == pytest.approx(max(shares.values()), abs=1e-6)
        assert (row["part"] == "test") == (basis.answered.fold[place] == TEST)
        assert row["abstained"] == "false"
    suspects = {suspect.path for suspect in basis.suspects}
    assert {row["path"] for row in rows if row["suspect"] == "true"} == suspects & {row["path"] for row in rows}
    right = np.mean([row["predicted"] == row["label"] for row in of_test.values()])
    assert right == pytest.approx(outcome.evaluation.accuracy.value)


def test_figures_and_card_are_written(written):
    names = {path.name for path in (written / "figures").iterdir()}
    assert {"confusion.svg", "confusion.png", "reliability.svg", "reliability.png"} <= names
    assert all(name.replace(".svg", ".png") in names for name in names)
    assert (written / "model_card.md").read_text().startswith("---\nlicense: ")


def odd_answers(dataset, rows):
    """Return labels and probabilities that leave scores undefined, by what is odd about them."""
    both = np.array([rows[dataset.labels[rows] == label][0] for label in (0, 1)])
    blue = rows[dataset.labels[rows] == 0][:4]
    return {
        "one picture": (blue[:1], [[0.9, 0.1]]),
        "one picture a class": (both, [[0.9, 0.1], [0.2, 0.8]]),
        "a class without a picture": (blue, [[0.9, 0.1]] * 3 + [[0.4, 0.6]]),
        "always the same answer": (rows, [[1.0, 0.0]] * len(rows)),
        "always undecided": (rows, [[0.5, 0.5]] * len(rows)),
        "all wrong and sure": (both, [[0.0, 1.0], [1.0, 0.0]]),
    }


@pytest.mark.parametrize(
    "odd", ["one picture", "one picture a class", "a class without a picture", "always the same answer",
            "always undecided", "all wrong and sure"]
)  # fmt: skip
def test_odd_tests_have_a_report_without_nonsense(odd, compared, outcome, basis, tmp_path):
    rows, shares = odd_answers(compared.dataset, compared.split.test)[odd]
    shares = np.array(shares, dtype=np.float32)
    evaluation = evaluate_rows(compared.dataset, rows, shares=shares, strategy="odd", leaked=np.zeros_like(rows))
    changed = replace(outcome, evaluation=evaluation)
    data = report_data(compared, changed, leaderboard=outcome.leaderboard)
    page, told = render_report(data), run_text(data) + ending_text(data, tmp_path)
    write_result_files(tmp_path, data=data, basis=basis)
    text = (tmp_path / "metrics.json").read_text() + (tmp_path / "model_card.md").read_text() + told
    assert not re.search(r"\b([Nn]a[Nn]|inf|None)\b", text)
    assert not re.search(r">[^<]*\b(nan|inf)\b[^<]*<", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    assert ("roc_auc" in metrics_json(evaluation)) == (len(set(compared.dataset.labels[rows].tolist())) > 1)
    if odd == "a class without a picture":
        assert "no test picture" in page
        assert "Not tested, for want of a test picture: red." in text
