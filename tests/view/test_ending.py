"""A run ends with how good the model is and what to type next, whatever kind of run it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import report_cases as cases

from thawline.core.scores import Score
from thawline.use.expectation import Expectation
from thawline.vet.advice import Advice
from thawline.vet.suspects import Suspects
from thawline.view.ending import answer_text, ending_text, next_lines
from thawline.view.what_next import next_steps

THREE = "{:.3f}".format
OUT = Path("runs/my birds")


def expectation(metric="accuracy", *, is_pooled=True):
    score, test, choosing = Score(0.9, 0.85, 0.94, 500), Score(0.88, 0.8, 0.93, 100), Score(0.91, 0.86, 0.95, 400)
    return Expectation(metric, score if is_pooled else test, test, choosing, is_pooled=is_pooled, p_value=0.5)


def test_the_answer_is_what_to_expect_with_its_interval_and_where_it_is_from():
    data = replace(cases.make_choice(), expectation=expectation())
    assert answer_text(data, THREE) == (
        "The model should be right on 0.900 [0.850, 0.940] of further pictures like these: measured on 100 test "
        "pictures and 400 of the folds."
    )
    balanced = answer_text(replace(data, expectation=expectation("balanced_accuracy")), THREE)
    assert balanced.startswith("The model's balanced accuracy on further pictures like these should be 0.900 [0.850,")
    own = answer_text(replace(data, expectation=expectation(is_pooled=False)), THREE)
    assert "0.880 [0.800, 0.930] of further pictures like these: measured on your own test alone" in own


def test_without_an_expectation_the_test_speaks():
    data = cases.make_choice()
    score = data.evaluation.accuracy
    assert answer_text(data, THREE) == (
        f"The model is right on {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of {score.n:,} pictures that it "
        "never saw."
    )
    assert answer_text(replace(data, evaluation=None), THREE) == ""
    leaked = replace(data.evaluation, leaked=0 * data.evaluation.leaked + 1)
    assert "learnt from, or a copy of." in answer_text(replace(data, evaluation=leaked), THREE)


def test_of_rows_the_best_is_told():
    data = cases.make_rows()
    assert answer_text(data, THREE).startswith(f"The best row, {data.best_row.name}, is right on 0.")


def test_the_first_steps_of_the_report_are_told_with_what_they_bring():
    data = cases.make_choice()
    steps, lines = next_steps(data), next_lines(data, OUT)
    assert len(lines) == 2
    assert lines == tuple(f"{step.title}: {step.gain}.".replace("\N{NO-BREAK SPACE}", " ") for step in steps[:2])


def test_doubtful_labels_are_told_with_the_file_that_has_them():
    advice = Advice(9, suspects=Suspects(9, 8, 2, 6, ()))
    first, _ = next_lines(replace(cases.make_choice(), advice=advice), OUT)
    assert first.startswith("Look at the first 8 labels in doubt: ")
    assert first.endswith(" See runs/my birds/suspects.csv.")


def test_the_last_lines_can_be_typed():
    lines = ending_text(cases.make_choice(), OUT).splitlines()
    assert lines[0].startswith("The model is right on")
    assert lines[1].startswith("Next: ")
    assert lines[-2:] == ["  open 'runs/my birds/report.html'", "  thawline predict 'runs/my birds/model' new/"]
