"""The album of a report: what is said of its pictures, their order, and its way through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import report_cases as cases

from thawline.view.album import TRAINING_PART, Album, Shown, TileSheet, album_from
from thawline.view.report_json import encode


def shown(path, label, *top):
    return Shown(path, cases.tiny_jpeg(), 20, 14, label, 0, top)


def test_a_mistake_is_an_answer_other_than_the_label():
    assert shown("a", 1, (0, 0.9), (1, 0.1)).is_mistake
    assert not shown("a", 0, (0, 0.9), (1, 0.1)).is_mistake
    asked_nothing = Shown("a", b"", 1, 1, 0)
    assert (asked_nothing.is_mistake, asked_nothing.confidence, asked_nothing.fold) == (False, 0.0, TRAINING_PART)


def test_mistakes_stand_surest_first_and_equally_sure_ones_by_name():
    album = Album(
        (shown("b", 1, (0, 0.6)), shown("a", 1, (0, 0.6)), shown("right", 0, (0, 0.99)), shown("c", 1, (0, 0.7)))
    )
    assert [one.path for one in album.mistakes] == ["c", "a", "b"]
    assert album.place_of == {"b": 0, "a": 1, "right": 2, "c": 3}


def test_an_album_survives_its_json():
    sheet = TileSheet(cases.tiny_jpeg("coral"), 8, 4, ("a", "caf\udce9"))
    album = Album((shown("caf\udce9", 1, (0, 0.6), (1, 0.4)),), np.eye(2, dtype=np.int64), 2, 1, 1, (sheet,))
    again = album_from(json.loads(json.dumps(asdict(album), default=encode)))
    assert (again.pictures, again.sheets) == (album.pictures, album.sheets)
    assert (again.num_answered, again.num_test, again.num_mistakes) == (2, 1, 1)
    assert np.array_equal(again.confusion, album.confusion)
    assert album_from(json.loads(json.dumps(asdict(Album()), default=encode))) == Album()
