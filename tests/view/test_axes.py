"""Scores lie where the axis says, labels do not touch, and a share is labelled with the decimals that it needs."""

from __future__ import annotations

import numpy as np
import pytest
import report_cases as cases

from thawline.view.axes import (
    apart,
    frame_shares,
    frame_times,
    height_of,
    is_stretched,
    label_cuts,
    round_shares,
    rule_shares,
    shifted,
    tooltip,
)
from thawline.view.svg import drawing

GAP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def axes():
    with drawing(400, 200) as figure:
        yield figure.add_axes((0.1, 0.2, 0.8, 0.7))


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_scores_close_to_each_other_have_a_plain_axis_that_holds_them(axes):
    frame_shares(axes, [0.8, 0.9], best=0.9)
    low, high = axes.get_ylim()
    assert low < 0.8 < 0.9 < high
    assert not is_stretched(axes)
    assert height_of(axes, 0.85) == 0.85


def test_scores_that_crowd_near_one_are_stretched(axes):
    frame_shares(axes, [0.5, 0.97, 1.0], best=0.97)
    assert is_stretched(axes)
    assert 0 < height_of(axes, 0.0) < height_of(axes, 0.5) == 0.5 < height_of(axes, 1.0) < 1


def test_labels_have_just_the_decimals_that_make_them_exact(axes):
    axes.set_ylim(0.9, 1.1)
    rule_shares(axes, [0.9, 0.95, 1.0, 1.05])
    assert labels_of(axes.yaxis) == [f"90{GAP}%", f"95{GAP}%", f"100{GAP}%"]
    rule_shares(axes, [0.9, 0.925])
    assert labels_of(axes.yaxis) == [f"90.0{GAP}%", f"92.5{GAP}%"]


def test_round_shares_part_the_axis(axes):
    axes.set_ylim(0.0, 1.0)
    assert round_shares(axes, num_bins=5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_score_is_moved_by_pixels_whatever_the_scale(axes):
    axes.set_ylim(0.0, 1.0)
    assert shifted(axes, 0.5, up_px=14) == pytest.approx(0.6)  # 140 px high
    frame_shares(axes, [0.3, 0.99], best=0.99)
    at, above = (axes.transData.transform((0, height))[1] for height in (0.9, shifted(axes, 0.9, up_px=14)))
    assert above - at == pytest.approx(14)


def test_labels_are_moved_apart_no_more_than_needed(axes):
    axes.set_ylim(0.0, 1.0)
    assert apart(axes, [0.5, 0.1, 0.52], gap_px=14) == pytest.approx([0.5, 0.1, 0.6])


@pytest.mark.parametrize(("spacing_px", "shown"), [(50.0, 4), (30.0, 2), (14.0, 2)])
def test_cuts_are_named_as_far_as_there_is_room_and_always_the_deepest(axes, spacing_px, shown):
    axes.set_xlim(-0.5, 3.5)
    label_cuts(axes, [("3.0", 0.2), ("4.0", 0.5), ("5.0", 0.9), ("head", 1.0)], spacing_px=spacing_px)
    names = labels_of(axes.xaxis)
    assert len(names) == shown or (spacing_px < 20 and names == ["head"])
    assert names[-1] == "head"
    costs = [text.get_text() for text in axes.texts]
    assert f"100{GAP}%" in costs
    assert np.sum([text.endswith("%") for text in costs]) == len(names)


def test_a_tooltip_has_the_score_and_its_interval():
    text = tooltip(cases.make_trial((3,), 0.84)).replace(GAP, " ")
    assert text == "net · cut (3,): 84.0 % (80.9 % to 86.7 %)"


def test_a_logarithmic_axis_has_the_labels_that_it_is_given_and_no_others(axes):
    frame_times(axes, low=0.5, high=40, labels={1: "1 s", 20.0: "20 s"})
    assert (axes.get_xscale(), axes.get_xlim()) == ("log", (0.5, 40))
    shown = [(at, label.get_text()) for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)]
    assert shown == [(1, "1 s"), (20, "20 s")]
    assert list(axes.get_xticks(minor=True)) == []
