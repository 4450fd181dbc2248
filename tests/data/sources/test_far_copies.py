"""Copies of files at addresses: brought once, whole or not at all, never more than the disk holds."""

from __future__ import annotations

import shutil
from dataclasses import replace

import fsspec
import pytest

from thawline.core.cache import cache_entries, foreign_paths, prune_cache
from thawline.core.errors import DataError
from thawline.core.store import NoRoomError
from thawline.data.sources import far_copies
from thawline.data.sources.far_copies import copy_here, copy_path
from thawline.data.sources.far_file import FarFile

BYTES = bytes(range(256)) * 5


@pytest.fixture
def files(monkeypatch):
    """Return two files of 1,280 bytes at an address."""
    monkeypatch.setattr(far_copies, "PIECE_BYTES", 100)
    system = fsspec.filesystem("memory")
    for name in ("a.tar", "b.parquet"):
        system.pipe_file(f"/copies/{name}", BYTES)
    yield [
        FarFile("memory://copies", f"/copies/{name}", f"memory:///copies/{name}", len(BYTES), "1")
        for name in ("a.tar", "b.parquet")
    ]
    system.rm("/copies", recursive=True)


def test_copies_are_brought_once(files, tmp_path, monkeypatch):
    copies = copy_here(files, cache=tmp_path)
    assert [copy.read_bytes() for copy in copies] == [BYTES, BYTES]
    assert [copy.name for copy in copies] == ["copy.tar", "copy.parquet"]

    def refuse(*_):
        raise AssertionError("brought again")

    monkeypatch.setattr(FarFile, "fetch", refuse)
    assert copy_here(files, cache=tmp_path) == copies
    with pytest.raises(AssertionError, match="brought again"):
        copy_here([replace(files[0], stamp="2")], cache=tmp_path)


def test_they_are_the_caches_to_list_and_to_prune(files, tmp_path):
    copy_here(files, cache=tmp_path)
    assert {(entry.kind, entry.size_bytes > 1280) for entry in cache_entries(tmp_path)} == {("shards", True)}
    assert foreign_paths(tmp_path) == ()
    assert len(prune_cache(tmp_path)) == 2
    assert not any(copy_path(far, tmp_path).exists() for far in files)


def test_what_breaks_off_leaves_nothing_and_what_was_brought_whole_stays(files, tmp_path):
    cut = replace(files[1], size_bytes=5000)
    with pytest.raises(DataError, match=r"b.parquet ends after .* of 5,000 bytes"):
        copy_here([files[0], cut], cache=tmp_path)
    assert copy_path(files[0], tmp_path).is_file()
    assert not copy_path(cut, tmp_path).parent.exists()
    assert not list(tmp_path.glob(".thawline-staging/*"))


def test_more_than_the_disk_holds_is_refused_before_anything_is_brought(files, tmp_path):
    large = replace(files[0], size_bytes=1 << 60)
    with pytest.raises(NoRoomError, match=r"copy: .* MiB are needed. .*name fewer shards at a time"):
        copy_here([files[1], large], cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_copy_is_told(files, tmp_path):
    (copy, _) = copy_here(files, cache=tmp_path)
    copy.write_bytes(b"half")
    with pytest.raises(DataError, match=r"copy of memory:///copies/a.tar has 4 bytes, 1,280 are required. Remove"):
        copy_here(files, cache=tmp_path)
    shutil.rmtree(copy.parent)
    assert copy_here(files, cache=tmp_path)[0].read_bytes() == BYTES
