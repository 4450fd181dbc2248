"""Columns are rooted where they are never negative, then centred and scaled; all by the rows they were fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.heads.columns import fit_columns


def test_columns_by_hand():
    raw = np.array([[0.0, -1.0, 7.0], [4.0, 1.0, 7.0]], dtype=np.float32)
    columns = fit_columns(raw)
    assert columns.rooted.tolist() == [True, False, True]
    np.testing.assert_allclose(columns.mean, [1, 0, np.sqrt(7)], rtol=1e-6)
    np.testing.assert_allclose(columns.scale, [1, 1, 0])
    np.testing.assert_allclose(columns.apply(raw), [[-1, -1, 0], [1, 1, 0]])


def test_prepared_columns_have_mean_zero_and_variance_one():
    rng = np.random.default_rng(0)
    raw = np.column_stack([rng.gamma(1, 100, 500), rng.normal(1000, 1, 500), rng.normal(0, 1e-4, 500)])
    prepared = fit_columns(raw.astype(np.float32)).apply(raw.astype(np.float32))
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(prepared.std(axis=0), 1, atol=1e-3)


def test_what_was_fitted_stays_for_rows_not_seen():
    columns = fit_columns(np.array([[1.0], [9.0]], dtype=np.float32))  # rooted: 1 and 3
    np.testing.assert_allclose(columns.apply(np.array([[25.0], [-25.0]])), [[3], [-7]])


def test_a_column_that_was_negative_once_is_never_rooted():
    columns = fit_columns(np.array([[-1.0], [3.0]], dtype=np.float32))
    np.testing.assert_allclose(columns.apply(np.array([[25.0]])), [[12]])


@pytest.mark.parametrize("value", [0.0, 0.1, -0.1, 1e4, 1e-4])
@pytest.mark.parametrize("num_rows", [1, 7, 50_000])
def test_a_constant_column_says_nothing_even_when_it_later_changes(value, num_rows):
    columns = fit_columns(np.full((num_rows, 2), value, dtype=np.float32))
    assert columns.scale.tolist() == [0, 0]
    assert columns.apply(np.array([[value, value + 1]])).tolist() == [[0, 0]]


def test_features_in_half_precision_are_prepared_in_single():
    raw = (np.random.default_rng(1).random((64, 3)) * 100).astype(np.float16)
    columns = fit_columns(raw)
    assert {columns.mean.dtype, columns.scale.dtype, columns.apply(raw).dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(columns.apply(raw).std(axis=0), 1, atol=1e-3)


def test_the_rows_given_are_left_as_they_are():
    raw = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    before = raw.copy()
    fit_columns(raw).apply(raw)
    assert np.array_equal(raw, before)


def test_without_roots_columns_are_only_centred_and_scaled():
    raw = np.array([[0.0, -1.0, 7.0], [4.0, 1.0, 7.0]], dtype=np.float32)
    columns = fit_columns(raw, rooted=False)
    assert not columns.rooted.any()
    np.testing.assert_allclose(columns.mean, [2, 0, 7])
    np.testing.assert_allclose(columns.scale, [0.5, 1, 0])
    np.testing.assert_allclose(columns.apply(raw), [[-1, -1, 0], [1, 1, 0]])
