"""A data set of four pictures that exist in memory alone."""

import hashlib
from pathlib import Path

import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.listing import FileSource
from thawline.data.sources.places import Place


@pytest.fixture
def tiny_dataset():
    """Two pictures of `a` and two of `b`, each in a group of its own."""
    samples = tuple(
        Sample(path, label, hashlib.sha256(path.encode()).hexdigest(), None, 10 + number, FileSource(Path(path)))
        for number, (path, label) in enumerate([("a/0.png", 0), ("a/1.png", 0), ("b/2.png", 1), ("b/3.png", 1)])
    )
    return Dataset(Place.of("photos"), ("a", "b"), samples, ())
