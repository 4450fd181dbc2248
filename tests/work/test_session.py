"""What a fit made, as a notebook shows it: the leaderboard, the test's one line, and the way to the report."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

from thawline.work.session import FitResult

_beside = importlib.util.spec_from_file_location("report_cases", Path(__file__).parents[1] / "view/test_report.py")
assert _beside is not None
assert _beside.loader is not None
cases = importlib.util.module_from_spec(_beside)
sys.modules["report_cases"] = cases
_beside.loader.exec_module(cases)


def test_a_notebook_shows_leaderboard_test_and_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = cases.make_board()
    out = Path("runs") / "<b>garden"
    result = FitResult(out, SimpleNamespace(leaderboard=board), cases.make_evaluation(("ant", "bee", "crow")), {})
    html = result._repr_html_()
    assert html.startswith(board._repr_html_())
    assert "<b>Test: 0.917</b> [0.661, 0.958] of 12 pictures, read once" in html
    assert '<a href="runs/%3Cb%3Egarden/report.html"' in html
    assert "<b>garden" not in html
