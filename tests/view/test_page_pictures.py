"""A page holds each of its pictures once, and what its script reads cannot end the element that it lies in."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import report_cases as cases

from thawline.view.album import Album, TileSheet
from thawline.view.page_pictures import picture_facts, script_facts
from thawline.view.report import render_report


def test_every_picture_is_in_the_page_once():
    data = cases.make_rows()
    sheet = TileSheet(cases.tiny_jpeg("green"), 8, 1, ("a",))
    data = replace(data, album=replace(data.album, sheets=(sheet,)))
    html = render_report(data)
    held = re.findall(r"\.([a-z]\d+)\{background-image:url\(data:image/jpeg;base64,([^)]*)\)\}", html)
    assert [name for name, _ in held] == [
        *(f"p{place}" for place in range(len(data.album.pictures))), "o0", "o1", "o2", "s0",
    ]  # fmt: skip
    jpegs = [*data.album.pictures, *data.comparison.outside, sheet]
    assert [base64.b64decode(text) for _, text in held] == [one.jpeg for one in jpegs]
    assert html.count("base64,") == len(held)


def test_the_facts_of_the_script_are_json_that_no_name_can_end():
    names = ("</script><script>alert(1)</script>", "]]> & \u2028 '", "bee")
    data = cases.make_choice(names)
    text = str(script_facts(data, {}))
    assert not set("<>&'") & set(text)
    found = json.loads(text)
    assert found["classes"] == list(names)
    assert found["pictures"][0] == {
        "path": f"{names[0]}/9.jpg", "label": 0, "fold": -1, "top": [[1, 0.9432], [0, 0.0568]]
    }  # fmt: skip


def test_classes_stand_weakest_first_and_unasked_ones_last():
    confusion = np.array([[9, 1, 0], [2, 2, 0], [0, 0, 0]])
    facts = picture_facts(replace(cases.make_choice(), album=Album(confusion=confusion)))
    assert facts["weak_classes"] == [(1, 2, 4), (0, 1, 10), (2, 0, 0)]
    assert facts["worst_share"] == 0.5
    assert facts["confused"] == [(1, 0, 2, 4), (0, 1, 1, 10)]


def test_without_an_album_the_test_says_what_is_taken_for_what():
    facts = picture_facts(replace(cases.make_choice(), album=Album()))
    assert facts["confused"] == [(0, 1, 1, 4)]
    assert picture_facts(replace(cases.make_choice(), album=Album(), evaluation=None))["weak_classes"] == []
    assert (facts["faces"], facts["place_of"]) == ([], {})


def test_faces_leave_few_holes():
    columns = {
        num: picture_facts(cases.make_choice(tuple(f"class {k}" for k in range(num))))["face_columns"]
        for num in (2, 3, 4, 5, 6, 7, 9, 10, 12, 16, 40)
    }
    assert columns == {2: 2, 3: 3, 4: 4, 5: 5, 6: 3, 7: 4, 9: 3, 10: 5, 12: 4, 16: 4, 40: 4}


def test_copies_and_conflicts_are_shown_as_pairs_as_far_as_the_album_has_them():
    alike_in = picture_facts(cases.make_choice())["alike_in"]
    assert alike_in([["ant/1.jpg", "bee/1.jpg", "crow/1.jpg"], ["ant/1.jpg", "nowhere.jpg"]]) == [
        ("ant/1.jpg", "bee/1.jpg")
    ]
    assert alike_in([{"path": "ant/1.jpg", "of": "bee/1.jpg"}]) == [("ant/1.jpg", "bee/1.jpg")]
    assert alike_in([{"path": "ant/1.jpg", "label": "a", "other_path": "crow/1.jpg"}]) == [("ant/1.jpg", "crow/1.jpg")]
    assert alike_in([{"path": "a.txt", "reason": "text"}]) == alike_in(["one"]) == alike_in({}) == []
    assert len(alike_in([["ant/1.jpg", "bee/1.jpg"]] * 50)) == 12
