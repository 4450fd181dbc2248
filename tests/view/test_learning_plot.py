"""The learning curve is drawn where its numbers say, and its sentences say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from thawline.vet.more_pictures import ClassGain, CurvePoint, Forecast, MorePictures
from thawline.view.learning_plot import class_gain_text, growth_text, learning_svg


def point(pictures, mean, wide=0.02):
    return CurvePoint(pictures, mean, mean - wide, mean + wide, mean - wide / 2, mean + wide / 2)


def forecast(pictures, mean, gain):
    ends = (mean - 0.03, mean + 0.02, mean - 0.02, mean + 0.01)
    return Forecast(pictures, mean, *ends, gain, gain - 0.01, gain + 0.01)


CURVE = MorePictures(
    "balanced_accuracy",
    "net · <linear>",
    1000,
    (point(100, 0.7), point(200, 0.78), point(400, 0.84), point(800, 0.88)),
    (forecast(1000, 0.89, 0.0), forecast(1500, 0.91, 0.02), forecast(2000, 0.92, 0.03), forecast(4000, 0.94, 0.05)),
    50,
)


def text_of(svg):
    return [unescape(text).replace("\N{NO-BREAK SPACE}", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def marks(svg, width_px):
    found = re.findall(rf'id="learning{width_px}-dot-(\d+)">.*?<use [^>]*x="([\d.]+)" y="([\d.]+)"', svg, re.DOTALL)
    return {int(number): (float(x), float(y)) for number, x, y in found}


@pytest.mark.parametrize("width_px", [360, 920])
def test_dots_lie_where_pictures_and_scores_say(width_px):
    at = marks(learning_svg(CURVE, width_px=width_px), width_px)
    assert len(at) == 8
    x = np.array([at[n][0] for n in range(8)])
    y = np.array([at[n][1] for n in range(8)])
    assert np.allclose(np.diff(x[:4]), np.diff(x)[0], atol=1e-3)  # each twice the one before
    assert x[7] - x[6] == pytest.approx(np.diff(x)[0], abs=1e-3)
    assert (np.diff(y) < 0).all()
    assert (y[0] - y[1]) / (y[1] - y[2]) == pytest.approx(0.08 / 0.06, rel=1e-3)


@pytest.mark.parametrize("width_px", [360, 920])
def test_it_names_its_axes_and_today(width_px):
    svg = learning_svg(CURVE, width_px=width_px)
    texts = text_of(svg)
    assert "balanced accuracy" in texts
    assert "now: 1,000 pictures" in texts
    assert {"100", "1,000", "94.0 %"} <= set(texts)
    assert all(f"var(--{colour})" in svg for colour in ("ice", "frost", "warm", "paper"))
    assert "#" not in re.sub(r"<style>.*?</style>|(?:xlink:)?href=\"#[^\"]*\"|url\(#[^)]*\)", "", svg, flags=re.DOTALL)


def test_tooltips_and_the_text_alternative_say_both_intervals_and_what_is_forecast():
    svg = learning_svg(CURVE).replace("\N{NO-BREAK SPACE}", " ")
    assert "<title>800 pictures: 88.0 % (80 %: 87.0 % to 89.0 %; 95 %: 86.0 % to 90.0 %)</title>" in svg
    assert "<title>4,000 pictures, forecast: 94.0 % (80 %: 92.0 % to 95.0 %; 95 %: 91.0 % to 96.0 %)</title>" in svg
    assert "Learning curve of net · &lt;linear&gt;: balanced accuracy" in svg


def test_equal_curves_are_equal_bytes_and_different_ones_are_not():
    assert learning_svg(CURVE) == learning_svg(CURVE)
    assert learning_svg(CURVE) != learning_svg(replace(CURVE, pictures=900))


def test_a_curve_that_is_flat_at_the_top_can_be_drawn():
    flat = [replace(one, mean=1.0, low=1.0, high=1.0, low_80=1.0, high_80=1.0) for one in CURVE.points]
    further = [replace(one, mean=1.0, low=1.0, high=1.0, low_80=1.0, high_80=1.0) for one in CURVE.forecast]
    svg = learning_svg(replace(CURVE, points=tuple(flat), forecast=tuple(further)), width_px=360)
    assert "100.0 %" in text_of(svg)
    assert "nan" not in svg


def test_few_pictures_can_be_drawn():
    few = replace(CURVE, pictures=6, points=(point(4, 0.5), point(5, 0.6)), forecast=(forecast(6, 0.7, 0.0),))
    assert "5" in text_of(learning_svg(few))


def test_sentences_say_the_gain_and_its_interval():
    told = growth_text(CURVE)
    assert told.startswith("Twice as many pictures (2,000 to learn from) should bring +3.0 points [+2.0, +4.0] of")
    assert "balanced accuracy" in told
    assert growth_text(replace(CURVE, forecast=(), note="Too few.")) == "Too few."


def test_a_class_that_gains_nothing_for_sure_is_said_to_hardly_gain():
    helped = ClassGain("glass", 100, 0.9, 0.012, 0.0, 0.024, 0.004, 0.02, helps=True)
    assert class_gain_text(helped, more=50) == "50 more pictures of glass should bring +1.2 points [+0.4, +2.0] there."
    hardly = class_gain_text(replace(helped, helps=False, low_80=-0.004), more=50)
    assert hardly == "50 more pictures of glass would hardly help: +1.2 points [−0.4, +2.0] there."
