"""Sets of columns that overlap are rotated as one by one, while what they share is computed once."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads import overlap
from thawline.heads.overlap import rotate_sets
from thawline.heads.rotation import rotate

WIDTHS, SETS = (40, 25, 30), ((0, 1), (1, 2), (0, 1, 2))


@pytest.fixture
def groups():
    """Return (200, d) features of three groups of columns, some of them never negative."""
    rng = np.random.default_rng(5)
    found = [rng.normal(size=(200, width)).astype(np.float32) for width in WIDTHS]
    return [found[0], np.abs(found[1]), found[2]]


@pytest.mark.parametrize("at_once", [1024, 64])
def test_each_set_is_rotated_as_if_it_were_alone(groups, monkeypatch, at_once):
    monkeypatch.setattr(overlap, "ROWS_AT_ONCE", at_once)
    rotated = rotate_sets(groups, SETS, max_directions=30)
    for which, found in zip(SETS, rotated, strict=True):
        alone = rotate(np.concatenate([groups[place] for place in which], axis=1), max_directions=30)
        assert found.num_columns == alone.num_columns == sum(WIDTHS[place] for place in which)
        np.testing.assert_allclose(found.z @ found.z.T, alone.z @ alone.z.T, atol=1e-2)
        np.testing.assert_allclose(found.lengths, alone.lengths, rtol=1e-3)
        assert found.columns.rooted.tolist() == alone.columns.rooted.tolist()


class Counted:
    """A table that counts the rows that were read of it."""

    def __init__(self, features):
        self.features, self.shape, self.read = features, features.shape, 0

    def __getitem__(self, rows):
        found = self.features[rows]
        self.read += len(found)
        return found


def test_what_sets_share_is_read_once_for_all_of_them(groups):
    tables = [Counted(features) for features in groups]
    rotate_sets(tables, SETS, max_directions=30)
    assert [table.read for table in tables] == [200 + 30 + 200] * 3  # scales, drawn rows, products
