"""The curve says what a threshold buys, in the palette, the same bytes every time, whatever there is to draw."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from thawline.vet.abstaining import Abstaining, CoveragePoint, Kept
from thawline.view.coverage_curve import coverage_curve_svg

KEPT = Kept(200, 184, 0.92, 0.87, 0.95, 0.99, 0.96, 0.998)
CURVE = tuple(CoveragePoint(n / 200, 1 - n / 400, 1 - n / 4000, 0.9, 1.0, n) for n in range(2, 201, 2))
ADVICE = Abstaining(0.02, 0.95, 0.8, KEPT, None, CURVE, "out of fold", None)


def test_the_sentence_is_its_text_alternative():
    label = ET.fromstring(coverage_curve_svg(ADVICE)).get("aria-label")
    assert "Answers 92" in label
    assert "200 pictures" in label
    assert "of 80" in label  # the least probability


def test_the_kept_threshold_has_a_dot_only_where_something_is_promised():
    assert 'id="coverage920-kept"' in coverage_curve_svg(ADVICE)
    assert "-kept" not in coverage_curve_svg(replace(ADVICE, error_rate=None, min_probability=None))


def test_all_colours_follow_the_theme_and_bytes_are_equal():
    text = coverage_curve_svg(ADVICE, width_px=360)
    assert text == coverage_curve_svg(ADVICE, width_px=360)
    assert "var(--ice)" in text
    assert "#14789f" not in text.split("</style>")[1]


@pytest.mark.parametrize("curve", [(), CURVE[:1], CURVE[:2], CURVE[-1:]])
def test_few_points_are_drawn_too(curve):
    nothing = Kept(1, 0, 0.0, 0.0, 0.8, None, 0.0, 1.0)
    ET.fromstring(coverage_curve_svg(replace(ADVICE, curve=curve)))
    assert "none of 1 picture" in coverage_curve_svg(replace(ADVICE, curve=curve, out_of_fold=nothing))


def test_all_right_is_drawn_at_the_top_and_no_interval_leaves_the_axis():
    curve = tuple(CoveragePoint(n / 200, 1 - n / 400, 1.0, n / (n + 4), 1.0, n) for n in range(5, 201, 5))
    svg = coverage_curve_svg(replace(ADVICE, curve=curve))
    assert ">100\N{NO-BREAK SPACE}%</text>" in svg
    band = re.search(r'<defs>\s*<path id="[^"]*" d="([^"]*)', svg).group(1)  # it is used 300 px further down
    heights = [300 + float(y) for y in re.findall(r"[ML] [\d.]+ (-[\d.]+)", band)]
    assert len(heights) > 20
    assert 0 <= min(heights) <= max(heights) <= 300 - 46 + 1
