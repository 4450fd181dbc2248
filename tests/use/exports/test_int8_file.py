"""A file in 8 bits opens and answers as every other form; what answers otherwise is refused and leaves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.use.exports.test_int8 import sample

from thawline.core.errors import BundleError
from thawline.use.exports import int8
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.int8 import Int8Facts
from thawline.use.exports.open_export import opened
from thawline.use.exports.verify import verify_exports
from thawline.use.exports.write_export import write_export
from thawline.use.exports.yardstick import Yardstick


@pytest.fixture
def source(drawn_model, picture):
    """Return the small model with pictures that it learnt from, and others of the classes that it gives them."""
    source = ExportSource(drawn_model)
    held_out = [
        sample(picture, seed, int(drawn_model.classifier.answer(picture(seed)).argmax())) for seed in range(100, 130)
    ]
    training = [sample(picture, seed, seed % 3) for seed in range(18)]
    source.yardstick = Yardstick(training, held_out, learnt=frozenset([held_out[0].sha256]))
    return source


def test_the_file_answers_nearly_as_the_model_and_says_what_was_measured(
    source, whole_onnx, picture, tmp_path, monkeypatch
):
    monkeypatch.setattr(int8, "LEAST_AGREEMENT", 0.9)
    monkeypatch.setattr(int8, "MOST_LOST", 0.1)
    place = tmp_path / "model-int8.onnx"
    done = write_export(source, "onnx-int8", place=place)
    assert done.size_bytes < whole_onnx.stat().st_size
    export = opened(place)
    assert (export.kind, export.facts.takes) == ("onnx-int8", "pictures")
    facts = Int8Facts.model_validate_json(export.model.metadata["thawline_int8"])
    assert (done.details, done.words) == (facts.model_dump(), facts.words())
    assert (facts.held_out, facts.learnt, facts.accuracy_before) == (30, 1, 1.0)
    prepared = [export.model.prepare(picture(seed))[0] for seed in (200, 201)]
    answer = export.model.answers_to(prepared).probabilities
    expected = np.stack([source.bundle.classifier.answer(picture(seed)) for seed in (200, 201)])
    np.testing.assert_allclose(answer, expected, atol=0.2)
    (verified,) = verify_exports([place])
    assert verified.passed
    damaged = bytearray(place.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    place.write_bytes(bytes(damaged))
    with pytest.raises(BundleError, match="damaged, altered"):
        opened(place)


def test_a_model_that_answers_otherwise_is_refused_and_nothing_is_written(source, tmp_path):
    wrong = [replace(one, label=(one.label + 1) % 3) for one in source.yardstick.held_out]
    rights = source.yardstick.held_out
    source.yardstick = replace(source.yardstick, held_out=wrong)
    place = tmp_path / "exports" / "model-int8.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "MOST_LOST", -2.0)
        with pytest.raises(
            BundleError,
            match=r"in 8 bits the model answers otherwise: \d+ of 30 held-out pictures .*, with \d of \d layers in 8 "
            r"bits\. Nothing was written\. Export it in float: --to onnx\.",
        ):
            write_export(source, "onnx-int8", place=place)
    assert not list(place.parent.iterdir())
    assert len(rights) == 30
