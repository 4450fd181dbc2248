"""The story puts every kind where its time and score say, marks the winner, and lays no label on anything."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from thawline.search.leaderboard import Leaderboard, Trial
from thawline.search.strategy import Strategy
from thawline.view.story import story_svg
from thawline.view.words import shared_backbone, short_name

KINDS = {"scratch": ("cnn · from nothing", "cnn"), "partial": ("net · last 20 %", "net"), "full": ("net · all", "net")}


def make_trial(kind, mean, fit_s, *, name=None, head="linear", num_pictures=1000):
    full_name, backbone = KINDS.get(kind, ("net · whole", "net"))
    strategy = Strategy(backbone, (0,) if kind != "scratch" else (), ("mean",), head, name or full_name, 1.0, kind)
    low, high = max(mean - 0.02, 0.0), min(mean + 0.01, 1.0)
    return Trial(
        strategy, (mean,), mean, low, high, mean, mean, 0.0, 0.0, 0.0, 1.0, True, None, None, fit_s, 3.0, num_pictures
    )


def make_board(*trials, winner=0):
    return Leaderboard("accuracy", "5 folds", trials, winner, 0.9, 0.8, 0.95, 1000, 9, 3.0)


MIXED = make_board(
    make_trial("partial", 0.992, 190.0, num_pictures=219),
    make_trial("frozen", 0.99, 0.9),
    make_trial("full", 0.985, 640.0),
    make_trial("scratch", 0.456, 80.0),
    winner=1,
)


def text_of(svg):
    return [unescape(text).replace("\N{NO-BREAK SPACE}", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def marks(svg, width_px):
    """Where each trial's mark is, in pixels: gid number → (x, y)."""
    found = re.findall(rf'id="story{width_px}-dot-(\d+)">.*?<use [^>]*x="([\d.]+)" y="([\d.]+)"', svg, re.DOTALL)
    return {int(number): (float(x), float(y)) for number, x, y in found}


@pytest.mark.parametrize("width_px", [360, 920])
def test_marks_lie_where_time_and_score_say(width_px):
    board = make_board(*(make_trial("frozen", 0.9 - 0.01 * n, 10.0**n, head=f"h{n}") for n in range(4)))
    svg = story_svg(board, width_px=width_px)
    x, y = np.array([marks(svg, width_px)[n] for n in range(4)]).T
    assert np.allclose(np.diff(x), np.diff(x)[0], atol=1e-3)
    assert np.allclose(np.diff(y), np.diff(y)[0], atol=1e-3)
    assert np.diff(x)[0] > 0
    assert np.diff(y)[0] > 0
    ticks = {label: float(at) for at, label in re.findall(r'x="([\d.]+)"[^>]*>(\d+ (?:s|min))</text>', svg)}
    assert ticks["1 s"] == pytest.approx(x[0], abs=1e-3)
    assert ticks["10 s"] == pytest.approx(x[1], abs=1e-3)
    assert ticks["1 min"] == pytest.approx(x[0] + np.log10(60) * np.diff(x)[0], abs=1e-3)


def test_every_kind_is_named_and_coloured():
    svg = story_svg(MIXED)
    assert {"from nothing", "frozen", "partly thawed", "fully thawed"} <= set(text_of(svg))
    assert all(f"var(--{colour})" in svg for colour in ("muted", "ice", "slush", "melt", "warm"))
    two = story_svg(make_board(make_trial("frozen", 0.9, 1.0), make_trial("full", 0.8, 9.0)))
    assert "partly thawed" not in text_of(two)


def test_the_winner_is_labelled_and_the_shared_backbone_left_out():
    texts = text_of(story_svg(MIXED))
    assert "winner: whole  99.0 %" in texts
    assert "cnn · from nothing  45.6 %" in texts
    assert "last 20 %  99.2 %" in texts
    assert any(text.startswith("winner ") for text in text_of(story_svg(MIXED, width_px=360)))


def test_the_text_alternative_tells_the_whole_story():
    svg = story_svg(MIXED)
    label = re.search(r'aria-label="([^"]*)"', svg)
    assert label is not None
    words = label.group(1).replace("\N{NO-BREAK SPACE}", " ")
    assert words.startswith("From nothing to fully thawed, accuracy against the time that training took: ")
    assert "net · last 20 % (partly thawed) 99.2 % after 3 min 10 s, on 219 of 1,000; " in words
    assert "net · whole (frozen, the winner) 99.0 % after 0.9 s; " in words
    assert "cnn · from nothing (from nothing) 45.6 % after 1 min 20 s" in words


