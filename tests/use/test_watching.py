"""Pictures that arrive in a folder are handed on once, and only when they are whole."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import pytest

from thawline.core.errors import DataError
from thawline.use.watching import arrivals


class Looks:
    """What happens between the looks, one step after the other; the watch ends when there is nothing left."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, seconds):
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def nothing():
    pass


def watched(folder, *steps):
    found = []
    with suppress(KeyboardInterrupt):
        for pictures in arrivals(folder, wait=Looks(*steps)):
            found.append([name.rpartition("/")[2] for name, _ in pictures])
    return found


def test_what_is_there_comes_first_then_what_arrives_each_once(tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"b")
    (tmp_path / "a.jpg").write_bytes(b"a")

    def add():
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "c.png").write_bytes(b"c")

    assert watched(tmp_path, nothing, add, nothing, nothing, nothing) == [["a.jpg", "b.jpg"], ["c.png"]]


def test_a_picture_that_still_grows_is_waited_for(tmp_path):
    def grow():
        with (tmp_path / "a.jpg").open("ab") as file:
            file.write(b"more")

    assert watched(tmp_path, grow, grow, grow) == []
    assert watched(tmp_path, grow, nothing) == [["a.jpg"]]


def test_one_that_changes_later_is_answered_again_and_one_that_comes_back_too(tmp_path):
    place = tmp_path / "a.jpg"
    place.write_bytes(b"first")
    steps = (nothing, lambda: place.write_bytes(b"second one"), nothing, place.unlink, lambda: place.write_bytes(b"x"))
    assert watched(tmp_path, *steps, nothing) == [["a.jpg"]] * 3


def test_only_pictures_are_looked_at(tmp_path):
    for name in ("notes.txt", ".hidden.jpg", "half.jpg.part", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    assert watched(tmp_path, nothing, nothing) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"watch .*nowhere: no such folder\. Make it first"):
        list(islice(arrivals(tmp_path / "nowhere"), 1))
