"""Predictions: ranked, failed, written as JSON, and shown in a line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thawline.core.types import InputSpec, Prediction, Predictions

NAMES = ("cat", "dog", "owl")


def test_what_a_key_is_hashed_from_names_a_share_only_where_something_is_cut():
    spec = InputSpec(224, (0.5,) * 3, (0.5,) * 3)
    assert list(spec.facts()) == ["size_px", "mean", "std", "interpolation", "fit"]
    assert replace(spec, crop_share=0.875).facts() == {**spec.facts(), "crop_share": 0.875}


def test_a_prediction_lists_the_classes_from_the_most_probable_on():
    row = Prediction.ranked("a.jpg", np.array([0.25, 0.5, 0.25], dtype=np.float32), class_names=NAMES)
    assert (row.path, row.label, row.probability, row.error) == ("a.jpg", "dog", 0.5, None)
    assert list(row.probabilities.items()) == [("dog", 0.5), ("cat", 0.25), ("owl", 0.25)]  # of equal ones the first
    assert row.to_json() == {
        "path": "a.jpg",
        "label": "dog",
        "probability": 0.5,
        "probabilities": {"dog": 0.5, "cat": 0.25, "owl": 0.25},
        "outside": None,
        "abstained": False,
    }


def test_a_model_that_abstains_says_why_and_what_is_most_probable():
    shares = np.array([0.25, 0.75], dtype=np.float32)
    row = Prediction.ranked("a.jpg", shares, class_names=NAMES[:2], outside=1.0, doubt="none of these")
    assert (row.abstained, row.label) == (True, "dog")
    assert row.to_json().items() >= {"outside": 1.0, "abstained": True, "doubt": "none of these"}.items()
    assert repr(row) == "<Prediction 'a.jpg': dog, 0.750, none of these>"


def test_a_failure_has_a_reason_and_nothing_else():
    assert Prediction.failed("a.jpg", "missing").to_json() == {"path": "a.jpg", "error": "missing"}


def test_predictions_keep_their_order():
    rows = tuple(Prediction.failed(f"{at}", "missing") for at in range(3))
    predictions = Predictions(NAMES, rows)
    assert len(predictions) == 3
    assert tuple(predictions) == rows
    assert predictions[1] is rows[1]


def test_predictions_are_shown_in_a_line():
    names = tuple(f"class {number}" for number in range(1000))
    row = Prediction.ranked("a.jpg", np.full(1000, 0.001), class_names=names)
    assert repr(row) == "<Prediction 'a.jpg': class 0, 0.001>"
    assert repr(Prediction.failed("a\n.jpg", "missing")) == r"<Prediction 'a\n.jpg': missing>"
    shown = ", ".join([repr(row)] * 3)
    assert repr(Predictions(names, (row,) * 5000)) == f"<Predictions of 5,000 pictures: {shown}, and 4,997 more>"


def test_a_notebook_shows_the_first_predictions_as_a_table():
    rows = [Prediction.ranked(f"{number}.jpg", np.array([0.2, 0.8]), class_names=("a", "<b>")) for number in range(30)]
    rows[1] = Prediction.failed("1.jpg", "text, not a picture")
    rows[2] = Prediction.ranked(
        "2.jpg", np.array([0.6, 0.4]), class_names=("a", "<b>"), doubt="not sure", remarks=["odd"]
    )
    html = Predictions(("a", "<b>"), tuple(rows))._repr_html_()
    for words in ("30 pictures", "&lt;b&gt;", "text, not a picture", "not sure; odd", "the first 20 of 30 are shown"):
        assert words in html
    assert "20.jpg" not in html
    assert "1 picture<" in Predictions(("a", "<b>"), tuple(rows[:1]))._repr_html_()