def test_of_many_frozen_trials_the_best_of_each_head_is_shown_and_always_the_winner():
    many = [make_trial("frozen", 0.9 - 0.001 * n, 0.5, name=f"net · {n}", head=f"h{n % 3}") for n in range(60)]
    svg = story_svg(make_board(*many, make_trial("full", 0.5, 60.0), winner=40))
    assert sorted(re.findall(r"<title>net · (\d+):", svg)) == ["0", "1", "2", "40"]
    assert "winner: 40" in " ".join(text_of(svg))


@pytest.mark.parametrize("width_px", [360, 920])
def test_labels_lie_on_the_paper_and_not_on_one_another(width_px):
    rng = np.random.default_rng(0)
    heads = ("linear", "class mean", "k-NN")
    trials = [make_trial("frozen", 0.99 - 0.002 * n, 0.3 + 0.02 * n, head=heads[n % 3]) for n in range(6)]
    trials += [
        make_trial(kind, 0.985 - 0.001 * n, float(rng.uniform(60, 90)), name=f"net · {kind} {n}")
        for kind in ("partial", "full")
        for n in range(5)
    ]
    svg = story_svg(make_board(*sorted(trials, key=lambda trial: -trial.mean)), width_px=width_px)
    boxes = []
    for style, x, y, text in re.findall(r'<text style="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*%)</text>', svg):
        width = 6.0 * len(text)
        left = (
            float(x)
            - width
            * {"start": 0.0, "middle": 0.5, "end": 1.0}["".join(re.findall(r"start|middle|end", style)) or "start"]
        )
        boxes.append((left, float(y) - 10, left + width, float(y)))
    assert len(boxes) > 6
    for index, (left, bottom, right, top) in enumerate(boxes):
        assert right <= width_px + 1
        for other in boxes[index + 1 :]:
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom


@pytest.mark.parametrize("times", [(0.0, 0.0), (0.3, 0.4), (3e5, 2e6), (15.0, 15.0)])
def test_any_times_leave_two_that_can_be_read(times):
    trials = (make_trial("frozen", 0.9, times[0]), make_trial("full", 0.8, times[1]))
    svg = story_svg(make_board(*trials))
    assert len([text for text in text_of(svg) if re.fullmatch(r"[\d.]+ (s|min|h)", text)]) >= 2
    assert "nan" not in svg
    assert "inf" not in svg


@pytest.mark.parametrize("width_px", [360, 920])
@pytest.mark.parametrize("slowest_s", [3.0, 10.0, 19.0, 20.5, 190.0, 200.0, 1200.0])
def test_no_time_is_cut_off_by_the_edge_of_the_paper(width_px, slowest_s):
    trials = (make_trial("frozen", 0.9, 3.3), make_trial("full", 0.8, slowest_s))
    svg = story_svg(make_board(*trials), width_px=width_px)
    pattern = r'text-anchor: (\w+)[^>]*? x="([\d.]+)"[^>]*>(\d+.(?:s|min|h))</text>'
    ends = [
        float(x) + 3.5 * len(text) * {"start": 2, "middle": 1, "end": 0}[anchor]
        for anchor, x, text in re.findall(pattern, svg)
    ]
    assert len(ends) >= 2
    assert max(ends) <= width_px


def test_scores_of_zero_and_one_stay_on_the_paper():
    svg = story_svg(make_board(make_trial("frozen", 1.0, 1.0), make_trial("scratch", 0.0, 60.0)))
    assert "stretched towards 100" in svg
    assert all(0 < y < 430 for _, y in marks(svg, 920).values())


def test_hostile_names_are_cut_and_escaped():
    name = "net · </text><script>window.pwned=1</script>" + "x" * 300
    svg = story_svg(make_board(make_trial("frozen", 0.9, 1.0, name=name), make_trial("full", 0.8, 60.0)))
    assert "<script" not in svg
    assert max(map(len, text_of(svg))) < 80


def test_same_leaderboard_same_bytes():
    assert story_svg(MIXED) == story_svg(MIXED)
    ids = [set(re.findall(r'\bid="([^"]+)"', story_svg(MIXED, width_px=width_px))) for width_px in (360, 920)]
    assert not ids[0] & ids[1]


def test_a_backbone_is_shared_whatever_starts_from_nothing():
    assert shared_backbone(MIXED) == "net"
    assert short_name(MIXED.trials[0], "net") == "last 20 %"
    assert short_name(MIXED.trials[3], "net") == "cnn · from nothing"
    other = replace(MIXED.trials[2], strategy=replace(MIXED.trials[2].strategy, backbone="other"))
    assert shared_backbone(replace(MIXED, trials=(*MIXED.trials[:2], other))) == ""
    assert shared_backbone(make_board(MIXED.trials[3])) == ""
