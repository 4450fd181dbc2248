"""An engine's reader stores what the eager one stores, and an engine that reads otherwise is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import BackboneError
from thawline.features.engines import engine_reader
from thawline.features.engines.engine_reader import EngineReader, furthest
from thawline.features.reader import FeatureReader, StorageRangeError

BLOCKS = [(0, "mean"), (1, "std")]


@pytest.fixture
def eager(network, runtime):
    return FeatureReader(network, runtime, BLOCKS, "float16")


def reader_of(eager, network, runtime, pixels, monkeypatch, *, run):
    monkeypatch.setattr(engine_reader, "compiled", lambda *_, **__: run)
    return EngineReader(eager, network, replace(runtime, engine="openvino"), pixels=pixels, graph=bytes)


def test_rows_are_stored_as_the_eager_ones(eager, network, runtime, pixels, monkeypatch):
    reader = reader_of(eager, network, runtime, pixels, monkeypatch, run=eager.features)
    rows = reader.read(pixels)
    assert rows.dtype == np.float16
    assert np.array_equal(rows, eager.read(pixels))
    assert (reader.blocks, reader.runtime.engine) == (tuple(BLOCKS), "openvino")


def test_one_that_reads_otherwise_is_refused_and_the_block_is_named(eager, network, runtime, pixels, monkeypatch):
    def other(pixels):
        features = eager.features(pixels)
        features[:, -1] += 1
        return features

    with pytest.raises(BackboneError, match=r"openvino reads resnet10t.* otherwise than eager does: std at cut 1 diff"):
        reader_of(eager, network, runtime, pixels, monkeypatch, run=other)


def test_one_whose_features_are_no_numbers_is_refused(eager, network, runtime, pixels, monkeypatch):
    with pytest.raises(BackboneError, match="mean at cut 0 differs by inf"):
        reader_of(
            eager, network, runtime, pixels, monkeypatch, run=lambda pixels: eager.features(pixels) * np.float32("nan")
        )


def test_a_feature_beyond_the_storage_format_is_said(eager, network, runtime, pixels, monkeypatch):
    runs = [eager.features(pixels), eager.features(pixels) * 0 + 1e6]
    reader = reader_of(eager, network, runtime, pixels, monkeypatch, run=lambda _: runs.pop(0))
    with pytest.raises(StorageRangeError, match="--storage float32"):
        reader.read(pixels)


def test_the_furthest_block_is_found_by_its_own_length():
    wanted = np.array([[100.0, 100.0, 1.0]], dtype=np.float32)
    found = np.array([[100.1, 100.0, 1.01]], dtype=np.float32)
    block, distance = furthest(found, wanted, widths={(0, "mean"): 2, (1, "mean"): 1})
    assert block == (1, "mean")
    assert distance == pytest.approx(0.01, rel=1e-3)
