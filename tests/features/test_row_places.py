"""A bank's folder is looked at, not read: what the index knows and what came later is found, what is gone is not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from thawline.features import row_index
from thawline.features import row_places as places_module
from thawline.features.row_index import INDEX_FILE
from thawline.features.row_places import Places
from thawline.features.segment import write_segment

DIGESTS = np.random.default_rng(0).integers(0, 256, (60, 32), dtype=np.uint8)


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """Return a function that commits rows `start` to `stop` as one segment."""
    monkeypatch.setattr(row_index, "BLOCK_ROWS", 4)

    def write(start, stop):
        rows = np.arange(start, stop, dtype=np.float16).reshape(-1, 1, 1)
        return write_segment(tmp_path, tmp_path / "bank", digests=DIGESTS[start:stop], rows=rows).directory

    return write


@pytest.fixture
def look(tmp_path):
    return lambda: Places(tmp_path, tmp_path / "bank")


def found(places):
    """Return the pictures that are found, after seeing that each is where its row lies."""
    where = places.find(DIGESTS)
    for picture in np.flatnonzero(where >= 0).tolist():
        rows = np.load(places.path(int(where[picture] >> 32)) / "rows.npy")
        assert rows[int(where[picture] & 0xFFFFFFFF), 0, 0] == picture
    return np.flatnonzero(where >= 0).tolist()


def indexes(tmp_path):
    return sorted((tmp_path / "bank/index").glob("*"))


def test_what_came_after_the_index_is_found_beside_it(commit, look, tmp_path):
    commit(0, 10), commit(10, 20)
    places = look()
    assert found(places) == list(range(20))
    assert indexes(tmp_path) == []
    assert not places.is_indexed
    places.write_index()
    assert places.is_indexed
    assert len(indexes(tmp_path)) == 1
    commit(15, 30)  # five of them once more
    assert found(places) == list(range(20))
    places.look()
    assert found(places) == list(range(30)) == found(look())
    assert (len(places), len(look()), len(places.present)) == (30, 30, 3)
    assert repr(places) == "<Places: 30 pictures in 3 segments>"


def test_an_index_is_written_once_there_are_many_segments_or_rows(commit, look, tmp_path, monkeypatch):
    monkeypatch.setattr(places_module, "MOST_UNINDEXED_SEGMENTS", 3)
    for at in range(3):
        commit(at, at + 1)
    assert found(look()) == [0, 1, 2]
    assert indexes(tmp_path) == []
    commit(3, 4)
    assert found(look()) == [0, 1, 2, 3]
    (first,) = indexes(tmp_path)
    monkeypatch.setattr(places_module, "MOST_UNINDEXED_ROWS", 10)
    commit(10, 19)
    look()
    assert indexes(tmp_path) == [first]
    commit(20, 30)
    places = look()
    (second,) = indexes(tmp_path)
    assert second != first
    assert found(places) == [0, 1, 2, 3, *range(10, 19), *range(20, 30)]


def test_opening_an_indexed_bank_reads_no_segment(commit, look, monkeypatch):
    for at in range(0, 20, 5):
        commit(at, at + 5)
    look().write_index()

    def read(_):
        raise AssertionError("a segment was read")

    monkeypatch.setattr(places_module, "stored_digests", read)
    assert found(look()) == list(range(20))


def test_rows_of_a_segment_that_is_gone_are_not_found_and_the_index_forgets_them(commit, look, tmp_path):
    gone, _ = commit(0, 10), commit(10, 20)
    places = look()
    places.write_index()
    (first,) = indexes(tmp_path)
    shutil.rmtree(gone)
    assert len(places.find(DIGESTS[:20])) == 20  # nobody has looked yet
    places.look()
    assert found(places) == list(range(10, 20)) == found(look())
    assert len(places) == 10
    (second,) = indexes(tmp_path)
    assert second != first


def test_a_picture_whose_indexed_row_is_gone_is_found_in_a_later_segment(commit, look, tmp_path, monkeypatch):
    old = commit(0, 10)
    look().write_index()
    commit(0, 12)
    shutil.rmtree(old)
    monkeypatch.setattr(places_module.os, "access", lambda *_: False)  # a reader that may not write
    assert found(look()) == list(range(12))
    assert len(look()) == 12


def test_a_picture_with_two_indexed_rows_is_found_when_either_is_gone(commit, look, tmp_path, monkeypatch):
    for kept in (0, 1):
        segments = [commit(0, 10), commit(0, 11)]
        look().write_index()
        opened = look()
        shutil.rmtree(segments[kept])
        assert len(found(look())) == 10 + (kept == 0)
        opened.look()
        assert len(found(opened)) == 10 + (kept == 0) == len(opened)
        shutil.rmtree(tmp_path / "bank")


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
@pytest.mark.parametrize("may_write", [True, False])
def test_a_damaged_index_is_removed_or_passed_over(commit, look, tmp_path, monkeypatch, damage, may_write):
    commit(0, 30)
    look().write_index()
    (index,) = indexes(tmp_path)
    opened = look()  # before it is damaged
    file = index / INDEX_FILE
    file.write_bytes(damage(file.read_bytes()))
    if not may_write:
        monkeypatch.setattr(places_module.os, "access", lambda *_: False)

        def refuse(*_):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(places_module, "staging_directory", refuse)
    assert found(opened) == list(range(30)) == found(look())
    assert len(look()) == 30
    assert (indexes(tmp_path) == []) == may_write


def test_verifying_an_index_finds_damage_that_nobody_has_met(commit, look, tmp_path):
    commit(0, 30)
    look().write_index()
    assert look().verify_index()
    (index,) = indexes(tmp_path)
    file = index / INDEX_FILE
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    places = look()
    assert not places.verify_index()
    assert found(places) == list(range(30))
    assert look().verify_index()


def test_a_newer_index_of_another_process_takes_over(commit, look, tmp_path):
    commit(0, 30)
    places = look()
    places.write_index()
    other = look()
    commit(30, 40)
    other.look()
    other.write_index()
    assert found(places) == list(range(40))  # its own index is gone


def test_an_index_that_misleads_is_removed(commit, look, tmp_path):
    commit(0, 30)
    places = look()
    places.write_index()
    places.distrust()
    assert indexes(tmp_path) == []
    assert found(places) == list(range(30))


def test_numbers_stay_when_segments_come_and_go(commit, look):
    first, _ = commit(10, 20), commit(20, 30)
    places = look()
    before = places.find(DIGESTS[20:30])
    for at in range(30, 36):
        commit(at, at + 1)
    shutil.rmtree(first)
    places.look()
    assert np.array_equal(places.find(DIGESTS[20:30]), before)
