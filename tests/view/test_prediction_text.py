"""Predictions as lines, table, JSON and CSV: what scripts rely on, whatever pictures and classes are called."""

from __future__ import annotations

import csv
import io
import json

from thawline.core.types import Prediction
from thawline.view.prediction_text import (
    MEASURED_ROWS,
    answered_csv,
    prediction_lines,
    prediction_table,
    predictions_jsonl,
    tally_text,
)

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")
ROWS = (
    Prediction("a, b.jpg", NAMES[1], 0.75, {NAMES[1]: 0.75, NAMES[2]: 0.25, NAMES[0]: 0.0}),
    Prediction('say "x" 🦜\n.jpg', None, None, {}, "ends after 3 of 5 bytes"),
)


def test_lines_of_json_have_exactly_the_keys_that_scripts_rely_on():
    good, bad = map(json.loads, predictions_jsonl(ROWS))
    assert list(good) == ["path", "label", "probability", "probabilities", "outside", "abstained"]
    assert good == {
        "path": "a, b.jpg",
        "label": NAMES[1],
        "probability": 0.75,
        "probabilities": {NAMES[1]: 0.75, NAMES[2]: 0.25, NAMES[0]: 0.0},
        "outside": None,
        "abstained": False,
    }
    assert bad == {"path": 'say "x" 🦜\n.jpg', "error": "ends after 3 of 5 bytes"}
    assert all("\n" not in line for line in predictions_jsonl(ROWS))
    assert all("🦜" in line for line in predictions_jsonl(ROWS))


def test_csv_reads_back():
    text = "\n".join(answered_csv(ROWS, NAMES)) + "\n"
    header, good, bad = csv.reader(io.StringIO(text))
    assert header == ["path", "label", "probability", *NAMES, "error", "abstained", "outside", "doubt", "remark"]
    assert good == ["a, b.jpg", NAMES[1], "0.75", "0.0", "0.75", "0.25", "", "false", "", "", ""]
    assert bad == ['say "x" 🦜\n.jpg', "", "", "", "", "", "ends after 3 of 5 bytes", "", "", "", ""]


def test_csv_stays_csv_whatever_classes_and_files_are_called():
    names = ("=1+1", "error", "new\nline", "path")
    row = Prediction("-o/\r=x.png", "=1+1", 0.75, dict(zip(names, (0.75, 0.25, 0.0, 0.0), strict=True)))
    failed = Prediction("@x\ny", None, None, {}, "=broken")
    text = "\n".join(answered_csv([row, failed], names)) + "\n"
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert table[0] == {
        "path": "'-o/\r=x.png", "label": "'=1+1", "probability": "0.75", "'=1+1": "0.75", "class error": "0.25",
        "new\nline": "0.0", "class path": "0.0", "error": "", "abstained": "false", "outside": "",
        "doubt": "", "remark": "",
    }  # fmt: skip
    assert (table[1]["path"], table[1]["error"], len(table)) == ("'@x\ny", "'=broken", 2)
    assert json.loads(next(predictions_jsonl([row])))["label"] == "=1+1"


def test_predictions_are_a_line_each():
    rows = [
        Prediction("a/1.jpg", "cat", 0.98765, {"cat": 0.98765, "dog": 0.01235}),
        Prediction("a/2.jpg", None, None, {}, "text, not a picture"),
        Prediction("a/3.png", "cat", 0.5, {"cat": 0.5, "dog": 0.5}, remark="it has no end"),
    ]
    assert list(prediction_lines(rows)) == [
        "0.988  cat  a/1.jpg",
        "  ---  a/2.jpg: text, not a picture",
        "0.500  cat  a/3.png (it has no end)",
    ]


def test_predictions_are_told_as_they_come():
    def rows():
        yield Prediction("1.jpg", "cat", 1.0, {"cat": 1.0})
        raise RuntimeError("not asked for yet")

    assert next(prediction_lines(rows())) == "1.000  cat  1.jpg"


# A few classes of many


THREE = Prediction("1.jpg", "b", 0.6, {"b": 0.6, "c": 0.3, "a": 0.1}, doubt="not sure")


def test_a_line_names_as_many_classes_as_are_wanted():
    assert list(prediction_lines([THREE], top=2)) == ["0.600  b, 0.300  c  1.jpg (not sure)"]


def test_json_with_fewer_classes_has_the_most_probable():
    (line,) = predictions_jsonl([THREE], top=2)
    assert json.loads(line)["probabilities"] == {"b": 0.6, "c": 0.3}


def test_csv_with_fewer_classes_has_a_column_an_answer():
    failed = Prediction("2.jpg", None, None, {}, "broken")
    header, good, bad = csv.reader(answered_csv([THREE, failed], ("a", "b", "c"), top=2))
    assert header[:5] == ["path", "label", "probability", "label_2", "probability_2"]
    assert good == ["1.jpg", "b", "0.6", "c", "0.3", "", "true", "", "not sure", ""]
    assert bad == ["2.jpg", "", "", "", "", "broken", "", "", "", ""]


def test_a_table_is_aligned_and_streams():
    def rows():
        yield from [THREE] * MEASURED_ROWS
        yield Prediction("a much longer name.jpg", "b", 1.0, {"b": 1.0, "c": 0.0, "a": 0.0})
        raise RuntimeError("not asked for yet")

    table = prediction_table(rows(), top=2)
    heading, rule, first = next(table), next(table), next(table)
    assert heading.split() == ["picture", "answer", "share", "2.", "share", "note"]
    assert first.split(maxsplit=5) == ["1.jpg", "b", "0.600", "c", "0.300", "not sure"]
    assert [mark for mark in rule if mark != " "] == ["─"] * sum(mark != " " for mark in rule)
    assert heading.index("note") == first.index("not sure")


def test_counts_are_told_in_words():
    assert tally_text(1, num_answers=1, doubts={}) == "1 picture: 1 answered"
    assert (
        tally_text(4, num_answers=3, doubts={"none of these": 1})
        == "4 pictures: 2 answered, 1 none of these, 1 not readable"
    )
