from __future__ import annotations

import sys

import pytest

from thawline.core import progress
from thawline.core.progress import LineProgress, SilentProgress, TerminalProgress, progress_for_stderr


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_silence_says_nothing(capsys):
    with SilentProgress().stage("extract", 10) as advance:
        advance(10)
    SilentProgress().note("unheard")
    assert capsys.readouterr() == ("", "")


def test_lines_give_count_rate_and_time_left(capsys, clock):
    with LineProgress(every_s=10).stage("extract", 4000) as advance:
        clock.now += 4
        advance(400)  # too early for a line
        clock.now += 6
        advance(600)
        clock.now += 10
        advance(3000)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "extract: 1,000 of 4,000 pictures, 100/s, 30 s left",
        "extract: 4,000 of 4,000 pictures, 200/s, 0 s left",
        "extract: 4,000 pictures in 20.0 s, 200/s",
    ]


def test_lines_do_without_a_total(capsys, clock):
    with LineProgress(every_s=1).stage("copies", unit="pairs") as advance:
        clock.now += 2
        advance(50)
    assert capsys.readouterr().err.splitlines() == ["copies: 50 pairs, 25/s", "copies: 50 pairs in 2.0 s, 25/s"]


def test_a_stage_that_counts_nothing_gives_its_time(capsys, clock):
    with LineProgress().stage("report"):
        clock.now += 1.25
    assert capsys.readouterr().err == "report: 1.2 s\n"


def test_a_stage_that_takes_no_time_divides_by_nothing(capsys, clock):
    with LineProgress(every_s=0).stage("extract", 3) as advance:
        clock.now += 0.5
        advance(3)
    with LineProgress().stage("extract", 3) as advance:
        advance(3)
    assert capsys.readouterr().err.splitlines()[-1] == "extract: 3 pictures in 0.0 s"


def test_a_stage_that_fails_does_not_claim_to_be_done(capsys, clock):
    with pytest.raises(RuntimeError), LineProgress().stage("extract", 3):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_bars_show_stage_count_and_unit_on_standard_error(capsys):
    with TerminalProgress().stage("extract", 20) as advance:
        advance(20)
    TerminalProgress().note("a line between")
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("extract", "20/20", "pictures", "a line between"):
        assert part in err


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, TerminalProgress), (False, LineProgress)])
def test_bars_are_for_terminals_and_lines_for_logs(monkeypatch, is_terminal, kind):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    assert isinstance(progress_for_stderr(), kind)
