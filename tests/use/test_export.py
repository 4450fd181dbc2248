"""One ONNX file answers as the model folder does, for every head and pooling; else nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from thawline import api
from thawline.core.errors import BundleError, UsageError
from thawline.data.images import prepare
from thawline.use import export
from thawline.use.export import EXPORT_TOLERANCE, export_onnx
from thawline.use.onnx_model import open_onnx


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
