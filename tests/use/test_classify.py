"""Checked pictures of a data set, answered in order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.data.dataset import Sample
from thawline.data.sources.listing import FileSource
from thawline.use.classify import classify_samples
from thawline.use.onnx_model import open_onnx


def sample_of(folder, name, data):
    (folder / name).write_bytes(data)
    return Sample(name, 0, hashlib.sha256(data).hexdigest(), None, 0, FileSource(folder / name))


def test_rows_come_in_the_order_of_the_samples_from_any_form_of_the_model(
    drawn_model, drawn_onnx, picture, tmp_path, counted
):
    samples = [sample_of(tmp_path, f"{seed}.jpg", picture(seed)) for seed in range(7)]
    expected = np.stack([drawn_model.classifier.answer(picture(seed)) for seed in range(7)])
    assert np.allclose(classify_samples(drawn_model.classifier, samples, progress=counted), expected, atol=1e-6)
    assert np.allclose(classify_samples(open_onnx(drawn_onnx), samples), expected, atol=1e-4)
    assert counted.totals["evaluate", 7] == 7


def test_a_picture_that_changed_since_it_was_checked_is_named(drawn_onnx, picture, tmp_path):
    sample = sample_of(tmp_path, "a.jpg", picture(1))
    (tmp_path / "a.jpg").write_bytes(picture(2))
    with pytest.raises(DataError, match=r"a\.jpg has changed since it was checked"):
        classify_samples(open_onnx(drawn_onnx), [sample])
