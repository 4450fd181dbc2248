"""What peers tell is read as they told it, and compared picture by picture."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from unittest import mock

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def peers():
    with mock.patch.object(sys, "path", [str(BENCHMARKS), *sys.path]):
        yield importlib.import_module("against_peers")


def test_answers_are_read_in_order_and_a_line_that_was_cut_is_left_out(peers, tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"seconds": 3.5, "right": {"a.jpg": 1, "b.jpg": 0}}\n{"seconds": 7, "right": {"a.jp')
    assert peers.read_answers(file) == [(3.5, {"a.jpg": 1, "b.jpg": 0})]
    assert peers.read_answers(tmp_path / "none.jsonl") == []


def test_only_pictures_of_the_test_count_in_a_run(peers, tmp_path):
    file = tmp_path / "predictions.csv"
    file.write_text(
        "path,part,label,predicted\ntest/n0/a.jpg,test,n0,n0\ntest/n1/b.jpg,test,n1,n0\ntrain/n0/c.jpg,fold 1,n0,n0\n"
    )
    assert peers.test_rows(file) == {"a.jpg": 1, "b.jpg": 0}


def test_at_a_time_the_last_answers_count(peers):
    curve = {"seconds": [10.0, 60.0, 61.0], "bits": ["00", "01", "11"]}
    assert [peers.at(curve, seconds) for seconds in (9.9, 10, 60, 300)] == [None, "00", "01", "11"]


def test_a_difference_is_paired(peers):
    """The example of Newcombe (1998): 36 right by both, 12 and 2 by one alone, none by neither."""
    ours, theirs = "1" * 36 + "1" * 12 + "0" * 2, "1" * 36 + "0" * 12 + "1" * 2
    assert peers.difference(ours, theirs) == pytest.approx((0.2, 0.0569, 0.3404), abs=1e-4)
    mean, low, high = peers.difference("1" * 268 + "0" * 4, "1" * 268 + "0" * 4)
    assert mean == 0
    assert low == pytest.approx(-high)
    assert high < 0.02


def test_lines_are_those_that_a_person_writes(peers):
    assert peers.lines_of("thawline") == 1
    assert 12 <= peers.lines_of("sklearn") <= 20
    assert peers.lines_of("sklearn") < peers.lines_of("torch")


def test_a_tool_that_stops_is_recorded_with_its_error(peers, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "command_of", lambda *args: [sys.executable, "-c", "raise ValueError('no weights')"])
    monkeypatch.setenv("THAWLINE_RECORDS", str(tmp_path))
    with pytest.raises(peers.ToolFailedError, match="no weights") as failed:
        peers.run("fastai", tmp_path, weights=tmp_path, cap_s=20)
    peers.record_failure("fastai", "monkeys", str(failed.value))
    assert '"ended": "no: ValueError: no weights"' in (tmp_path / "against_peers.jsonl").read_text(encoding="utf-8")


def test_the_time_to_an_accuracy_is_that_of_the_first_who_has_it(peers, tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_RECORDS", str(tmp_path))
    theirs = {"fastai": {"accuracies": [0.5, 0.9], "seconds": [50, 100]}}
    peers.time_to("monkeys", theirs, [{"accuracies": [0.8, 0.9, 0.95], "seconds": [5, 10, 20]}], "the best peer")
    peers.time_to("cifar10", theirs, [{"accuracies": [0.8], "seconds": [5]}], "the best peer")
    one, other = map(json.loads, (tmp_path / "against_peers.jsonl").read_text(encoding="utf-8").splitlines())
    assert (one["value"], one["holds"], other["value"], other["holds"]) == (0.1, False, "not reached", False)
