"""What a millisecond buys: the line holds what nothing cheaper beats, each network has its colour, equal bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_cases import make_board

from thawline.view.pareto import pareto_front, pareto_svg
from thawline.view.svg import LIGHT


def timed(trial, ms, backbone="net", num_networks=1):
    passes = () if num_networks == 1 and backbone == "net" else (1.0,) * num_networks
    strategy = replace(trial.strategy, backbone=backbone, name=f"{backbone} · {trial.name}", passes=passes)
    return replace(trial, strategy=strategy, predict_ms=ms)


@pytest.fixture
def board():
    trials = make_board().trials
    times = (40.0, 9.0, 12.0, 5.0, 6.0, 4.0, 2.0)
    return replace(make_board(), trials=tuple(timed(trial, ms) for trial, ms in zip(trials, times, strict=True)))


@pytest.fixture
def joined(board):
    """The same, with strategies of another network, and one that reads both."""
    first, second, *others = board.trials
    both = timed(first, 60.0, "net + other", 2)
    return replace(board, trials=(both, timed(second, 20.0, "other"), *others), winner=2)


def test_the_line_holds_what_nothing_cheaper_beats(board):
    assert [(trial.predict_ms, trial.mean) for trial in pareto_front(board.trials)] == [
        (2.0, 0.6),
        (4.0, 0.7),
        (5.0, 0.81),
        (9.0, 0.893),
        (40.0, 0.9),
    ]


def test_it_says_the_line_in_words_and_the_same_bytes_every_time(board):
    svg = pareto_svg(board)
    assert svg == pareto_svg(board)
    assert "Score against milliseconds a picture; the line:" in svg
    assert "90.0\N{NO-BREAK SPACE}% at 40 ms (net" in svg
    assert "milliseconds a picture, logarithmic" in svg
    assert not [colour for colour in LIGHT.values() if f": {colour}" in svg.split("</style>")[1]]


def test_every_dot_has_a_tooltip_with_its_time(board):
    assert pareto_svg(board).count(" ms a picture</title>") == len(board.trials)


def test_networks_are_named_where_there_are_several(joined, board):
    svg = pareto_svg(joined)
    for name in (">net<", ">other<", ">several at once<"):
        assert name in svg
        assert name not in pareto_svg(board)
    assert "var(--slush)" in svg


def test_what_answered_only_part_is_left_out(board):
    part = replace(board.trials[1], num_pictures=100, mean=0.99)
    svg = pareto_svg(replace(board, trials=(board.trials[0], part, *board.trials[2:]), winner=0))
    assert part.name not in svg


@pytest.mark.parametrize("width_px", [360, 920])
def test_one_time_alone_is_drawn_too(board, width_px):
    same = tuple(replace(trial, predict_ms=3.0) for trial in board.trials)
    assert f'width="{width_px}"' in pareto_svg(replace(board, trials=same), width_px=width_px)
