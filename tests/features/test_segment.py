"""A segment notices damage, and what somebody put into it is not removed with it."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.errors import StoreError
from thawline.features.segment import checksums, repair_segment, verify_segment, write_segment

FORM = {"storage": "float16", "shape": (1, 4)}


@pytest.fixture
def segment(tmp_path):
    """Return the folder of a segment of three pictures."""
    digests = np.arange(96, dtype=np.uint8).reshape(3, 32)
    rows = np.arange(12, dtype=np.float16).reshape(3, 1, 4)
    return write_segment(tmp_path, tmp_path / "banks/key", digests=digests, rows=rows).directory


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_checksum_is_that_of_a_row():
    rows = np.arange(12, dtype=np.float16).reshape(3, 1, 4)
    changed = rows.copy()
    changed[1] += 1
    assert (checksums(rows) == checksums(changed)).tolist() == [True, False, True]


def test_a_whole_segment_is_verified_and_stays(segment):
    found, rows = verify_segment(segment, **FORM)
    assert found.good.all()
    assert rows.tolist() == np.arange(12.0).reshape(3, 1, 4).tolist()


def test_of_a_damaged_segment_the_sound_rows_are_kept(segment, tmp_path):
    flip(segment / "rows.npy", -1)
    found, rows = verify_segment(segment, **FORM)
    assert found.good.tolist() == [True, True, False]
    repair_segment(tmp_path, segment, segment=found, rows=rows)
    assert not segment.exists()
    (kept,) = segment.parent.iterdir()
    assert verify_segment(kept, **FORM)[1].tolist() == np.arange(8.0).reshape(2, 1, 4).tolist()


@pytest.mark.parametrize("damage", ["rows.npy", "digests.npy", "checksums.npy"])
def test_what_somebody_put_into_a_damaged_segment_is_not_removed(segment, tmp_path, damage):
    (segment / "thesis.txt").write_text("years")
    flip(segment / damage, -1)
    found, rows = verify_segment(segment, **FORM)
    with pytest.raises(StoreError, match=r"^open the bank: .* is damaged, and thesis\.txt in it is not Thawline's"):
        repair_segment(tmp_path, segment, segment=found, rows=rows)
    assert (segment / "thesis.txt").read_text() == "years"
