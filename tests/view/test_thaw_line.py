"""The thaw line shows what was measured at every depth, and its labels are exact."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import report_cases as cases

from thawline.view.thaw_line import thaw_line_svg


def test_thaw_line_marks_winner_leader_and_best_cut():
    svg = thaw_line_svg(cases.make_board(), cases.CUTS)
    plain = svg.replace("\N{NO-BREAK SPACE}", " ")
    assert "thaw line: 5.0 is the best single cut, 84.0 %" in plain
    for text in ("89.3 % winner", "90.0 % leader", "winner 89.3 %", "net · cut (4,): 81.0 % (77.9 % to 83.7 %)"):
        assert text in plain
    assert all(f">{label}<" in svg for label in cases.LABELS)
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", svg))


@pytest.mark.parametrize("depths", [((0,),), ((0, 1),), ((2,), (2, 3))])
def test_thaw_line_of_few_trials(depths):
    trials = tuple(cases.make_trial(depth, 0.9) for depth in depths)
    board = replace(cases.make_board(), trials=trials, winner=len(trials) - 1)
    for width_px in (360, 920):
        assert "winner" in thaw_line_svg(board, cases.CUTS, width_px=width_px)


def test_thaw_line_stretches_scores_near_one():
    trials = tuple(replace(cases.make_trial((i,), mean), low=max(mean - 0.05, 0.0), high=1.0) for i, mean in cases.HIGH)
    svg = thaw_line_svg(replace(cases.make_board(), trials=trials, winner=0), cases.CUTS)
    assert "scores stretched towards 100" in svg
    assert "nan" not in svg
    assert "inf" not in svg
    assert "stretched" not in thaw_line_svg(cases.make_board(), cases.CUTS)


def test_thaw_line_leaves_out_what_reads_no_cut():
    board = cases.make_board()
    scratch = replace(
        board.trials[0], strategy=replace(board.trials[0].strategy, kind="scratch", depths=(), name="cnn")
    )
    svg = thaw_line_svg(replace(board, trials=(scratch, *board.trials[1:]), winner=0), cases.CUTS)
    assert "cnn" not in svg
    assert "winner 90.0" in svg


@pytest.mark.parametrize("scores", [(0.9, 0.925, 0.951), (0.992, 0.995, 1.0), (0.0, 0.001, 0.002), (1.0, 1.0, 1.0)])
def test_thaw_line_labels_are_exact(scores):
    trials = [cases.make_trial((i,), mean) for i, mean in enumerate(scores)]
    trials = [replace(trial, low=trial.mean, high=trial.mean) for trial in reversed(trials)]
    board = replace(cases.make_board(), trials=tuple(trials), winner=0)
    heights, shares = cases.ruled_shares(thaw_line_svg(board, cases.CUTS))
    assert len(shares) >= 2
    assert max(shares) <= 100
    slope, level = np.polyfit(heights, shares, 1)
    assert np.allclose(np.multiply(heights, slope) + level, shares, atol=1e-3)
