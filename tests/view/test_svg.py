"""A drawing becomes SVG that follows light and dark, with text as text, and the same bytes each time."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from thawline.view.svg import LIGHT, PALETTE_CSS, drawing, figure_svg, strip_axes, taking_png


def draw(prefix="a", text="x < y & z"):
    with drawing(300, 120) as figure:
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        strip_axes(axes)
        axes.plot([0, 1], [0, 1], "o", color=LIGHT["ice"], gid="dot")
        axes.text(0, 0, text)
        return figure_svg(figure, prefix=prefix, label="a <label>", tooltips={"dot": "told & shown"})


def test_colours_are_variables_and_each_has_a_light_and_a_dark_value():
    svg = draw()
    assert "var(--ice)" in svg
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", svg))
    light, dark = PALETTE_CSS.split("@media")
    for name in LIGHT:
        assert f"--{name}:" in light
        assert f"--{name}:" in dark


def test_text_stays_text_and_is_escaped():
    svg = draw()
    assert ">x &lt; y &amp; z</text>" in svg
    assert 'aria-label="a &lt;label&gt;"' in svg
    root = ET.fromstring(svg)
    assert (root.get("width"), root.get("height"), root.get("role")) == ("300", "120", "img")


def test_a_mark_has_its_tooltip_and_ids_their_prefix():
    svg = draw("b")
    assert re.search(r'<g id="b-dot">\s*<title>told &amp; shown</title>', svg)
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert all(name.startswith("b-") for name in ids)
    assert not set(ids) & set(re.findall(r'\bid="([^"]+)"', draw("a")))


def test_the_same_figure_is_the_same_bytes():
    assert draw() == draw()


@pytest.mark.parametrize("text", ["$\\frac{a}$", "火 😀"])
def test_any_text_can_be_written(text):
    assert f">{text}</text>" in draw(text=text)


def test_a_figure_is_taken_as_png_of_twice_its_size_and_its_text_stays_the_same():
    plain = draw()
    with taking_png() as taken:
        assert draw() == plain
        draw("b")
    first, second = taken
    assert first == second
    picture = Image.open(io.BytesIO(first)).convert("RGB")
    assert picture.size == (600, 240)
    assert picture.getpixel((0, 0)) == tuple(bytes.fromhex(LIGHT["paper"][1:]))
    draw()
    assert len(taken) == 2
