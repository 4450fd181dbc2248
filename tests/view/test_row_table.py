"""Rows side by side on a terminal and in a notebook."""

from __future__ import annotations

import re
from dataclasses import replace

import report_cases as cases

from thawline.search.ties import MARGIN_WORDS, TIE_WORDS
from thawline.view.outcome import small_part_text, unclear_rows
from thawline.view.report import render_report
from thawline.view.row_table import rows_html
from thawline.view.summary import run_text


def test_the_terminal_shows_the_rows_aligned():
    lines = run_text(cases.make_rows()).splitlines()
    assert lines[4:7] == [
        "     from Adam     0.667  [0.541, 0.773]     0.680           21 s   0.691  0.610 [0.550, 0.680]  as expected",
        "  *= thawed        0.950  [0.863, 0.983]     0.950           21 s   0.956  0.900 [0.800, 0.940]  above",
        "   = solved        0.900  [0.799, 0.953]     0.902  0.25 s + pass          0.970 [0.950, 0.990]  below",
    ]
    text = "\n".join(lines)
    assert f"* best row; 1 tied with it (=): {TIE_WORDS}, within {MARGIN_WORDS}." in text
    scores = "balanced accuracy 0.900, macro-precision 0.906, macro-recall 0.900, macro-F1 0.902"
    assert f"\nModel kept, solved: {scores}.\n" in text
    assert "PASS  goal 0.880: reached, but its interval begins at 0.863, below the goal" in text
    assert "+ pass: the one pass of the network over the pictures, which these rows share, took 33 s." in text
    assert "the best row: 0.945 [0.851, 0.981] of 55." in text
    bare = run_text(cases.solved_only(cases.make_rows())).splitlines()
    assert bare[3:5] == [
        "     row        accuracy   95 % interval  macro-F1           time",
        "     from Adam     0.667  [0.541, 0.773]     0.680    21 s + pass",
    ]
    assert "FAIL  goal 0.990: not reached, by the whole of the interval." in run_text(cases.make_rows(goal=0.99))


def test_two_dozen_test_pictures_mean_a_wide_interval():
    rows = (cases.make_row("dense", 23, names=("dog", "other"), num=24, leaked=0, origin=0.96, epochs=15),)
    data = cases.make_rows(("dog", "other"), rows=rows, leaderboard=cases.board_of(rows), goal=None, delivered="dense")
    note = "Only 24 pictures were held out: 0.96 of 24 means anything from 0.80 to 0.99."
    assert note + " `--protocol folds` holds every picture out once and says more." in run_text(data)
    assert small_part_text(cases.make_rows(num=120), "{:.2f}".format) == ""
    assert "It is the only row." in cases.words(render_report(data))


def test_rows_that_the_pictures_are_too_few_to_judge_are_neither_tied_nor_behind():
    data = cases.make_rows()
    trials = tuple(
        replace(trial, tied=True, difference_low=-0.1) if not trial.tied else trial for trial in data.leaderboard.trials
    )
    data = replace(data, leaderboard=replace(data.leaderboard, trials=trials))
    assert [row.name for row in unclear_rows(data)] == ["from Adam"]
    lines = run_text(data).splitlines()
    assert lines[4].startswith("   ? from Adam")
    assert "? the pictures are too few to tell 1 of the others from it, or to call that a tie." in lines
    assert ", or to call that a tie." in cases.words(render_report(data))
    assert "too few" not in cases.words(render_report(cases.make_rows()))


def test_a_notebook_shows_the_rows():
    html = str(rows_html(cases.make_rows()))
    assert re.findall(r">(from Adam|thawed|solved)<", html) == ["from Adam", "thawed", "solved"]
    assert "0.950" in html
    assert "Goal 0.880: reached" in html
