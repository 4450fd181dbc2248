"""Rows of a file, mapped: whole, in the order asked for, and read-only."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.features.mapped import MappedRows, map_rows


@pytest.mark.parametrize("storage", ["float16", "float32"])
@pytest.mark.parametrize("shape", [(5, 2, 7), (1, 1, 1), (3, 1, 200)])
def test_a_file_is_mapped_behind_its_header(tmp_path, storage, shape):
    rows = np.random.default_rng(0).normal(size=shape).astype(storage)
    np.save(tmp_path / "rows.npy", rows)
    mapped = map_rows(tmp_path / "rows.npy", shape, storage=storage)
    assert (mapped.dtype, mapped.shape) == (rows.dtype, shape)
    assert np.array_equal(mapped, rows)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0, 0, 0] = 1


def test_a_file_that_is_gone_is_said_to_be(tmp_path):
    with pytest.raises(FileNotFoundError):
        map_rows(tmp_path / "rows.npy", (1, 1, 1), storage="float16")


def test_rows_of_several_segments_are_taken_in_the_order_asked_for():
    segments = (np.arange(12.0).reshape(3, 2, 2), np.arange(100.0, 104.0).reshape(1, 2, 2))
    mapped = MappedRows(segments, np.array([[1, 0], [0, 2], [0, 0]]))
    assert mapped.take(np.array([1, 0, 1, 2])).tolist() == [[8, 9], [100, 101], [8, 9], [0, 1]]
    assert mapped.take(np.array([0]), view=1).tolist() == [[102, 103]]
