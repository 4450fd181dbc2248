"""A file at an address is read in blocks, each of them once, from any place and thread."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import fsspec
import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.data.sources import far_file
from thawline.data.sources.far_file import FarFile

BYTES = np.random.default_rng(0).integers(0, 256, 1000, dtype=np.uint8).tobytes()


@pytest.fixture
def far(monkeypatch):
    """Return a file of a thousand bytes in blocks of 64, of which 16 are kept."""
    monkeypatch.setattr(far_file, "BLOCK_BYTES", 64)
    system = fsspec.filesystem("memory")
    system.pipe_file("/far/a.tar", BYTES)
    far_file._blocks.cache_clear()
    yield FarFile("memory://far/a.tar", "/far/a.tar", "memory:///far/a.tar", len(BYTES), "1")
    system.rm("/far", recursive=True)


@pytest.fixture
def fetched(monkeypatch):
    """Return the stretches that are asked for."""
    asked = []
    fetch = FarFile.fetch

    def counted(self, start, end):
        asked.append((start, end))
        return fetch(self, start, end)

    monkeypatch.setattr(FarFile, "fetch", counted)
    return asked


def test_it_reads_like_a_file(far):
    here, there = io.BytesIO(BYTES), far.open()
    random = np.random.default_rng(1)
    for _ in range(200):
        whence = int(random.integers(0, 3))
        offset = int(random.integers(0, 1100)) if whence == io.SEEK_SET else int(random.integers(-900, 0))
        offset = max(offset, -here.tell()) if whence == io.SEEK_CUR else offset
        size = int(random.integers(0, 300))
        assert there.seek(offset, whence) == here.seek(offset, whence)
        assert there.read(size) == here.read(size)
        assert there.tell() == here.tell()
    there.seek(990)
    assert there.read() == BYTES[990:]


def test_what_lies_together_is_asked_for_once(far, fetched):
    with ThreadPoolExecutor(8) as pool:
        places = list(range(0, 640, 10)) * 3

        def read(place):
            stream = far.open()
            stream.seek(place)
            return stream.read(10)

        assert list(pool.map(read, places)) == [BYTES[place : place + 10] for place in places]
    assert sorted(fetched) == [(start, start + 64) for start in range(0, 640, 64)]


def test_few_blocks_are_kept(far, fetched, monkeypatch):
    monkeypatch.setattr(far_file, "BLOCKS_KEPT", 2)
    for _ in range(2):
        assert far.open().read() == BYTES
    assert len(fetched) == 32
    assert len(far_file._blocks()._kept) <= 2


def test_another_process_reads_it_too(far):
    assert pickle.loads(pickle.dumps(far)).open().read(9) == BYTES[:9]


def test_what_became_shorter_or_is_gone_is_told_and_may_be_tried_again(far):
    longer = replace(far, size_bytes=2000)
    for _ in range(2):
        with pytest.raises(DataError, match=r"read: memory:///far/a.tar ends after 1,000 of 2,000 bytes"):
            longer.open().read()
    gone = replace(far, path="/far/b.tar", address="memory:///far/b.tar")
    with pytest.raises(DataError, match=r"b.tar does not exist. Check the spelling of bucket"):
        gone.open().read(1)
    fsspec.filesystem("memory").pipe_file("/far/b.tar", BYTES)
    assert gone.open().read(1) == BYTES[:1]


def test_nothing_is_asked_for_where_nothing_is_wanted(far, fetched):
    assert replace(far, size_bytes=0).open().read() == b""
    assert far.fetch(5, 5) == b""
    stream = far.open()
    stream.seek(5000)
    assert stream.read(10) == b""
    assert fetched == [(5, 5)]
