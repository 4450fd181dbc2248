"""A head with a hidden layer says what torch's layers say, and is the same after it was written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from thawline.core.errors import BundleError
from thawline.heads.columns import Columns, fit_columns
from thawline.heads.dense import DenseHead
from thawline.heads.head import head_from_tensors, head_tensors

N, D, H, K = 9, 5, 7, 3


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(2, 3, (N, D)).astype(np.float32)


@pytest.fixture
def head(rows):
    rng = np.random.default_rng(1)
    shapes = ((D, H), (H,), (H, K), (K,))
    return DenseHead(fit_columns(rows), *(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def load(tensors, num_columns=D, num_classes=K):
    return head_from_tensors(tensors, num_columns=num_columns, num_classes=num_classes)


def test_it_is_two_layers_with_a_relu_between(head, rows):
    layers = nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, K))
    with torch.no_grad():
        for parameter, array in zip(
            layers.parameters(), (head.weight1.T, head.bias1, head.weight2.T, head.bias2), strict=True
        ):
            parameter.copy_(torch.from_numpy(array.copy()))
        expected = layers(torch.from_numpy(head.columns.apply(rows))).numpy()
    found = head.logits(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    plain = Columns(np.zeros(D, bool), np.zeros(D, np.float32), np.ones(D, np.float32))
    without = DenseHead(plain, head.weight1, head.bias1 - 1e4, head.weight2, head.bias2)  # no unit ever fires
    np.testing.assert_array_equal(without.logits(rows), np.tile(head.bias2, (N, 1)))


def test_round_trip(head, rows):
    tensors = head_tensors(head)
    assert all(tensor.flags.c_contiguous for tensor in tensors.values())
    again = load(tensors)
    assert isinstance(again, DenseHead)
    np.testing.assert_array_equal(again.logits(rows), head.logits(rows))


def test_tensors_that_are_no_such_head_are_refused(head):
    tensors = head_tensors(head)
    for missing in tensors:
        with pytest.raises(BundleError, match=r"found, .* required.*write it again with `thawline fit`"):
            load({key: value for key, value in tensors.items() if key != missing})
    with pytest.raises(BundleError, match="required"):
        load({**tensors, "weight": head.weight2})
    for key, value in tensors.items():
        for wrong in (np.concatenate([value, value]), value[None], value.reshape(-1)[0], value[:0], value.astype("f8")):
            with pytest.raises(BundleError, match="load the head"):
                load({**tensors, key: wrong})
    for key in ("weight1", "bias1", "weight2", "bias2"):
        for number in (np.nan, np.inf):
            spoilt = tensors[key].copy()
            spoilt.reshape(-1)[0] = number
            with pytest.raises(BundleError, match=f"load the head: {key} is float32 of shape .*finite"):
                load({**tensors, key: spoilt})
    with pytest.raises(BundleError, match="load the head"):
        load(tensors, num_columns=D + 1)
    with pytest.raises(BundleError, match="load the head"):
        load(tensors, num_classes=K + 1)


def test_a_hidden_layer_without_units_is_refused(head):
    empty = {"weight1": np.empty((D, 0), "f4"), "bias1": np.empty(0, "f4"), "weight2": np.empty((0, K), "f4")}
    with pytest.raises(BundleError, match="load the head"):
        load({**head_tensors(head), **empty})


def test_it_prints_in_a_line(head):
    assert repr(head) == f"<DenseHead: {D} columns, {K} classes>"
