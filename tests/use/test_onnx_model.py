"""An exported file is opened only if it is ours and whole; what it answers is that of the folder."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import costly_pictures as costly
import numpy as np
import onnx
import onnxruntime
import pytest

from thawline.core.errors import BundleError, UsageError
from thawline.use import onnx_model
from thawline.use.onnx_facts import FACTS_KEY, is_sealed, sealed
from thawline.use.onnx_model import open_onnx

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")


@pytest.fixture
def exported(drawn_onnx):
    return drawn_onnx


@pytest.fixture
def onnx_bytes(exported):
    return exported.read_bytes()


def test_the_file_says_everything_that_a_service_must_know(drawn_model, exported):
    facts = open_onnx(exported).facts
    assert tuple(facts.class_names) == NAMES
    assert facts.strategy == "drawn"
    assert facts.backbone == "simple_cnn"
    assert facts.manifest_seal == drawn_model.manifest.seal
    assert open_onnx(exported).inputs == drawn_model.classifier.inputs


def test_the_names_in_a_file_are_those_that_other_programs_use(onnx_bytes):
    proto = onnx.load_from_string(onnx_bytes)
    assert [node.name for node in (*proto.graph.input, *proto.graph.output)] == ["pixels", "probabilities"]
    assert [entry.key for entry in proto.metadata_props] == ["thawline", "thawline_golden", "thawline_sha256"]
    assert {entry.domain: entry.version for entry in proto.opset_import}[""] == 18
    assert json.loads(proto.metadata_props[0].value)["format"] == 1


def changed(content, change):
    """Return the bytes of an ONNX file, sealed again, after `change` has been at its protobuf."""
    proto = onnx.load_from_string(content)
    del proto.metadata_props[2]
    change(proto)
    return sealed(proto.SerializeToString())


def set_facts(**values):
    def change(proto):
        facts = json.loads(proto.metadata_props[0].value) | values
        proto.metadata_props[0].value = json.dumps(facts)

    return change


def set_size(size_px):
    def change(proto):
        facts = json.loads(proto.metadata_props[0].value)
        facts["input"]["size_px"] = size_px
        proto.metadata_props[0].value = json.dumps(facts)

    return change


def with_fixed_batch(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def with_another_output(proto):
    proto.graph.output[0].name = "probabilities2"
    proto.graph.node[-1].output[0] = "probabilities2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda proto: proto.metadata_props.pop(0), "not one that `thawline export` wrote"),
        (set_facts(format=2), "format 1 has one input and format 2 has several"),
        (set_facts(surprise=1), "not of format 1 .*: surprise: Extra inputs"),
        (set_facts(class_names=["one", "two"]), r"its graph has .* are required"),
        (set_facts(class_names="one"), "class_names: Input should be a valid array"),
        (set_facts(class_names=["one"]), "class_names: List should have at least 2 items"),
        (set_facts(manifest_seal="0" * 63), "manifest_seal: String should match"),
        (
            lambda proto: setattr(proto.metadata_props[0], "value", "[]"),
            "not of format 1 .*: all of it: Input should be",
        ),
        (set_size(32), r"its graph has pixels tensor\(uint8\) \['batch', 64, .*; .*\['batch', 32, 32, 3\].* required"),
        (with_fixed_batch, r"its graph has pixels tensor\(uint8\) \[2, 64, 64, 3\].* required"),
        (with_another_output, "probabilities2 .* required"),
        (lambda proto: proto.graph.ClearField("node"), "not an ONNX file that runs here"),
        (lambda proto: setattr(proto.graph.node[0], "domain", "evil"), "not an ONNX file that runs here"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(onnx_bytes, change, message):
    with pytest.raises(BundleError, match=message):
        open_onnx(changed(onnx_bytes, change))


def test_a_bit_that_changed_anywhere_is_found_before_anything_parses_it(onnx_bytes, monkeypatch):
    parsed = []
    real = onnxruntime.InferenceSession

    def counted(*words, **named):
        parsed.append(1)
        return real(*words, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    assert is_sealed(onnx_bytes)
    for at in np.random.default_rng(0).integers(0, 8 * len(onnx_bytes), 200).tolist():
        damaged = bytearray(onnx_bytes)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(BundleError, match="damaged, altered, or written by an older version"):
            open_onnx(bytes(damaged))
    for size in np.random.default_rng(1).integers(0, len(onnx_bytes) - 200, 20).tolist():
        with pytest.raises(BundleError, match="load the model: "):
            open_onnx(onnx_bytes[:size])
    assert len(parsed) <= 20  # a file that lost its end has no seal, and says nothing of who wrote it


def test_a_file_without_a_seal_is_refused(onnx_bytes):
    proto = onnx.load_from_string(onnx_bytes)
    del proto.metadata_props[2]
    with pytest.raises(BundleError, match="or written by an older version"):
        open_onnx(proto.SerializeToString())
    del proto.metadata_props[:]
    with pytest.raises(BundleError, match="not one that `thawline export` wrote"):
        open_onnx(proto.SerializeToString())


def test_a_file_that_would_read_another_file_is_refused(onnx_bytes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"\0" * 4_000_000)

    def outside(proto):
        weights = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        size = len(weights.raw_data)
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "secret"), ("offset", "0"), ("length", str(size))):
            weights.external_data.add(key=key, value=value)

    with pytest.raises(BundleError, match=r"not an ONNX file that runs here: .*External data"):
        open_onnx(changed(onnx_bytes, outside))


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"not an onnx file", b"\0" * 5000])
def test_bytes_that_are_no_onnx_file_are_refused(content, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"load .*model\.onnx: "):
        open_onnx(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(BundleError, match=r"no such file\. Name the \.onnx file"):
        open_onnx(tmp_path / "none.onnx")
    with pytest.raises(BundleError, match=r"a folder: export it first"):
        open_onnx(tmp_path)


def test_an_answer_that_is_not_finite_becomes_the_error_of_its_picture(exported, picture, monkeypatch):
    model = open_onnx(exported)
    monkeypatch.setattr(model, "_session", None)

    class Overflow:
        def run(self, *_):
            return [np.full((1, len(NAMES)), np.nan, dtype=np.float32)]

    model._session = Overflow()
    row = model.predict("a.jpg", picture(0))
    assert row.to_json() == {"path": "a.jpg", "error": "the model's answer is not finite"}


def test_telemetry_is_off(exported, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    open_onnx(exported)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert onnxruntime.InferenceSession(str(exported)).get_modelmeta().custom_metadata_map[FACTS_KEY]


def test_a_row_is_a_prediction_ranked_or_the_reason_why_there_is_none(exported, picture):
    model = open_onnx(exported)
    row = model.predict("a.jpg", picture(0))
    assert (row.path, row.error, set(row.probabilities)) == ("a.jpg", None, set(NAMES))
    assert list(row.probabilities.values()) == sorted(row.probabilities.values(), reverse=True)
    assert next(iter(row.probabilities.items())) == (row.label, row.probability)
    assert model.predict("b.jpg", b"words").to_json() == {"path": "b.jpg", "error": "text, not a picture"}
    assert model.predict("c.jpg", picture(0), max_megapixels=0).error.endswith("over the 0 allowed")


def test_a_picture_made_to_cost_much_costs_a_row_with_its_reason(exported, picture):
    model = open_onnx(exported)
    scans = costly.jpeg_that_claims(costly.jpeg_of_scans(64, 64, 30_000), 4000, 3000)
    assert model.predict("a", scans, max_megapixels=50).error == "a JPEG of 30,010 scans, over the 100 allowed"
    deep = model.predict("b", costly.png(8_000, 6_000, bits=16), max_megapixels=50)  # 48 megapixels in 93 KB
    assert deep.error is None
    assert "MiB allowed for a file of" in model.predict("c", costly.webp_that_claims(7_000, 7_000)).error
    assert model.predict("d", picture(0)).error is None


def test_probabilities_are_a_row_a_picture_and_sum_to_one(exported):
    model = open_onnx(exported)
    shares = model.probabilities(np.zeros((3, 64, 64, 3), np.uint8))
    assert (shares.shape, shares.dtype) == ((3, 3), np.float32)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)


def test_a_file_larger_than_onnx_allows_is_refused_unread(exported, monkeypatch):
    size = exported.stat().st_size
    monkeypatch.setattr(onnx_model, "MAX_FILE_BYTES", size)
    open_onnx(exported)
    monkeypatch.setattr(onnx_model, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(BundleError, match=rf"{size:,} bytes are more than the {size - 1:,} that an ONNX file can have"):
        open_onnx(exported)


def test_a_file_that_may_not_be_read_is_named(exported, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BundleError, match=r"onnx: cannot be read: Permission denied\. Allow reading, or copy"):
        open_onnx(exported)


def test_without_onnxruntime_the_extra_is_named(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"onnxruntime is needed and cannot be loaded .*thawline\[serve\]"):
        open_onnx(exported)


def test_threads_are_bounded_and_do_not_spin(exported, monkeypatch):
    sessions = []
    real = onnxruntime.InferenceSession

    def session(content, options, **words):
        sessions.append(options)
        return real(content, options, **words)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setenv("THAWLINE_THREADS", "1")
    open_onnx(exported)
    assert sessions[0].intra_op_num_threads == 1
    assert sessions[0].get_session_config_entry("session.intra_op.allow_spinning") == "0"
