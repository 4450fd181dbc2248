"""The rotated features have the inner products of the prepared ones, and orthogonal columns."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads.columns import fit_columns
from thawline.heads.rotation import rotate


@pytest.mark.parametrize(("n", "d"), [(60, 10), (20, 50)])
def test_the_rotation_is_exact(n, d):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, d)).astype(np.float32)
    x[:, : d // 2] = np.abs(x[:, : d // 2])
    rotated, prepared = rotate(x), fit_columns(x).apply(x)
    assert rotated.num_columns == d
    np.testing.assert_allclose(rotated.z @ rotated.z.T, prepared @ prepared.T, atol=2e-3 * d)
    np.testing.assert_allclose(rotated.z.T @ rotated.z, np.diag(rotated.eigenvalues), atol=1e-2 * d)
