"""An index finds what was put in, exactly, and a damaged one says so before it answers."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pytest

from thawline.core.errors import StoreError
from thawline.features import row_index
from thawline.features.row_index import (
    INDEX_FILE,
    DamagedIndexError,
    RowIndex,
    count_pictures,
    find_in,
    make_records,
    sorted_records,
    words_of,
    write_index,
)

NAMES = ("a" * 32, "b" * 32)


def digests_of(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_index, "BLOCK_ROWS", 4)


@pytest.fixture
def made(tmp_path, small_blocks):
    """Return an index of 30 rows of one segment and 11 of another, and their hashes."""
    digests = digests_of(0, 41)
    records = np.concatenate([make_records(digests[:30], segment=0), make_records(digests[30:], segment=1)])
    write_index(tmp_path, tmp_path / "bank", names=NAMES, records=sorted_records(records))
    (directory,) = (tmp_path / "bank/index").iterdir()
    return directory, digests


def test_every_row_is_found_and_nothing_else(made):
    directory, digests = made
    index = RowIndex(directory)
    assert (index.names, index.num_rows, index.num_pictures) == (NAMES, 41, 41)
    order = np.random.default_rng(1).permutation(41)
    found = index.find(words_of(digests[order]))
    assert found.tolist() == [at if at < 30 else (1 << 32) | (at - 30) for at in order.tolist()]
    assert index.find(words_of(digests_of(7, 50))).tolist() == [-1] * 50
    assert index.find(words_of(digests[:0])).tolist() == []
    assert index.find(words_of(digests[[5, 5]])).tolist() == [5, 5]
    assert repr(index) == f"<RowIndex {directory.name}: 41 rows of 2 segments>"


def test_hashes_that_begin_alike_are_told_apart_within_a_block_and_across_blocks(tmp_path, small_blocks):
    digests = digests_of(0, 40)
    digests[5:25, :8] = digests[5, :8]  # twenty in a row, over several blocks of four
    digests[30:32, :8] = digests[30, :8]
    records = sorted_records(make_records(digests, segment=0))
    assert find_in(records, words_of(digests)).tolist() == list(range(40))
    index = RowIndex(write_index(tmp_path, tmp_path / "bank", names=NAMES[:1], records=records))
    assert index.find(words_of(digests)).tolist() == list(range(40))
    strangers = digests_of(1, 20)
    strangers[:, :8] = digests[5, :8]
    assert index.find(words_of(strangers)).tolist() == [-1] * 20


def test_of_a_picture_that_is_there_twice_the_first_row_is_found_and_then_the_next(tmp_path, small_blocks):
    digests = digests_of(0, 6)
    digests[4] = digests[1]
    digests[5, :8] = digests[1, :8]
    records = np.concatenate([make_records(digests, segment=1), make_records(digests, segment=0)])
    kept = sorted_records(records)
    assert (len(kept), count_pictures(kept)) == (12, 5)
    words, first, second = words_of(digests), [1 << 32 | row for row in (0, 1, 2, 3, 1, 5)], [0, 1, 2, 3, 1, 5]
    index = RowIndex(write_index(tmp_path, tmp_path / "bank", names=NAMES, records=kept))
    assert (index.num_rows, index.num_pictures) == (12, 5)
    for find in (partial(find_in, kept), index.find):
        assert find(words).tolist() == first
        assert find(words, is_there=np.array([True, False])).tolist() == second
        assert find(words, is_there=np.array([False, False])).tolist() == [-1] * 6


def test_the_records_come_back(made):
    directory, digests = made
    records = RowIndex(directory).records()
    assert len(records) == 41
    assert (np.diff(records["head"].astype(object)) >= 0).all()
    assert find_in(records, words_of(digests[30:])).tolist() == [(1 << 32) | at for at in range(11)]


def test_an_empty_index_finds_nothing(tmp_path):
    none = make_records(np.empty((0, 32), np.uint8), segment=0)
    index = RowIndex(write_index(tmp_path, tmp_path / "bank", names=(), records=none))
    assert index.find(words_of(digests_of(0, 3))).tolist() == [-1, -1, -1]
    assert len(index.records()) == 0


def test_every_single_bit_of_an_index_is_noticed_before_it_answers(made):
    directory, digests = made
    file = directory / INDEX_FILE
    good = file.read_bytes()
    for bit in range(0, 8 * len(good), 5):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        with pytest.raises(DamagedIndexError):
            RowIndex(directory).find(words_of(digests))
    file.write_bytes(good)
    assert (RowIndex(directory).find(words_of(digests)) >= 0).all()


@pytest.mark.parametrize("keep", [0, 10, 43, 44, 60, 200, -1])
def test_an_index_that_was_cut_short_or_grew_is_damaged(made, keep):
    file = made[0] / INDEX_FILE
    good = file.read_bytes()
    for data in (good[:keep], good + b"\0"):
        file.write_bytes(data)
        with pytest.raises(DamagedIndexError):
            RowIndex(made[0])


def test_one_damaged_block_spoils_no_other(made):
    directory, digests = made
    file = directory / INDEX_FILE
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # of the last row of the last block
    file.write_bytes(data)
    index = RowIndex(directory)
    order = np.argsort(words_of(digests)[:, 0])
    assert (index.find(words_of(digests[order[:30]])) >= 0).all()
    with pytest.raises(DamagedIndexError):
        index.find(words_of(digests[order[-1:]]))
    with pytest.raises(DamagedIndexError):
        index.records()


def test_an_index_that_is_gone_is_told_from_a_damaged_one(made):
    directory, digests = made
    index = RowIndex(directory)
    (directory / INDEX_FILE).unlink()
    with pytest.raises(DamagedIndexError):
        index.find(words_of(digests))
    shutil.rmtree(directory)
    with pytest.raises(FileNotFoundError):
        index.find(words_of(digests))
    with pytest.raises(FileNotFoundError):
        RowIndex(directory)


def test_a_full_disk_is_said(made, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_index, "commit_directory", full)
    records = make_records(digests_of(3, 5), segment=0)
    with pytest.raises(StoreError, match=r"^index the bank: .*: the disk is full"):
        write_index(tmp_path, tmp_path / "bank", names=NAMES[:1], records=sorted_records(records))
