"""Small segments become large ones: every row stays what it was, beside readers and writers, and whoever is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from threading import Event, Thread

import numpy as np
import pytest
from bank_cases import small_spec

from thawline.core import locks
from thawline.core.errors import StoreError
from thawline.features import compaction
from thawline.features.bank import open_bank
from thawline.features.compaction import COMPACT_AT, Compacted, compact_bank, compact_often
from thawline.features.row_places import Places
from thawline.features.segment import write_segment

SPEC = small_spec(width=8)
FORM = {"storage": "float16", "shape": (1, 8)}
DIGESTS = np.random.default_rng(0).integers(0, 256, (4000, 32), dtype=np.uint8)
HASHES = [digest.tobytes().hex() for digest in DIGESTS]
ROWS = np.random.default_rng(1).normal(size=(4000, 1, 8)).astype(np.float16)


def commit(root, start, stop):
    directory = open_bank(root, SPEC).directory
    return write_segment(root, directory, digests=DIGESTS[start:stop], rows=ROWS[start:stop]).directory


def compact(root):
    return compact_bank(root, root / "banks" / SPEC.key, **FORM)


def segments(root):
    return sorted((root / "banks" / SPEC.key / "segments").iterdir())


def is_right(bank, start, stop):
    return np.array_equal(bank.read(HASHES[start:stop], [(0, "mean")]), ROWS[start:stop, 0].astype(np.float32))


def flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_small_segments_become_one_with_the_same_bytes_in_the_order_they_were_written(own_cache):
    for at in range(0, 100, 10):
        commit(own_cache, at, at + 10)
    assert compact(own_cache) == Compacted(10, 1)
    (whole,) = segments(own_cache)
    assert np.load(whole / "rows.npy").tobytes() == ROWS[:100].tobytes()
    assert np.array_equal(np.load(whole / "digests.npy"), DIGESTS[:100])
    assert is_right(open_bank(own_cache, SPEC), 0, 100)
    assert compact(own_cache) == Compacted(1, 1)
    assert sorted(path.name for path in whole.parents[1].iterdir()) == ["bank.json", "index", "segments"]
    assert list(own_cache.glob(".thawline-staging/*")) == []


def test_segments_are_filled_to_their_size_and_large_ones_stay(own_cache, monkeypatch):
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 4 * 288)
    large = commit(own_cache, 200, 240)
    inode = large.stat().st_ino
    for at in range(0, 100, 10):
        commit(own_cache, at, at + 10)
    compact(own_cache)
    # a segment of ten rows takes 288 bytes, so four fit
    assert sorted(len(np.load(path / "digests.npy")) for path in segments(own_cache)) == [20, 40, 40, 40]
    assert large.stat().st_ino == inode
    assert all((path / "rows.npy").stat().st_size <= 4 * 288 for path in segments(own_cache))
    bank = open_bank(own_cache, SPEC)
    assert is_right(bank, 0, 100)
    assert is_right(bank, 200, 240)


def test_who_has_the_bank_open_reads_on(own_cache):
    for at in range(0, 100, 10):
        commit(own_cache, at, at + 10)
    bank, warm = open_bank(own_cache, SPEC), open_bank(own_cache, SPEC)
    assert is_right(warm, 0, 100)
    mapped = warm.mapped(HASHES[:100])
    stream = warm.iter_rows(HASHES[:100], [(0, "mean")], rows_at_once=30)
    steps = [next(stream)]
    compact(own_cache)
    steps += list(stream)
    assert np.array_equal(np.concatenate([rows for _, rows in steps]), ROWS[:100, 0].astype(np.float32)[
        np.concatenate([positions for positions, _ in steps])
    ])  # fmt: skip
    assert is_right(bank, 0, 100)
    assert is_right(warm, 0, 100)
    assert np.array_equal(mapped.take(np.arange(100)), ROWS[:100, 0])
    assert np.array_equal(bank.mapped(HASHES[50:100]).take(np.arange(50)), ROWS[50:100, 0])
    assert bank.num_damaged == warm.num_damaged == 0


def test_a_picture_in_two_segments_is_kept_once_and_a_sound_row_of_it_wins(own_cache):
    first, second = commit(own_cache, 0, 20), commit(own_cache, 10, 30)
    done = compact(own_cache)
    assert (done.num_after, done.num_repeated) == (1, 10)
    assert len(np.load(segments(own_cache)[0] / "digests.npy")) == 30
    assert not first.exists()
    assert not second.exists()
    assert is_right(open_bank(own_cache, SPEC), 0, 30)


def test_what_a_large_segment_holds_already_is_dropped_only_if_it_is_sound_there(own_cache, monkeypatch):
    large = commit(own_cache, 0, 40)
    Places(own_cache, large.parents[1]).write_index()  # so that the large one is the one place
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 4 * 288)
    for at in range(0, 40, 10):
        commit(own_cache, at, at + 10)
    flip(large / "rows.npy")
    done = compact(own_cache)
    assert done.num_repeated == 39
    assert sorted(len(np.load(path / "digests.npy")) for path in segments(own_cache)) == [1, 40]
    bank = open_bank(own_cache, SPEC)
    assert is_right(bank, 0, 39)


def test_damaged_segments_are_left_to_who_heals_them(own_cache):
    paths = [commit(own_cache, at, at + 10) for at in range(0, 50, 10)]
    flip(paths[2] / "rows.npy")
    (paths[1] / "thesis.txt").write_text("years")
    compact(own_cache)
    assert {paths[1], paths[2]} < set(segments(own_cache))
    assert len(segments(own_cache)) == 3
    bank = open_bank(own_cache, SPEC)
    assert is_right(bank, 0, 29)
    assert is_right(bank, 30, 50)
    assert (paths[1] / "thesis.txt").read_text() == "years"


def test_it_happens_by_itself_once_there_are_many(own_cache, monkeypatch):
    for at in range(COMPACT_AT - 1):
        commit(own_cache, at, at + 1)
    bank = open_bank(own_cache, SPEC)
    assert compact_often(own_cache, bank) is None
    commit(own_cache, 100, 101)
    assert compact_often(own_cache, bank) == Compacted(COMPACT_AT, 1)
    assert is_right(bank, 0, COMPACT_AT - 1)
    assert not bank.missing(HASHES[100:101])


def test_two_do_not_compact_one_bank_at_once(own_cache):
    for at in range(COMPACT_AT):
        commit(own_cache, at, at + 1)
    directory = own_cache / "banks" / SPEC.key
    lock = locks.take(directory / "compaction.lock", create=True)
    try:
        with pytest.raises(StoreError, match=r"^compact: .* is being compacted by another process\. Wait for it\."):
            compact(own_cache)
        assert compact_often(own_cache, open_bank(own_cache, SPEC)) is None
    finally:
        locks.release(directory / "compaction.lock", lock)
    assert len(segments(own_cache)) == COMPACT_AT


def test_a_file_system_without_locks_is_refused(own_cache, monkeypatch):
    commit(own_cache, 0, 1), commit(own_cache, 1, 2)

    def none(*_, **__):
        raise locks.NoLocksError

    monkeypatch.setattr(locks, "take", none)
    with pytest.raises(StoreError, match=r"^compact: the file system of .* has no locks"):
        compact_bank(own_cache, own_cache / "banks" / SPEC.key, **FORM)


def test_a_full_disk_leaves_every_row(own_cache, monkeypatch):
    for at in range(0, 50, 10):
        commit(own_cache, at, at + 10)

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr(compaction, "write_segment", full)
    with pytest.raises(StoreError, match="the disk is full"):
        compact(own_cache)
    assert len(segments(own_cache)) == 5
    assert not (own_cache / "banks" / SPEC.key / "compaction.lock").exists()


def test_rows_are_right_while_others_compact_and_write(own_cache, monkeypatch):
    """A reader never meets a row that is missing or wrong, whatever two others do meanwhile."""
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 128 + 16 * 200)
    for at in range(0, 400, 10):
        commit(own_cache, at, at + 10)
    over, wrong = Event(), []

    def read():
        seed = 0
        bank = open_bank(own_cache, SPEC)
        while not over.is_set():
            seed += 1
            if seed % 5 == 0:
                bank = open_bank(own_cache, SPEC)
            some = np.random.default_rng(seed).permutation(400)[:50]
            read = bank.read([HASHES[at] for at in some.tolist()], [(0, "mean")])
            if bank.num_damaged or not np.array_equal(read, ROWS[some, 0].astype(np.float32)):
                wrong.append(seed)

    def checked():
        try:
            read()
        except Exception as error:
            wrong.append(error)

    readers = [Thread(target=checked) for _ in range(2)]
    for reader in readers:
        reader.start()
    for at in range(400, 1000, 10):
        commit(own_cache, at, at + 10)
        if at % 50 == 0:
            compact(own_cache)
    over.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert is_right(open_bank(own_cache, SPEC), 0, 1000)


PROGRAM = """
import sys
from pathlib import Path
from thawline.features import compaction
compaction.SEGMENT_BYTES = 128 + 16 * 100
root, directory = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while True:
    compaction.compact_bank(root, directory, storage="float16", shape=(1, 8))
    if len(list((directory / "segments").iterdir())) <= int(sys.argv[3]):
        break
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_compaction_that_is_killed_at_any_time_loses_no_row(own_cache, monkeypatch):
    """Twenty kills at random times; after each, every row is there, bit by bit, and the next one goes on."""
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 128 + 16 * 100)
    moments, directory = random.Random(0), own_cache / "banks" / SPEC.key
    killed = 0
    for attempt in range(20):
        start = attempt * 200
        for at in range(start, start + 200, 4):
            commit(own_cache, at, at + 4)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(own_cache), str(directory), "100000"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert is_right(open_bank(own_cache, SPEC), 0, start + 200)
    assert killed > 5
    before = len(segments(own_cache))
    compact(own_cache)
    assert len(segments(own_cache)) < before
    bank = open_bank(own_cache, SPEC)
    assert is_right(bank, 0, 4000)
    assert bank.num_damaged == 0
    num_rows = sum(len(np.load(path / "digests.npy")) for path in segments(own_cache))
    assert num_rows == 4000  # nothing is there twice
    assert any((directory / "index").iterdir())
