"""The reliability diagram puts every bin where its sureness and its right answers say, with words for each."""

from __future__ import annotations

import re

import numpy as np
import pytest

from thawline.use.evaluate import evaluate
from thawline.view.reliability import reliability_svg


def make_evaluation(num_pictures=400, *, seed=0):
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.5, 1, num_pictures)
    labels = (rng.random(num_pictures) > sure).astype(int)
    return evaluate(
        labels, np.stack([sure, 1 - sure], axis=1), strategy="s", class_names=("<b>", "b"),
        paths=[f"{row}" for row in range(num_pictures)], groups=np.arange(num_pictures), leaked=np.zeros_like(labels),
    )  # fmt: skip


def dots(svg, width_px):
    found = re.findall(rf'id="reliability{width_px}-bin-(\d+)">.*?<use [^>]*x="([\d.]+)" y="([\d.]+)"', svg, re.DOTALL)
    return np.array([(float(x), float(y)) for _, x, y in sorted(found, key=lambda row: int(row[0]))])


@pytest.mark.parametrize("width_px", [360, 920])
def test_dots_lie_where_sureness_and_right_answers_say(width_px):
    evaluation = make_evaluation()
    at = dots(reliability_svg(evaluation, width_px=width_px), width_px)
    bins = evaluation.reliability
    assert len(at) == len(bins) == 8
    for shown, values in ((at[:, 0], [one.confidence for one in bins]), (-at[:, 1], [one.accuracy for one in bins])):
        slope, start = np.polyfit(values, shown, 1)
        assert slope > 0
        np.testing.assert_allclose(shown, slope * np.array(values) + start, atol=0.01)


def test_every_bin_says_what_it_is_and_equal_arguments_give_equal_bytes():
    evaluation = make_evaluation()
    svg = reliability_svg(evaluation)
    assert svg == reliability_svg(make_evaluation())
    for one in evaluation.reliability:
        words = f"{100 * one.confidence:.1f}\N{NO-BREAK SPACE}% sure, {100 * one.accuracy:.1f}\N{NO-BREAK SPACE}% right"
        assert svg.count(words) == 3  # the dot, the bar, the sentence for those who hear it
    assert "#14789f" not in svg.split("</style>")[1]


def test_a_single_picture_is_drawn():
    assert "of 1 picture<" in reliability_svg(make_evaluation(1)).replace("\N{NO-BREAK SPACE}", " ")
