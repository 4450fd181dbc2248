"""Every figure of a report is there by itself, once, as SVG text and as PNG of twice its size."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import report_cases as cases
from PIL import Image

from thawline.vet.advice import Advice
from thawline.vet.more_pictures import CurvePoint, Forecast, MorePictures
from thawline.view.figures import figure_files


def test_a_figure_is_the_same_in_both_forms():
    found = {figure.name: figure for figure in figure_files(cases.make_choice())}
    assert {"thaw-line", "confusion"} <= set(found)
    for figure in found.values():
        width, height = map(float, re.search(r'width="([\d.]+)" height="([\d.]+)"', figure.svg).groups())
        picture = Image.open(io.BytesIO(figure.png))
        assert picture.size == (round(2 * width), round(2 * height)) or abs(picture.width - 2 * width) < 1.01
        assert len(picture.convert("L").getcolors(1 << 16)) > 10


def test_the_learning_curve_is_drawn_where_it_was_measured():
    measured = CurvePoint(100, 0.8, 0.7, 0.9, 0.75, 0.85)
    beyond = Forecast(200, 0.85, 0.7, 0.95, 0.8, 0.9, 0.05, 0.0, 0.1)
    for points, names in (((measured,), {"learning-curve"}), ((), set())):
        advice = Advice(9, more_pictures=MorePictures("accuracy", "net", 100, points, (beyond,)))
        found = {figure.name for figure in figure_files(replace(cases.make_choice(), advice=advice))}
        assert found & {"learning-curve"} == names


def test_what_there_is_nothing_for_is_left_out():
    data = replace(cases.make_choice(), evaluation=None)
    assert "confusion" not in {figure.name for figure in figure_files(data)}


def test_several_of_a_kind_are_numbered_and_all_kinds_have_a_story():
    drifts = {"a": cases.DRIFT, "b": cases.DRIFT}
    data = replace(cases.make_choice(), leaderboard=cases.make_mixed_board(), drifts=drifts,
                   finder=((1e-5, 2.0), (1e-3, 1.0), (1e-1, 3.0)), finder_rate=1e-3)  # fmt: skip
    names = [figure.name for figure in figure_files(data)]
    assert len(set(names)) == len(names)
    assert {"story", "curve-1", "curve-2", "forgetting-1", "forgetting-2", "learning-rate-finder"} <= set(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*(-\d+)?", name) for name in names)
