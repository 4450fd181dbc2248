"""Pixels in, features in the storage format out, as a bank holds them; what does not fit it is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.errors import BackboneError, StoreError
from thawline.core.runtime import Runtime
from thawline.features.network import load_backbone
from thawline.features.pooling import pooled
from thawline.features.reader import FeatureReader, JoinedReader, StorageRangeError, measure_pass_ms, to_input

RUNTIME = Runtime("cpu", "float32", 4)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def tiny():
    return load_backbone("test_efficientnet", pretrained=False, size_px=32)


def test_the_input_is_normalised_as_the_backbone_asks(tiny):
    spec = replace(tiny.backbone.input, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    x = to_input(PIXELS, spec, runtime=RUNTIME)
    expected = (PIXELS.astype(np.float64) / 255 - np.array(spec.mean)) / np.array(spec.std)
    assert x.shape == (3, 3, 32, 32)
    np.testing.assert_allclose(x.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert to_input(PIXELS, spec, runtime=replace(RUNTIME, dtype="bfloat16")).dtype == torch.bfloat16
    PIXELS.flags.writeable = False
    assert torch.equal(to_input(PIXELS, spec, runtime=RUNTIME), x)
    PIXELS.flags.writeable = True


def test_blocks_come_in_the_order_asked_for_in_the_storage_format(tiny):
    blocks = [(5, "std"), (2, "mean"), (5, "mean")]
    rows = FeatureReader(tiny, RUNTIME, blocks, "float16").read(PIXELS)
    x = to_input(PIXELS, tiny.backbone.input, runtime=RUNTIME)
    expected = [pooled(tiny.prefix(x, cut), [pooling], num_prefix_tokens=0)[pooling] for cut, pooling in blocks]
    assert rows.dtype == np.float16
    np.testing.assert_allclose(rows, torch.cat(expected, dim=1), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("factor", "error", "text"),
    [
        (1e7, StorageRangeError, r"exceed what float16 can hold .* Pass --storage float32"),
        (float("inf"), BackboneError, r"are not finite in float32\. Pass --dtype float32, or choose"),
    ],
)
def test_features_that_cannot_be_stored_are_refused(tiny, factor, error, text):
    with torch.no_grad():
        tiny.model.bn1.weight.mul_(factor)
    with pytest.raises(error, match=f"^extract: features of test_efficientnet {text}"):
        FeatureReader(tiny, RUNTIME, [(0, "mean")], "float16").read(PIXELS)
    assert issubclass(StorageRangeError, StoreError)


def test_a_pass_takes_time(tiny):
    assert 0 < measure_pass_ms(tiny, RUNTIME) < 10_000


def test_joined_networks_are_read_side_by_side_each_from_its_own_pixels(tiny):
    larger = load_backbone("test_efficientnet", pretrained=False, size_px=64)
    first = len(tiny.backbone.cuts)
    reader = JoinedReader([tiny, larger], RUNTIME, [(2, "mean"), (first + 5, "std")], "float16")
    assert [spec.size_px for spec in reader.inputs] == [32, 64]
    big = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    alone = [FeatureReader(tiny, RUNTIME, [(2, "mean")], "float16").read(PIXELS)]
    alone.append(FeatureReader(larger, RUNTIME, [(5, "std")], "float16").read(big))
    assert np.array_equal(reader.read(PIXELS, big), np.concatenate(alone, axis=1))


def test_a_network_that_nothing_is_read_of_is_refused(tiny):
    with pytest.raises(ValueError, match=r"^test_efficientnet: no cut of it is read\. Leave the network out\."):
        JoinedReader([tiny, tiny], RUNTIME, [(2, "mean")], "float16")
