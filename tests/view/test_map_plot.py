"""The map as a figure: a dot a picture with its path, classes by colour and shape, mistakes on top, names harmless."""

from xml.etree import ElementTree as ET

import pytest

from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.view.map_plot import map_svg
from thawline.view.svg import LIGHT

HOSTILE = "<script>alert(1)</script>"


def map_of(num=12, *, num_classes=3, wrong=(4,), left=0):
    points = tuple(
        MapPoint(f"p/{n}.png", n / num, 1 - n / num, n % num_classes, (n + (n in wrong)) % num_classes)
        for n in range(num)
    )
    return PictureMap(points, left)


def names(num):
    return tuple(f"kind {n}" for n in range(num))


def dots(svg):
    return [element for element in ET.fromstring(svg).iter() if "data-point" in element.attrib]


@pytest.mark.parametrize("width_px", [920, 360])
def test_every_picture_is_a_dot_that_says_which(width_px):
    svg = map_svg(map_of(), names(3), width_px=width_px)
    found = dots(svg)
    assert sorted(int(dot.get("data-point")) for dot in found) == list(range(12))
    assert {dot.get("data-path") for dot in found} == {f"p/{n}.png" for n in range(12)}
    titles = {dot.get("data-point"): dot[0].text for dot in found}
    assert titles["3"] == "p/3.png: kind 0"
    assert titles["4"] == "p/4.png: kind 1, taken for kind 2"
    assert found[-1].get("data-point") == "4"  # mistakes lie on top
    assert "12 pictures, near where alike: kind 0 4, kind 1 4, kind 2 4; 1 answered wrongly" in svg


def test_equal_maps_are_equal_bytes_in_the_palette():
    svg = map_svg(map_of(), names(3))
    assert svg == map_svg(map_of(), names(3))
    assert not [colour for colour in LIGHT.values() if f'"{colour}"' in svg.split("</style>")[1]]
    assert "nan" not in svg


def test_up_to_ten_classes_differ_in_colour_or_shape():
    svg = map_svg(map_of(10, num_classes=10, wrong=()), names(10))
    looks = set()
    for group in ET.fromstring(svg).iter():
        for dot in group:
            if "data-point" in dot.attrib:
                looks.add((group.get("fill"), dot.get("d").split("m", 1)[1]))
    assert len(looks) == 10
    assert all(f"kind {n}" in svg for n in range(10))


def test_of_more_classes_only_mistakes_stand_out():
    svg = map_svg(map_of(30, num_classes=15, wrong=(7,)), names(15))
    fills = {
        group.get("fill") for group in ET.fromstring(svg).iter() if any("data-point" in dot.attrib for dot in group)
    }
    assert fills == {"var(--ice)", "var(--warm)"}
    assert "answered wrongly" in svg
    assert ">kind 3<" not in svg


def test_doubted_labels_have_a_square():
    svg = map_svg(map_of(), names(3), suspects=["p/2.png"])
    assert "label in doubt" in svg
    assert svg.count('stroke-width="1.3"') == 1
    assert "label in doubt" not in map_svg(map_of(), names(3))


def test_without_answers_no_mistake_is_spoken_of():
    points = tuple(MapPoint(f"{n}.png", n / 3, 0.5, 0, None) for n in range(3))
    svg = map_svg(PictureMap(points, 7), ("all",))
    assert "wrongly" not in svg
    assert "7 more are not drawn" in svg
    assert {dot[0].text for dot in dots(svg)} == {"0.png", "1.png", "2.png"}


def test_an_empty_map_and_a_single_picture_are_figures_too():
    assert "A map of 0 pictures" in map_svg(PictureMap((), 0), ("a",))
    assert len(dots(map_svg(PictureMap((MapPoint("x", 0.5, 0.5, 0, None),), 0), ("a",)))) == 1


def test_names_cannot_become_markup():
    points = (MapPoint(f"{HOSTILE}\udcff\x1b.png", 0.5, 0.5, 0, 1),)
    svg = map_svg(PictureMap(points, 0), (HOSTILE, '"onload="x'))
    assert "<script" not in svg
    assert svg.encode()
    assert dots(svg)[0].get("data-path") == f"{HOSTILE}??.png"


def test_marks_are_smaller_where_there_are_many():
    few, many = (map_svg(map_of(num, wrong=()), names(3)) for num in (50, 700))
    assert "m-4 -4" in few
    assert "m-3 -3" in many
