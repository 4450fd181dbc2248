"""An evaluation as plain data, as the numbers of `run.json`, and in a line."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn import metrics as sk

from thawline.core.scores import SCORES
from thawline.use.evaluate import evaluate
from thawline.use.evaluation import Evaluation
from thawline.view.summary import evaluation_text

# 30 pictures of three uneven classes: precision, recall, F1 and accuracy all differ.
LABELS = np.repeat([0, 1, 2], [9, 2, 19])
PREDICTED = np.array([0] * 6 + [1] * 2 + [2] + [1, 2] + [0] * 3 + [2] * 16)


def make_evaluation(*, leaked=4):
    return evaluate(
        LABELS,
        np.where(np.eye(3)[PREDICTED] == 1, 0.8, 0.1).astype(np.float32),
        strategy="net · whole",
        class_names=("ant", "bee", "crow"),
        paths=[f"{row}.jpg" for row in range(30)],
        groups=np.arange(30),
        leaked=(np.arange(30) < leaked).astype(np.int64),
    )


EXPECTED = {
    "accuracy": sk.accuracy_score(LABELS, PREDICTED),
    "accuracy_without_leaks": sk.accuracy_score(LABELS[4:], PREDICTED[4:]),
    "balanced_accuracy": sk.balanced_accuracy_score(LABELS, PREDICTED),
    "macro_precision": sk.precision_score(LABELS, PREDICTED, average="macro"),
    "macro_recall": sk.recall_score(LABELS, PREDICTED, average="macro"),
    "macro_f1": sk.f1_score(LABELS, PREDICTED, average="macro"),
}


def test_the_usual_scores_are_properties():
    found = make_evaluation()
    assert {name: getattr(found, name).value for name in EXPECTED} == pytest.approx(EXPECTED)
    assert found.top5 is None
    assert make_evaluation(leaked=0).accuracy_without_leaks is None
    assert set(EXPECTED) | {"top5"} <= set(dir(Evaluation))


def test_plain_data_hold_every_score_with_its_interval_and_no_rows():
    found = make_evaluation()
    facts = json.loads(json.dumps(found.to_json()))
    for name, value in EXPECTED.items():
        score = found.scores[name]
        assert facts[name] == {"value": pytest.approx(value), "low": score.low, "high": score.high, "n": score.n}
    assert (facts["top5"], facts["num_leaked"], facts["class_names"]) == (None, 4, ["ant", "bee", "crow"])
    assert facts["mean_confidence"] == pytest.approx(0.8)
    assert facts["confusion"] == sk.confusion_matrix(LABELS, PREDICTED).tolist()
    assert [row["name"] for row in facts["per_class"]] == ["ant", "bee", "crow"]
    others = {"calibration_error", "calibration_error_by_chance", "mean_confidence", "num_leaked", "per_class"}
    assert set(facts) == {"strategy", "class_names", "confusion", *(kind.name for kind in SCORES), *others}
    assert isinstance(facts["calibration_error"], float)
    assert facts["strategy"] == "net · whole"


def test_run_json_holds_one_number_a_score():
    found = make_evaluation()
    values = json.loads(json.dumps(found.values_json()))
    assert {name: values.pop(name) for name in EXPECTED} == pytest.approx(EXPECTED)
    assert {values.pop(name) for name in ("low", "high")} == {found.accuracy.low, found.accuracy.high}
    assert (values.pop("n"), values.pop("n_without_leaks"), values.pop("top5")) == (30, 26, None)
    added = {kind.name for kind in SCORES} - EXPECTED.keys() - {"top5"}
    assert set(values) == {"mean_confidence", "calibration_error", "calibration_error_by_chance"} | added


def test_where_nothing_is_leaked_run_json_gives_the_accuracy_twice():
    values = make_evaluation(leaked=0).values_json()
    assert (values["accuracy_without_leaks"], values["n_without_leaks"]) == (values["accuracy"], 30)


def test_a_score_added_to_the_list_goes_through(added_score):
    """One entry is all: evaluation, its JSON, `run.json` and text here; pages, CSV and model card in tests/view."""
    found = make_evaluation()
    assert [kind.name for kind, _ in found.listed_scores][-1] == "error_rate"
    assert found.to_json()["error_rate"]["value"] == pytest.approx(7 / 30)
    assert found.values_json()["error_rate"] == pytest.approx(7 / 30)
    assert "error rate 0.233" in evaluation_text(found)


def test_an_evaluation_prints_in_a_line():
    assert repr(make_evaluation()) == "<Evaluation net · whole: 0.767 [0.591, 0.882] of 30>"


def drawn(num_classes, *, labels):
    """Return an evaluation in which every picture is said to be of the first class."""
    n = len(labels)
    shares = np.zeros((n, num_classes), np.float32)
    shares[:, 0] = 1
    return evaluate(
        np.array(labels),
        shares,
        strategy="net",
        class_names=[f"class {k}" for k in range(num_classes)],
        paths=["x.jpg"] * n,
        groups=np.arange(n),
        leaked=np.zeros(n, np.int64),
    )


def test_a_notebook_shows_classes_that_have_pictures_and_no_note_that_does_not_apply():
    html = drawn(3, labels=[0, 0, 2])._repr_html_()
    assert re.findall(r"<th[^>]*>([^<]*)</th>", html) == [
        "class",
        "pictures",
        "recall",
        "95 % interval",
        "precision",
        "F1",
    ]
    assert re.findall(r">(class \d)<", html) == ["class 2", "class 0"]
    assert not re.search("without copies|weakest|class 1", html)


@pytest.mark.parametrize(("num_classes", "shown"), [(20, 20), (21, 20)])
def test_a_notebook_says_that_classes_are_left_out_where_some_are(num_classes, shown):
    html = drawn(num_classes, labels=range(num_classes))._repr_html_()
    assert len(set(re.findall(r">(class \d+)<", html))) == shown
    assert ("the 20 weakest of 21 classes are shown" in html) is (num_classes == 21)
