"""Pooling against numpy by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thawline.core.errors import UsageError
from thawline.features.pooling import pooled, pooling_columns

ALL = ("mean", "std", "max", "grid")


@pytest.mark.parametrize("shape", [(3, 5, 4, 6), (2, 3, 7, 7), (1, 2, 1, 1), (2, 4, 3, 8)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_maps(shape, memory_format):
    h = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    kept = h.clone()
    found = pooled(h, ALL, num_prefix_tokens=0)
    assert torch.equal(h, kept)
    assert list(found) == list(ALL)
    a = h.numpy().astype(np.float64)
    rows, columns = shape[2:]
    top, left = slice(0, -(-rows // 2)), slice(0, -(-columns // 2))
    bottom, right = slice(rows // 2, rows), slice(columns // 2, columns)
    cells = [a[:, :, r, c].mean((2, 3)) for r in (top, bottom) for c in (left, right)]
    expected = {
        "mean": a.mean((2, 3)),
        "std": a.std((2, 3)),
        "max": a.max((2, 3)),
        "grid": np.stack(cells, axis=2).reshape(shape[0], -1),
    }
    for name, values in expected.items():
        assert found[name].dtype == torch.float32
        assert found[name].shape == (shape[0], pooling_columns(name, shape[1]))
        np.testing.assert_allclose(found[name].numpy(), values, rtol=1e-5, atol=1e-6)


def test_tokens_are_pooled_without_their_prefix():
    h = torch.randn(2, 1 + 4 + 9, 6, generator=torch.Generator().manual_seed(0))
    found = pooled(h, (*ALL, "token"), num_prefix_tokens=5)
    patches = h[:, 5:]
    assert torch.equal(found["token"], h[:, 0])
    assert torch.allclose(found["mean"], patches.mean(1), atol=1e-6)
    assert torch.allclose(found["std"], patches.std(1, correction=0), atol=1e-6)
    assert torch.equal(found["max"], patches.amax(1))
    as_map = patches.transpose(1, 2).reshape(2, 6, 3, 3)
    assert torch.allclose(found["grid"], pooled(as_map, ("grid",), num_prefix_tokens=0)["grid"], atol=1e-6)


def test_whole_activations_lie_position_by_position_and_are_copied():
    h = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = pooled(h, ("whole", "mean"), num_prefix_tokens=0)
    assert torch.equal(found["whole"].view(2, 4, 5, 3).permute(0, 3, 1, 2), h)
    assert found["whole"].untyped_storage().data_ptr() != h.untyped_storage().data_ptr()
    tokens = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    whole = pooled(tokens, ("whole",), num_prefix_tokens=2)["whole"]
    assert whole.dtype == torch.float32
    assert torch.equal(whole.view(2, 6, 3).bfloat16(), tokens)


def test_whole_activations_are_no_pooling_to_choose():
    with pytest.raises(UsageError, match=r"pooling: whole is not known\. Choose from mean, std, max, grid, token\."):
        pooling_columns("whole", 3)


def test_bfloat16_is_summed_in_float32():
    h = (100 + torch.randn(1, 8, 32, 32, generator=torch.Generator().manual_seed(0))).bfloat16()
    found = pooled(h, ("mean", "std"), num_prefix_tokens=0)
    exact = h.double()
    assert torch.allclose(found["mean"].double(), exact.mean((2, 3)), rtol=1e-6)
    assert torch.allclose(found["std"].double(), exact.std((2, 3), correction=0), rtol=1e-4)


def test_a_picture_is_pooled_alone():
    h = torch.randn(5, 7, 6, 6, generator=torch.Generator().manual_seed(0))
    whole = pooled(h, ALL, num_prefix_tokens=0)
    for name in ALL:
        assert torch.equal(torch.cat([pooled(row[None], ALL, num_prefix_tokens=0)[name] for row in h]), whole[name])


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(UsageError, match=r"pooling: median is not known\. Choose from mean, std, max, grid, token"):
        pooled(torch.zeros(1, 2, 3, 3), ("median",), num_prefix_tokens=0)
    with pytest.raises(UsageError, match="no class token"):
        pooled(torch.zeros(1, 9, 3), ("token",), num_prefix_tokens=0)
    with pytest.raises(UsageError, match="8 patches form no square"):
        pooled(torch.zeros(1, 9, 3), ("grid",), num_prefix_tokens=1)
