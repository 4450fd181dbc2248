"""Networks that several tests read, each loaded once."""

from __future__ import annotations

import pytest

from thawline.features.network import load_backbone


@pytest.fixture(scope="session")
def lite0():
    return load_backbone()


@pytest.fixture(scope="session")
def resnet18():
    return load_backbone("resnet18", pretrained=False)
