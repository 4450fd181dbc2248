"""A classifier answers from one network or several, each picture prepared once for each preparation that differs."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.data.images import prepare
from thawline.features.reader import FeatureReader
from thawline.heads.calibrate import probabilities

pytestmark = pytest.mark.usefixtures("one_thread")


def test_columns_lie_side_by_side_network_after_network(joined_model, picture):
    classifier = joined_model.classifier
    reader, networks = classifier.reader, classifier.networks
    assert [len(part.blocks) for part in reader.readers] == [2, 1, 1]
    parts = []
    for network, part in zip(networks, reader.readers, strict=True):
        alone = FeatureReader(network, reader.runtime, part.blocks, "float16")
        parts.append(alone.read(prepare(picture(7), network.backbone.input)[None]))
    expected = probabilities(classifier.head.logits(np.concatenate(parts, axis=1)), classifier.temperature)[0]
    assert np.array_equal(classifier.answer(picture(7)), expected)


def test_it_names_its_networks(joined_model, drawn_model):
    assert repr(joined_model.classifier) == "<Classifier simple_cnn + simple_cnn + deep_cnn: 3 classes>"
    assert repr(drawn_model.classifier) == "<Classifier simple_cnn: 3 classes>"


def test_one_network_takes_one_array(drawn_model, picture):
    classifier = drawn_model.classifier
    (spec,) = classifier.inputs
    pixels = prepare(picture(7), spec)[None]
    assert np.array_equal(classifier.probabilities(pixels)[0], classifier.answer(picture(7)))
