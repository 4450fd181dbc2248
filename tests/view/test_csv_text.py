"""A table has a line for everything that was compared, each number below its own heading."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_cases as cases

from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.listing import FileSource
from thawline.data.sources.places import Place
from thawline.vet.answered import Answered
from thawline.view.csv_text import MOST_PROBABILITIES, comparison_csv, history_csv, leaderboard_csv, predictions_csv


def test_csv_has_a_row_a_trial():
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(cases.make_board()))))
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 8)]
    assert [row["winner"] for row in rows] == ["false", "true"] + ["false"] * 5
    assert float(rows[1]["difference"]) == pytest.approx(-0.007)
    assert rows[0]["strategy"] == "net · fused (1, 2, 3, 4)"


def test_history_has_a_row_an_epoch():
    rows = list(csv.DictReader(io.StringIO(history_csv(cases.make_mixed_board()))))
    assert [(row["strategy"], row["kind"], row["epoch"]) for row in rows] == [
        ("net · last 20 %", "partial", "1"),
        ("net · last 20 %", "partial", "2"),
        ("net · all", "full", "1"),
        ("net · all", "full", "2"),
        *[("net · cut (3,)", "frozen", str(epoch)) for epoch in (1, 2, 3)],
        ("cnn · from nothing", "scratch", "1"),
        ("cnn · from nothing", "scratch", "2"),
    ]
    numbers = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")
    assert [rows[1][name] for name in numbers] == ["0.3", "0.5", "0.9", "0.8", "1e-05"]
    assert rows[4]["learning_rate"] == ""


def test_history_without_curves_is_its_heading():
    board = cases.make_board()
    assert history_csv(replace(board, trials=board.trials[:2])).count("\n") == 1


def test_the_table_as_csv():
    rows = list(csv.DictReader(io.StringIO(comparison_csv(cases.make_rows()))))
    assert [row["row"] for row in rows] == ["from Adam", "thawed", "solved"]
    test = cases.make_rows().rows[1].evaluation
    assert rows[1] == {
        "row": "thawed", "does": "net · does thawed", "origin": "0.955700", "accuracy": "0.950000",
        "low": f"{test.accuracy.low:.6f}", "high": f"{test.accuracy.high:.6f}",
        "accuracy_without_leaks": f"{52 / 55:.6f}", "precision": f"{test.macro_precision.value:.6f}",
        "recall": f"{test.macro_recall.value:.6f}", "macro_f1": f"{test.macro_f1.value:.6f}", "seconds": "21.000000",
        "shares_pass": "false", "tied": "true", "expected": "0.900000", "verdict": "above",
        "top3": "", "top5": "", "balanced_accuracy": f"{test.balanced_accuracy.value:.6f}",
        **{name: f"{test.scores[name].value:.6f}" for name in (
            "weighted_precision", "weighted_f1", "roc_auc", "average_precision", "log_loss", "brier",
            "calibration_error",
        )},
    }  # fmt: skip
    assert len({test.macro_precision.value, test.macro_recall.value, test.macro_f1.value}) == 3
    assert (rows[2]["origin"], rows[2]["verdict"]) == ("", "below")


def test_a_score_added_to_the_list_has_a_column(added_score):
    rows = list(csv.DictReader(io.StringIO(comparison_csv(cases.make_rows()))))
    assert [row[added_score.name] for row in rows] == ["0.333333", "0.050000", "0.100000"]


def answered_of(names, paths):
    samples = tuple(Sample(path, 0, "0" * 64, None, 1, FileSource(Path("x"))) for path in paths)
    dataset = Dataset(Place.of("photos"), names, samples, ())
    shares = np.tile(np.float32([0.75, 0.25]), (len(paths), 1))
    return Answered(dataset, np.arange(len(paths)), shares, np.arange(len(paths)) - 1)


def test_predictions_are_safe_for_spreadsheets_and_name_the_part():
    lines = list(
        predictions_csv(
            answered_of(("=1+1", "path"), ("=cmd()", "b,\n.jpg")), suspects={"=cmd()"}, abstained=[False, True]
        )
    )
    assert lines == [
        "path,part,label,predicted,probability,abstained,suspect,'=1+1,class path",
        "'=cmd(),test,'=1+1,'=1+1,0.750000,false,true,0.750000,0.250000",
        "\"b,\n.jpg\",fold 1,'=1+1,'=1+1,0.750000,true,false,0.750000,0.250000",
    ]


def test_of_too_many_probabilities_only_the_largest_is_written(monkeypatch):
    assert MOST_PROBABILITIES == 4_000_000
    monkeypatch.setattr("thawline.view.csv_text.MOST_PROBABILITIES", 3)
    header, *rows = predictions_csv(answered_of(("a", "b"), ("x", "y")))
    assert header == "path,part,label,predicted,probability,abstained,suspect"
    assert rows[1] == "y,fold 1,a,a,0.750000,false,false"
