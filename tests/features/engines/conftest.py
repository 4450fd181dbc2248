"""A small network, and pictures of noise for it."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.runtime import Runtime
from thawline.features.network import load_backbone


@pytest.fixture(scope="session")
def network():
    return load_backbone("resnet10t.c3_in1k", size_px=32, pretrained=False)


@pytest.fixture
def runtime():
    return Runtime("cpu", "float32", 4)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
