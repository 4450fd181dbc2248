"""The rotated features have the inner products of the prepared ones, and orthogonal columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.heads import rotation
from thawline.heads.columns import fit_columns
from thawline.heads.rotation import rotate


def drawn(n, d):
    """Return (n, d) float32 features of falling size, the first half never negative."""
    x = np.random.default_rng(3).normal(size=(n, d)).astype(np.float32) / (1 + np.arange(d))
    x[:, : d // 2] = np.abs(x[:, : d // 2])
    return x


@pytest.mark.parametrize(("n", "d"), [(60, 10), (20, 50)])
def test_the_rotation_is_exact(n, d):
    x = drawn(n, d)
    rotated, prepared = rotate(x), fit_columns(x).apply(x)
    assert rotated.num_columns == d
    np.testing.assert_allclose(rotated.z @ rotated.z.T, prepared @ prepared.T, atol=2e-3 * d)
    np.testing.assert_allclose(rotated.z.T @ rotated.z, np.diag(rotated.lengths), atol=1e-2 * d)


@pytest.mark.parametrize(("n", "d"), [(60, 10), (20, 50)])
def test_weights_turned_back_answer_alike(n, d):
    x = drawn(n, d)
    rotated, weight = rotate(x), torch.randn(min(n, d), 3, generator=torch.manual_seed(0))
    weight = weight[: rotated.z.shape[1]]
    np.testing.assert_allclose(
        fit_columns(x).apply(x) @ rotated.back(weight).numpy(), rotated.z @ weight, atol=1e-2 * d**0.5
    )


@pytest.mark.parametrize("d", [30, 90])
def test_large_sets_are_rotated_into_the_directions_of_some_rows(d):
    x = drawn(200, d)
    rotated, prepared = rotate(x, max_directions=25), torch.from_numpy(fit_columns(x).apply(x))
    assert rotated.z.shape == (200, 25)
    assert (rotated.num_columns, rotated.rows.shape) == (d, (25, d))
    weight = torch.randn(25, 3, generator=torch.manual_seed(0))
    np.testing.assert_allclose(prepared @ rotated.back(weight), rotated.z @ weight, atol=1e-2 * d**0.5)
    np.testing.assert_allclose(rotated.lengths, rotated.z.square().sum(0), rtol=1e-5)
    again = rotate(x, max_directions=25)
    assert torch.equal(again.z, rotated.z)
    inside = rotated.rows @ rotated.back(torch.eye(25))  # the rows that were drawn keep their inner products
    np.testing.assert_allclose(inside @ inside.T, rotated.rows @ rotated.rows.T, atol=2e-3 * d)


@pytest.mark.parametrize("d", [20, 30])
def test_rows_that_are_read_in_parts_are_the_same_rows(monkeypatch, d):
    x = drawn(200, d)
    whole = rotate(x, max_directions=25)
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", 64)
    parts = rotate(Read(x), max_directions=25)
    assert Read.most <= 64
    np.testing.assert_allclose(parts.z @ parts.z.T, whole.z @ whole.z.T, atol=1e-3 * d)


class Read:
    """A table that is read, and remembers the most rows that were asked for at once beyond all of them."""

    most = 0

    def __init__(self, x):
        self.x, self.shape = x, x.shape

    def __getitem__(self, rows):
        found = self.x[rows]
        if len(found) < len(self.x):
            Read.most = max(Read.most, len(found))
        return found


def test_scales_of_large_sets_come_from_drawn_rows(monkeypatch):
    x = drawn(400, 8)
    monkeypatch.setattr(rotation, "ROWS_OF_SCALES", 100)
    scaled = rotate(x).columns
    np.testing.assert_allclose(scaled.scale, fit_columns(x).scale, rtol=0.3)
    assert not np.array_equal(scaled.scale, fit_columns(x).scale)


@pytest.mark.parametrize("d", [20, 90])
def test_some_rows_are_rotated_by_the_scales_and_directions_of_all(monkeypatch, d):
    monkeypatch.setattr(rotation, "ROWS_OF_SCALES", 50)
    x, kept = drawn(200, d), np.arange(0, 200, 4)
    whole, some = rotate(x, max_directions=25), rotate(x, max_directions=25, kept=kept)
    assert np.array_equal(some.columns.scale, whole.columns.scale)
    assert len(some.z) == len(kept)
    prepared = torch.from_numpy(whole.columns.apply(x[kept]))
    np.testing.assert_allclose(some.z, prepared @ some.back(torch.eye(some.z.shape[1])), atol=2e-3 * d**0.5)
    if d > 25:
        np.testing.assert_allclose(some.z, whole.z[kept], atol=1e-3)


@pytest.mark.parametrize("d", [20, 90])
def test_a_gradient_goes_there_as_weights_come_back(d):
    x = drawn(200, d)
    rotated, generator = rotate(x, max_directions=25), torch.manual_seed(0)
    weight = torch.randn(rotated.z.shape[1], 3, generator=generator)
    gradient = torch.randn(d, 3, generator=generator)
    inside = float((rotated.back(weight) * gradient).sum())
    assert inside == pytest.approx(float((weight * rotated.there(gradient)).sum()), rel=1e-3)
