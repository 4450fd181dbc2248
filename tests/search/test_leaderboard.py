"""A leaderboard in a notebook shows the best trials and the winner, and no name of a strategy becomes markup."""

from __future__ import annotations

import re

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.search.strategy import Strategy


def make_board(count, *, winner=0, name="net · cut {}"):
    trials = []
    for place in range(count):
        mean = 0.9 - place / 100
        strategy = Strategy("net", (3,), ("mean",), "linear", name.format(place), 1.0)
        scores = (mean, mean - 0.03, mean + 0.02, mean, mean - 0.004, -place / 100, -0.1, 0.0)
        trials.append(Trial(strategy, (mean,), *scores, 0.2, place < 2, None, None, 0.1, 3.0, 368))
    return Leaderboard("accuracy", "5 folds × 2", tuple(trials), winner, 0.88, 0.85, 0.91, 368, 12, 3.0)


def test_the_best_and_the_winner_are_shown():
    html = make_board(30, winner=20)._repr_html_()
    assert re.findall(r">net · cut (\d+)<", html) == [*map(str, range(12)), "20"]
    assert "accuracy over 368 pictures, 5 folds × 2" in html
    assert "and 17 more strategies" in html
    assert html.count(">winner<") == 1
    assert html.count(">tied<") == 2
    assert 'title="0.700 [0.670, 0.720]"' in html
    assert "0.670 – 0.720" in html
    assert "more strategies" not in make_board(3)._repr_html_()


def test_hostile_names_are_inert():
    html = make_board(2, name='<img src=x onerror="1">{}\udce9')._repr_html_()
    assert "<img" not in html
    assert "&lt;img src=x onerror=&#34;1&#34;&gt;0?" in html


def test_it_prints_in_a_line():
    board = make_board(30, winner=1)
    assert repr(board.trials[1]) == "<Trial net · cut 1: 0.890 [0.860, 0.910]>"
    assert repr(board) == (
        "<Leaderboard of 30 strategies by accuracy, 5 folds × 2, 368 pictures: "
        "winner <Trial net · cut 1: 0.890 [0.860, 0.910]>, 2 tied>"
    )
