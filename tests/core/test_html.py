"""Pieces of HTML stand alone, show what they are given, and let no name become markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import Markup

from thawline.core.html import Scale, file_link, html_table, interval_bar, scale_of


@pytest.mark.parametrize(
    ("lows", "highs", "scale"),
    [
        ([0.83, 0.71], [0.96, 0.9], Scale(0.7, 1.0)),
        ([0.7], [0.85], Scale(0.7, 0.85)),
        ([1.0], [1.0], Scale(0.95, 1.0)),
        ([0.0], [0.0], Scale(0.0, 0.05)),
        ([], [], Scale(0.0, 1.0)),
    ],
)
def test_a_scale_holds_all_intervals_between_round_ends(lows, highs, scale):
    found = scale_of(lows, highs)
    assert (found.low, found.high) == pytest.approx((scale.low, scale.high))


def test_a_bar_lies_where_its_interval_is():
    bar = interval_bar(Scale(0.5, 1.0), 0.75, low=0.6, high=0.9, tone="lead")
    assert 'title="0.750 [0.600, 0.900]"' in bar
    assert "left:20.00%;width:60.00%" in bar
    assert "left:50.00%" in bar


def test_a_table_escapes_what_is_no_markup():
    html = html_table(
        "<i>caption</i>",
        ("name", ">score"),
        rows=[("<script>1</script>", Markup("<b>0.5</b>")), ("caf\udce9", "")],
        note="a < b",
    )
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;1&lt;/script&gt;" in html
    assert "<b>0.5</b>" in html
    assert "caf?" in html
    assert "a &lt; b" in html
    assert re.findall(r"<th [^>]*text-align:(\w+)[^>]*>(\w+)</th>", html) == [("left", "name"), ("right", "score")]
    html.encode("utf-8")


def test_a_row_of_another_width_is_refused():
    with pytest.raises(ValueError, match="zip"):
        html_table("", ("one", "two"), rows=[("a",)])


def test_a_link_leads_to_the_file_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 'href="runs/a%20%22run%22/report.html"' in file_link(Path('runs/a "run"/report.html'))
    assert 'href="javascript%3Aalert%281%29/report.html"' in file_link(Path("javascript:alert(1)/report.html"))
    assert 'href="file:///' in file_link(tmp_path.parent / "elsewhere.html")
