"""One ONNX file answers as the model folder does, for every head and pooling; else nothing is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from thawline import api
from thawline.core.errors import BundleError, UsageError
from thawline.data.images import prepare
from thawline.use import export
from thawline.use.export import EXPORT_TOLERANCE, export_onnx
from thawline.use.onnx_model import FACTS_KEY, open_onnx

NAMES = ("cross", 'stripe, "wide"', "träne 🦜")


@pytest.fixture
def bundle(drawn_model):
    return drawn_model


@pytest.fixture
def exported(drawn_onnx):
    return drawn_onnx


@pytest.fixture
def onnx_bytes(exported):
    return exported.read_bytes()


def assert_same_answers(bundle, path, picture):
    pixels = np.stack([prepare(picture(seed), bundle.classifier.input) for seed in range(100, 105)])
    model = open_onnx(path)
    assert np.abs(model.probabilities(pixels) - bundle.classifier.probabilities(pixels)).max() <= EXPORT_TOLERANCE
    assert np.abs(model.probabilities(pixels[:1]) - bundle.classifier.probabilities(pixels[:1])).max() < 1e-3


def test_any_batch_of_pictures_gets_the_answers_of_the_folder(bundle, exported, picture):
    assert_same_answers(bundle, exported, picture)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size_px", "head", "poolings"),
    [
        ("efficientnet_lite0", 64, "class mean", ("mean", "std", "max", "grid")),
        ("efficientnet_lite0", 96, "neighbours", ("mean", "std")),
        ("resnet18", 64, "dense", ("grid", "max")),
        ("vit_tiny_patch16_224", 64, "linear", ("token", "grid", "mean")),
        ("convnext_atto", 64, "neighbours", ("mean",)),
        ("mobilenetv3_small_050", 64, "linear", ("mean", "std")),
        ("tutorial_cnn", 32, "dense", ("mean", "max")),
    ],
)
def test_every_head_pooling_and_family_can_be_exported(make_model, picture, tmp_path, name, size_px, head, poolings):
    bundle = make_model(tmp_path / "model", name=name, size_px=size_px, head=head, poolings=poolings)
    done = export_onnx(bundle, tmp_path / "model.onnx")
    assert done.num_golden == 3
    assert done.difference <= EXPORT_TOLERANCE
    assert_same_answers(bundle, done.path, picture)


@pytest.mark.slow
def test_a_model_trained_in_bfloat16_is_exported_in_float32(make_model, tmp_path):
    bundle = make_model(tmp_path / "model", name="efficientnet_lite0", dtype="bfloat16")
    done = export_onnx(bundle, tmp_path / "model.onnx")
    assert done.difference <= EXPORT_TOLERANCE < 0.02
    assert 0 < done.golden_difference <= 0.02


def test_the_file_says_everything_that_a_service_must_know(bundle, exported):
    facts = open_onnx(exported).facts
    assert tuple(facts.class_names) == NAMES
    assert facts.strategy == "drawn"
    assert facts.backbone == "simple_cnn"
    assert facts.manifest_seal == bundle.manifest.seal
    assert open_onnx(exported).input == bundle.classifier.input


def test_the_file_stands_alone_and_names_no_place_of_this_machine(exported, onnx_bytes):
    assert [path.name for path in exported.parent.iterdir() if path.suffix != ""] == ["exported.onnx"]
    onnx.checker.check_model(onnx.load_from_string(onnx_bytes), full_check=True)
    for place in (str(Path(torch.__file__).parent), str(Path(api.__file__).parent), "site-packages", ".py"):
        assert place.encode() not in onnx_bytes, place


def test_a_model_that_answers_otherwise_is_refused_and_the_older_file_stays(bundle, onnx_bytes, tmp_path, monkeypatch):
    target = tmp_path / "model.onnx"
    target.write_bytes(b"older")
    shift = np.array([0.01, -0.01, 0], dtype=np.float32)
    sound = export.open_onnx

    def shifted(content):
        model = sound(content)
        answers = model.probabilities
        model.probabilities = lambda pixels: answers(pixels) + shift
        return model

    monkeypatch.setattr(export, "_onnx_bytes", lambda graph, bundle: onnx_bytes)
    monkeypatch.setattr(export, "open_onnx", shifted)
    with pytest.raises(BundleError, match=r"golden/0.jpg gets probabilities that differ by 0\.01.*Nothing was written"):
        export_onnx(bundle, target)
    assert target.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_what_the_exporter_cannot_express_is_an_error_of_ours(bundle, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError("no function for aten::odd\nand a page of advice")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(
        BundleError, match=r"simple_cnn cannot be expressed in ONNX by torch .*aten::odd\. Predict with"
    ):
        export_onnx(bundle, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_exporter_the_extra_is_named(bundle, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UsageError, match=r"onnxscript are needed .*No module named .*thawline\[export\]"):
        export_onnx(bundle, tmp_path / "model.onnx")


def test_a_folder_cannot_be_the_file(bundle, tmp_path):
    with pytest.raises(UsageError, match=r"is a folder; a file is required\. Name it, such as .*model\.onnx"):
        export_onnx(bundle, tmp_path)


def test_the_file_lies_beside_the_folder_unless_another_place_is_named(bundle, monkeypatch):
    places = []
    monkeypatch.setattr(export, "export_onnx", lambda bundle, path: places.append(path))
    monkeypatch.chdir(bundle.directory)
    api.export(".")
    api.export(bundle, "elsewhere.onnx")
    assert places == [bundle.directory.resolve().with_name("model.onnx"), Path("elsewhere.onnx")]


def changed(content, change):
    """Return the bytes of an ONNX file after `change` has been at its protobuf."""
    proto = onnx.load_from_string(content)
    change(proto)
    return proto.SerializeToString()


def set_facts(**values):
    def change(proto):
        facts = json.loads(proto.metadata_props[0].value) | values
        proto.metadata_props[0].value = json.dumps(facts)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda proto: proto.metadata_props.pop(), "not one that `thawline export` wrote"),
        (set_facts(format=2), "not of format 1: format"),
        (set_facts(surprise=1), "not of format 1: surprise: Extra inputs"),
        (set_facts(class_names=["one", "two"]), r"its graph has .* are required"),
        (set_facts(class_names="one"), "class_names: Input should be a valid array"),
        (lambda proto: proto.graph.ClearField("node"), "not an ONNX file that runs here"),
        (lambda proto: setattr(proto.graph.node[0], "domain", "evil"), "not an ONNX file that runs here"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(onnx_bytes, change, said):
    with pytest.raises(BundleError, match=said):
        open_onnx(changed(onnx_bytes, change))


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
