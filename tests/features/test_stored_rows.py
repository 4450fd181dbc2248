"""A row is read with its proof, and only that row."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from thawline.features import stored_rows
from thawline.features.segment import write_segment
from thawline.features.stored_rows import DamagedSegmentError, StoredRows

FORM = {"storage": "float16", "shape": (2, 5)}
DIGESTS = np.random.default_rng(0).integers(0, 256, (300, 32), dtype=np.uint8)
ROWS = np.random.default_rng(1).normal(size=(300, 2, 5)).astype(np.float16)


@pytest.fixture
def segment(tmp_path):
    return write_segment(tmp_path, tmp_path / "bank", digests=DIGESTS, rows=ROWS).directory


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("at_once", [1, 50, 1 << 20])
def test_rows_are_verified_in_any_order_and_twice_asked_for(segment, monkeypatch, at_once):
    monkeypatch.setattr(stored_rows, "AT_ONCE_BYTES", at_once)
    stored = StoredRows(segment, **FORM)
    assert not stored.has_verified(np.array([3]))
    rows = np.random.default_rng(2).integers(0, 300, 500)  # scattered: the small files are read whole
    assert stored.verify(rows, digests=DIGESTS[rows]).all()
    assert len(stored) == 300
    assert stored.has_verified(rows)
    assert not stored.has_verified(np.arange(301))
    assert repr(stored) == f"<StoredRows {segment.name}: {len(set(rows.tolist()))} of 300 rows verified>"
    assert np.array_equal(stored.mapped(), ROWS)
    assert stored.verify(np.array([], dtype=np.int64), digests=DIGESTS[:0]).tolist() == []


@pytest.mark.parametrize("name", ["rows.npy", "digests.npy", "checksums.npy"])
def test_damage_is_seen_in_its_row_alone(segment, name):
    flip(segment / name, -1)
    stored = StoredRows(segment, **FORM)
    assert stored.verify(np.arange(300), digests=DIGESTS).tolist() == [True] * 299 + [False]
    assert stored.verify(np.array([299, 3]), digests=DIGESTS[[299, 3]]).tolist() == [False, True]


def test_a_row_of_another_picture_is_not_believed(segment):
    stored = StoredRows(segment, **FORM)
    assert stored.verify(np.array([4, 5]), digests=DIGESTS[[4, 6]]).tolist() == [True, False]


def test_a_row_that_is_not_there_is_damage(segment):
    stored = StoredRows(segment, **FORM)
    with pytest.raises(DamagedSegmentError):
        stored.verify(np.array([300]), digests=DIGESTS[:1])


@pytest.mark.parametrize("form", [FORM | {"storage": "float32"}, FORM | {"shape": (1, 10)}, FORM | {"shape": (2, 6)}])
def test_a_segment_of_another_form_is_damage(segment, form):
    with pytest.raises(DamagedSegmentError):
        StoredRows(segment, **form)


@pytest.mark.parametrize("name", ["rows.npy", "digests.npy", "checksums.npy"])
def test_files_that_are_missing_or_of_different_lengths_are_damage(segment, tmp_path, name):
    other = write_segment(tmp_path, tmp_path / "other", digests=DIGESTS[:9], rows=ROWS[:9]).directory
    shutil.copy(other / name, segment / name)
    with pytest.raises(DamagedSegmentError):
        StoredRows(segment, **FORM)
    (segment / name).unlink()
    with pytest.raises(DamagedSegmentError):
        StoredRows(segment, **FORM)


@pytest.mark.parametrize("name", ["rows.npy", "digests.npy", "checksums.npy"])
def test_a_file_that_was_cut_short_since_it_was_opened_is_damage(segment, name):
    stored = StoredRows(segment, **FORM)
    (segment / name).write_bytes((segment / name).read_bytes()[:-1])
    assert stored.verify(np.arange(200), digests=DIGESTS[:200]).all()
    with pytest.raises(DamagedSegmentError):
        stored.verify(np.arange(300), digests=DIGESTS)


def test_a_segment_that_is_gone_is_told_from_a_damaged_one(segment):
    stored = StoredRows(segment, **FORM)
    shutil.rmtree(segment)
    with pytest.raises(FileNotFoundError):
        stored.verify(np.arange(3), digests=DIGESTS[:3])
    with pytest.raises(FileNotFoundError):
        stored.mapped()
    with pytest.raises(FileNotFoundError):
        StoredRows(segment, **FORM)
