"""Curves and the finder's sweep show what was recorded, and stay readable when a training went wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
import report_cases as cases

from thawline.core.types import Curve
from thawline.view.curves import curve_svg, finder_svg

SWEEP = tuple((10.0**-e, loss) for e, loss in zip(range(6, 0, -1), (2.3, 2.3, 1.9, 1.0, 1.2, 9.0), strict=True))


def make_curve(rates=(1e-3, 5e-4, 1e-5)):
    return Curve((1.2, 0.6, 0.3), (1.1, 0.7, 0.5), (0.5, 0.7, 0.9), (0.5, 0.7, 0.8), rates)


def height(svg):
    return float(re.search(r'height="([\d.]+)"', svg).group(1))


def test_the_step_size_has_a_strip_where_it_changed():
    with_rates, without = curve_svg(make_curve(), prefix="a"), curve_svg(make_curve(()), prefix="a")
    assert ">step size<" in with_rates
    assert "Loss, top-1 and step size by epoch" in with_rates
    assert ">step size<" not in without
    assert height(with_rates) > height(without)
    for rates in ((0.0, 0.0, 0.0), (1e-3, 1e-3, 1e-3), (1e-3, 0.0, 0.0)):
        assert curve_svg(make_curve(rates), prefix="a") == without


def test_the_step_size_is_drawn_on_a_logarithmic_scale():
    svg = curve_svg(make_curve((1e-2, 1e-3, 1e-4)), prefix="a")
    strip = svg[svg.index('id="a-axes_3"') :]
    assert {"10⁻²", "10⁻⁴"} <= set(re.findall(r">(10[⁻⁰-⁹¹²³]+)<", strip))
    line = re.search(r'<path d="([^"]*)"[^>]*stroke: var\(--ink\)', strip)
    points = np.array(
        [[float(value) for value in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", line.group(1))]
    )
    assert np.allclose(np.diff(points[:, 1]), np.diff(points[:, 1])[0], atol=1e-3)


@pytest.mark.parametrize("rates", [(1e-3, 1.1e-3), (1e-3, 1e-4, 0.0), (3e-12, 2e5), (0.1,) * 40 + (0.01,)], ids=str)
def test_any_step_sizes_can_be_drawn(rates):
    n = len(rates)
    svg = curve_svg(Curve((1.0,) * n, (1.0,) * n, (0.5,) * n, (0.5,) * n, rates), prefix="a")
    assert ">step size<" in svg


def test_a_training_that_diverged_is_drawn_up_to_there():
    nan = float("nan")
    svg = curve_svg(Curve((1.0, 9.0, nan), (1.0, float("inf"), nan), (0.5, 0.1, 0.1), (0.5, 0.1, 0.1)), prefix="a")
    assert ">loss<" in svg
    assert "nan" not in svg.lower()


def test_epochs_are_whole_and_begin_with_one():
    for num_epochs in (1, 2, 5, 25, 90):
        n = num_epochs
        svg = curve_svg(Curve((1.0,) * n, (1.0,) * n, (0.5,) * n, (0.5,) * n, (1e-3,) * n), prefix="a")
        labels = re.findall(r"text-anchor: middle[^>]*>([^<]+)</text>", svg)
        assert labels
        assert "0" not in labels
        assert all(label.isdecimal() for label in labels)


@pytest.mark.parametrize("width_px", [360, 920])
def test_the_finder_marks_the_step_size_chosen(width_px):
    svg = finder_svg(SWEEP, 2e-3, width_px=width_px)
    assert ">chosen: 0.002<" in svg
    assert "smoothed loss at 6 step sizes; 0.002 was chosen" in svg
    ticks = {text: float(at) for at, text in re.findall(r'x="([\d.]+)"[^>]*>(10[⁻⁰-⁹¹²³]+)<', svg)}
    line = re.search(r'd="M ([\d.]+) [\d.]+\s+L [^"]*"[^>]*stroke: var\(--warm\)', svg)
    between = (float(line.group(1)) - ticks["10⁻³"]) / (ticks["10⁻²"] - ticks["10⁻³"])
    assert between == pytest.approx(np.log10(2), abs=1e-3)


def test_the_end_of_a_sweep_does_not_flatten_its_fall():
    svg = finder_svg(SWEEP, None)
    line = re.search(r'<path d="([^"]*)"[^>]*stroke: var\(--ice\)', svg)
    heights = [float(y) for y in re.findall(r"[ML] [\d.]+ (-?[\d.]+)", line.group(1))]
    assert heights[3] - heights[0] > 100
    assert "chosen" not in svg


@pytest.mark.parametrize(
    "points", [(), ((1e-3, 1.0),), ((1e-3, float("nan")), (1e-2, 1.0)), ((0.0, 1.0),), ((1e-4, 1.0), (1e-3, 1.0))]
)
def test_any_sweep_can_be_drawn(points):
    svg = finder_svg(points, 1e-3, width_px=360)
    assert "chosen: 0.001" in svg
    assert "nan" not in svg.lower()


@pytest.mark.parametrize("goal", [0.05, 0.72, 1.0])
def test_the_goal_is_a_named_line_in_view(goal):
    svg = curve_svg(make_curve(), prefix="a", goal=goal).replace("\N{NO-BREAK SPACE}", " ")
    assert f">goal {100 * goal:.1f} %<" in svg
    assert f"the goal is {100 * goal:.1f} %" in svg
    dashed = re.search(r'd="M [\d.]+ ([\d.]+)\s+L [^"]*"[^>]*stroke-dasharray', svg)
    assert 31 - 1e-6 <= float(dashed.group(1)) <= 31 + 130 + 1e-6  # within the panel
    assert "goal" not in curve_svg(make_curve(), prefix="a")


def test_a_training_that_nothing_watched_has_one_line():
    svg = curve_svg(Curve((1.2, 0.6), (), (0.5, 0.7), ()), prefix="a", goal=0.9)
    assert "stroke: var(--muted)" in svg
    assert "stroke: var(--ice)" not in svg


def test_curve_has_both_panels_and_no_shared_ids():
    curve = cases.make_board().trials[2].curve
    assert curve is not None
    first, second = curve_svg(curve, prefix="a"), curve_svg(curve, prefix="b")
    assert ">loss<" in first
    assert ">top-1<" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    ("train", "held"),
    [
        ((0.9989, 0.9989, 1.0), (0.9909, 0.9817, 0.9863)),
        ((0.5, 0.7, 0.9), (0.5, 0.7, 0.8)),
        ((0.97, 0.975, 0.98), (0.9701, 0.972, 0.9733)),
        ((0.0, 0.3, 0.62), (0.02, 0.25, 0.4)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
        ((0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_curve_lies_where_the_labels_say(train, held):
    loss = (1.0,) * len(train)
    svg = curve_svg(Curve(loss, loss, train, held), prefix="a")
    svg = svg[svg.index('id="a-axes_2"') :]
    heights, shares = cases.ruled_shares(svg)
    assert len(shares) >= 3
    assert all(0 <= share <= 100 for share in shares)
    assert len(set(shares)) == len(shares)
    slope, level = np.polyfit(heights, shares, 1)
    assert np.allclose(np.multiply(heights, slope) + level, shares, atol=1e-3)
    ends = [float(y) for y in re.findall(r'<use [^>]*y="([\d.]+)"', svg)]
    assert np.allclose(np.multiply(ends, slope) + level, [100 * train[-1], 100 * held[-1]], atol=1e-3)
    frame = re.search(r'id="a-patch_\d+">\s*<path d="([^"]+)"', svg)
    assert frame is not None
    top = min(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", frame.group(1)))
    assert slope * top + level <= 100 + 1e-6
