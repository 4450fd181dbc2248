"""Pictures on the map: each where it lies, no two in one place, names harmless."""

from xml.etree import ElementTree as ET

from thawline.vet.picture_map import MapPoint, PictureMap
from thawline.view.map_pictures import map_pictures_svg, pictures_on_map

HOSTILE = "<script>alert(1)</script>\udcff.png"


def map_of(*places):
    return PictureMap(tuple(MapPoint(f"{n}.png", x, y, 0, None) for n, (x, y) in enumerate(places)), 0)


def images(svg):
    return {element.get("data-path"): element for element in ET.fromstring(svg).iter() if element.get("data-path")}


def test_of_those_that_lie_together_the_middle_one_is_shown():
    shown = pictures_on_map(map_of((0.0, 0.0), (0.02, 0.04), (1.0, 1.0)))
    assert sorted(shown.values()) == [1, 2]


def test_a_picture_is_where_it_lies():
    svg = map_pictures_svg(map_of((0.0, 1.0), (1.0, 0.0)), {"0.png": b"one", "1.png": b"two"})
    upper_left, lower_right = images(svg)["0.png"], images(svg)["1.png"]
    assert float(upper_left.get("x")) < 10
    assert float(upper_left.get("y")) < 10
    assert float(lower_right.get("x")) > 800
    assert float(lower_right.get("y")) > 400
    assert "A map of 2 pictures" in svg


def test_what_has_no_thumbnail_leaves_its_place_empty():
    assert set(images(map_pictures_svg(map_of((0.1, 0.1), (0.9, 0.9)), {"1.png": b"x"}))) == {"1.png"}


def test_pages_and_phones_and_empty_maps():
    for width_px in (920, 360, 320):
        drawn = map_of(*[(n / 40, (n * 7 % 40) / 40) for n in range(41)])
        shown = pictures_on_map(drawn, width_px=width_px)
        assert 10 < len(shown) <= 41
        assert f'width="{width_px}"' in map_pictures_svg(drawn, {}, width_px=width_px)
    assert pictures_on_map(PictureMap((), 0)) == {}


def test_names_cannot_become_markup():
    svg = map_pictures_svg(PictureMap((MapPoint(HOSTILE, 0.5, 0.5, 0, None),), 0), {HOSTILE: b"x"})
    assert "<script" not in svg
    assert svg.encode()
