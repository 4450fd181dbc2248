"""What peers tell is read as they told it, and compared picture by picture."""

from __future__ import annotations

import importlib
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


def test_a_process_that_told_nothing_ends_the_benchmark_with_what_it_said(peers, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "command_of", lambda *args: [sys.executable, "-c", "raise SystemExit('no weights')"])
    with pytest.raises(SystemExit, match="no weights"):
        peers.run("fastai", tmp_path, weights=tmp_path, cap_s=20)
