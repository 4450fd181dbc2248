"""Whatever the features: a head does not know the order of rows, columns or classes, nor their loudness."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from thawline.heads.head import head_from_tensors, head_tensors
from thawline.heads.linear import fit_folds, fit_linear
from thawline.heads.nearest import class_mean_folds, fit_class_mean, fit_neighbours, neighbour_folds
from thawline.heads.rotation import rotate

FEW = settings(max_examples=12, deadline=None)
FITS = (
    lambda x, y, k: fit_linear(x, y, l2=1e-3, num_classes=k),
    lambda x, y, k: fit_class_mean(x, y, num_classes=k),
    lambda x, y, k: fit_neighbours(x, y, k=4, num_classes=k),
)


@st.composite
def problems(draw):
    """Return (rng, x (n, d), labels, k), every class present; wider than long about as often as not."""
    k, n, d = draw(st.integers(2, 5)), draw(st.integers(12, 50)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = rng.permutation(np.arange(n) % k)
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d))
    return rng, x.astype(np.float32), labels, k


def shares(head, x):
    return softmax(head.logits(x), axis=1)


@FEW
@given(problems(), st.sampled_from(FITS))
def test_rows_and_columns_may_come_in_any_order(problem, fit):
    rng, x, labels, k = problem
    assume(x.shape[1] > 1)  # on a line all neighbours to one side are equally near, and the first ones count
    rows, columns = rng.permutation(len(x)), rng.permutation(x.shape[1])
    first = shares(fit(x, labels, k), x)
    second = shares(fit(x[rows][:, columns], labels[rows], k), x[:, columns])
    np.testing.assert_allclose(second, first, atol=2e-2)


@FEW
@given(problems(), st.sampled_from(FITS))
def test_classes_may_be_numbered_in_any_order(problem, fit):
    rng, x, labels, k = problem
    names = rng.permutation(k)
    first = shares(fit(x, labels, k), x)
    second = shares(fit(x, names[labels], k), x)
    np.testing.assert_allclose(second[:, names], first, atol=2e-2)


@FEW
@given(problems(), st.sampled_from(FITS))
def test_loudness_and_offset_of_a_column_do_not_matter(problem, fit):
    rng, x, labels, k = problem
    x[0] = -np.abs(x[0]) - 1e-3  # a column that is never negative would be rooted
    scale = np.exp(rng.uniform(-3, 3, x.shape[1])).astype(np.float32)
    first, second = shares(fit(x, labels, k), x), shares(fit(x * scale, labels, k), x * scale)
    np.testing.assert_allclose(second, first, atol=2e-2)


@FEW
@given(problems(), st.sampled_from(FITS))
def test_a_head_written_down_is_the_same_head(problem, fit):
    _, x, labels, k = problem
    head = fit(x, labels, k)
    again = head_from_tensors(head_tensors(head), num_columns=x.shape[1], num_classes=k)
    assert np.array_equal(again.logits(x), head.logits(x))
    assert np.isfinite(head.logits(x)).all()


@FEW
@given(problems(), st.integers(2, 4))
def test_held_out_logits_know_no_held_out_label(problem, num_folds):
    rng, x, labels, k = problem
    train = (rng.integers(0, num_folds, len(x))[:, None] != np.arange(num_folds)).astype(np.float32)
    train[:k] = 1  # some rows always train
    rotated, other = rotate(x), labels.copy()
    held = train[:, 0] == 0
    other[held] = rng.integers(0, k, held.sum())

    def first_fold(y):
        linear = fit_folds(rotated, y, row_weights=train, strengths=[1e-3], num_classes=k, tolerance=1e-4)[0, 0]
        return (
            softmax(linear, 1),
            class_mean_folds(rotated, y, row_weights=train, num_classes=k)[0],
            neighbour_folds(rotated, y, row_weights=train, num_classes=k, neighbours=(3,))[0, 0, held],
        )

    for one, two in zip(first_fold(labels), first_fold(other), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-3)
