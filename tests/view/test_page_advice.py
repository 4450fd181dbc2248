"""What was found for a person to act on stands in the page, with the pictures that it speaks of, and is only text."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import report_cases as cases

from thawline.vet.advice import Advice
from thawline.view.album import Album
from thawline.view.page_advice import advice_facts, map_places, remarks_on
from thawline.view.report import render_report
from thawline.view.report_data import ReportData


@pytest.fixture(scope="module")
def data():
    return cases.with_advice(cases.make_choice(("ant", "bee", "crow")))


@pytest.fixture(scope="module")
def page(data):
    return render_report(data)


@pytest.mark.parametrize(
    "sentence",
    [
        "2 of 60 pictures look like another class than their label says; 1 has a copy under another label",
        "About 1 of the labels are wrong by estimate",
        "Called ant , looks like bee 91.0 %",
        "ant is brighter.",
        "All pictures on one map",
        "Of the 9 smallest pictures 4 were wrong, ant and others.",
        "ant and bee 3 of 20 taken for the second, 1 of 20 for the first",
        "Surest and wrong",
        "To be wrong in at most 2 % of its answers, it answers 90.0 % of the pictures, and 98.0 %",
        "A note on abstaining.",
        "it names 1.20 classes on average",
        "It is to do so for 5 % of pictures that do belong; on the test it was 4.0 % (1.0–10.0 %).",
        "stranger than 97.0 %",
        "Class by class: 50 more pictures of each",
        "ant 20 80.0 % +3.4 points +1.1 to +6.0",
    ],
)
def test_every_part_is_told(page, sentence):
    assert sentence in cases.words(page)


def test_parts_that_a_run_has_not_are_not_shown():
    page = render_report(replace(cases.make_choice(), advice=Advice(5)))
    for part in ("suspects", "map", "slices", "alike", "looks", "abstaining", "strangest", "more", "cheats"):
        assert f'id="{part}"' not in page
    facts = advice_facts(replace(cases.make_choice(), advice=None))
    assert (facts["looks"], facts["strange"], facts["map_figures"], facts["suspects"]) == ([], [], None, ())


def test_where_it_looks_is_a_picture_of_its_own(page):
    assert re.findall(r"\.(h\d+)\{background-image:url\(data:image/jpeg;base64,", page) == ["h0", "h1"]
    assert '<span class="pic h0"' in page
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page).group(1))
    assert facts["heat"] == {"0": 0, "1": 1}


def test_remarks_say_what_is_doubtful_and_what_is_strange(data):
    assert remarks_on(data) == {
        0: "Its label is in doubt: it looks like the other.",
        1: "Its label is in doubt: copy under another label: bee/1.jpg.",
        2: "It looks like none of the classes.",
    }


def test_points_of_the_map_have_their_picture_or_their_tile(data):
    assert map_places(data) == [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)]
    fewer = replace(data, album=replace(data.album, pictures=data.album.pictures[:1]))
    assert map_places(fewer) == [(0, 0, 0), (-1, 0, 1), (-1, 0, 2), (-1, 0, 3)]
    assert map_places(replace(data, album=Album())) == [(-1, -1, -1)] * 4


def test_what_is_not_in_the_album_is_named_or_left_out(data):
    page = render_report(replace(data, album=Album()))
    assert "data-pic" not in page[: page.index("<script")]
    assert "9.jpg" in cases.words(page)


def test_advice_survives_the_json_and_gives_the_same_page(data, page):
    assert render_report(ReportData.from_json(data.to_json())) == page


def test_hostile_names_in_advice_are_only_text():
    names = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "\u202egpj.exe")
    page = render_report(cases.with_advice(cases.make_choice(names)))
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "<script>alert" not in page
    assert not re.search(r"<[^>]*\son[a-z]+=", re.sub(r'"[^"]*"', '""', page[: page.index("<script")]))
