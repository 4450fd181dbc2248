"""Ties, goals and too few pictures are put into words as the numbers say."""

from __future__ import annotations

import pytest
import report_cases as cases

from thawline.view.outcome import goal_text, tied_rows, unclear_rows


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        (0.8, "reached, by the whole of the interval"),
        (0.97, "not reached, but its interval ends at 0.983, above the goal: these pictures cannot tell"),
        (0.95, "not reached, but its interval ends at 0.983, above the goal: these pictures cannot tell"),
        (0.99, "not reached, by the whole of the interval"),
        (None, ""),
    ],
)
def test_the_goal_is_judged_with_the_interval(goal, sentence):
    assert goal_text(cases.make_rows(goal=goal), "{:.3f}".format) == sentence


def test_the_best_row_and_its_ties_are_the_leaderboards():
    data = cases.make_rows()
    assert data.best_row.name == "thawed"
    assert [row.name for row in tied_rows(data)] == ["solved"]
    assert unclear_rows(data) == ()
