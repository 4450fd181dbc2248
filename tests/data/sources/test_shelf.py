"""A shelf is written once, whole or not at all, in tables of a bounded size, and read under the name that was given."""

from __future__ import annotations

import json
import os
import time

import pyarrow.parquet as pq
import pytest

from thawline.core.cache import cache_entries
from thawline.core.errors import DataError
from thawline.data.sources import shelf as shelf_module
from thawline.data.sources.places import Place
from thawline.data.sources.shelf import Part, open_shelf

PLACE = Place.of("hf:owner/name")


def rows(number, first=0):
    return [(b"%d" % row, row % 2) for row in range(first, first + number)]


def test_what_is_filled_comes_back_under_its_place(own_cache):
    shelf = open_shelf({"source": "x"})
    assert not shelf.is_filled
    parts = [Part("train", rows(3), 3), Part("test", rows(2, first=10))]
    shelf.fill(parts, class_names=["cat", "dog"], facts={"commit": "abc"})
    assert shelf.is_filled
    listing = shelf.list(PLACE)
    assert listing.root == PLACE
    assert [(item.path, item.label, item.split, item.source.read()) for item in listing.candidates] == [
        ("test-00000.parquet#0", "cat", "test", b"10"),
        ("test-00000.parquet#1", "dog", "test", b"11"),
        ("train-00000.parquet#0", "cat", "train", b"0"),
        ("train-00000.parquet#1", "dog", "train", b"1"),
        ("train-00000.parquet#2", "cat", "train", b"2"),
    ]
    facts = json.loads((shelf.directory / "source.json").read_bytes())
    assert facts == {"source": "x", "commit": "abc", "pictures": {"train": 3, "test": 2}}
    assert [entry.kind for entry in cache_entries(own_cache)] == ["pictures"]


def test_labels_may_be_names(own_cache):
    shelf = open_shelf({"name": "x"}, own_cache)
    shelf.fill([Part("all", [(b"1", "cat"), (b"2", "dog"), (b"3", "")])], class_names=())
    listing = shelf.list(PLACE)
    assert [(item.label, item.split) for item in listing.candidates] == [("cat", None), ("dog", None)]
    assert [item.reason for item in listing.skipped] == ["no label"]


def test_equal_requests_share_a_shelf_and_others_do_not(own_cache, tmp_path):
    directory = open_shelf({"name": "x", "split": None}).directory
    assert open_shelf({"split": None, "name": "x"}).directory == directory
    assert directory.parent == own_cache / "pictures"
    assert open_shelf({"name": "x", "split": "train"}).directory != directory
    assert open_shelf({"name": "x", "split": None}, tmp_path / "other").directory.parent == tmp_path / "other/pictures"


def test_tables_and_their_groups_are_bounded(monkeypatch):
    monkeypatch.setattr(shelf_module, "ROWS_A_GROUP", 4)
    monkeypatch.setattr(shelf_module, "GROUP_BYTES", 100)
    monkeypatch.setattr(shelf_module, "TABLE_BYTES", 200)
    pictures = [(b"x" * 10, 0)] * 6 + [(b"x" * 60, 1)] * 5
    shelf = open_shelf({"name": "x"})
    shelf.fill([Part("train", pictures)], class_names=["cat", "dog"])
    groups = []
    for path in sorted(shelf.directory.glob("*.parquet")):
        facts = pq.read_metadata(path)
        groups.append([facts.row_group(index).num_rows for index in range(facts.num_row_groups)])
    assert groups == [[4, 4, 2], [1]]
    assert [item.source.read() for item in shelf.list(PLACE).candidates] == [data for data, _ in pictures]


def test_a_part_without_rows_has_an_empty_table():
    shelf = open_shelf({"name": "x"})
    shelf.fill([Part("train", rows(2)), Part("test", [])], class_names=["cat", "dog"])
    assert pq.read_metadata(shelf.directory / "test-00000.parquet").num_rows == 0
    assert len(shelf.list(PLACE).candidates) == 2


def test_rows_that_break_off_leave_nothing(own_cache):
    def broken():
        yield b"1", 0
        raise DataError("the host gave up")

    shelf = open_shelf({"name": "x"})
    with pytest.raises(DataError, match="gave up"):
        shelf.fill([Part("train", broken())], class_names=["cat", "dog"])
    assert not shelf.is_filled
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_reading_counts_as_use_and_damage_says_what_to_remove():
    shelf = open_shelf({"name": "x"})
    shelf.fill([Part("train", rows(4))], class_names=["cat", "dog"])
    os.utime(shelf.directory, (0, 0))
    shelf.list(PLACE)
    assert shelf.directory.stat().st_mtime > time.time() - 3600
    (shelf.directory / "train-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=rf"the stored copy of {PLACE}: remove {shelf.directory}, and run again"):
        shelf.list(PLACE)


def test_progress_counts_every_picture_of_a_part():
    class Counting:
        def __init__(self):
            self.stages, self.done = [], 0

        def stage(self, name, total=None, *, unit="pictures"):
            self.stages.append((name, total))
            from contextlib import nullcontext

            return nullcontext(self.advance)

        def advance(self, count):
            self.done += count

    progress = Counting()
    parts = [Part("train", rows(300), 300), Part("test", rows(5))]
    open_shelf({"name": "x"}).fill(parts, class_names=["cat", "dog"], progress=progress)
    assert progress.stages == [("fetch train", 300), ("fetch test", None)]
    assert progress.done == 305
