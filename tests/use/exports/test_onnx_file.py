"""One ONNX file answers as the model folder does, for every head and pooling; else nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from thawline import api
from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.data.images import prepare
from thawline.use.answer import Answer
from thawline.use.exports import onnx_file as export
from thawline.use.exports.onnx_file import EXPORT_TOLERANCE, export_onnx
from thawline.use.onnx_model import open_onnx, sealed
from thawline.use.predict import predict_pictures


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
    pixels = np.stack([prepare(picture(seed), bundle.classifier.inputs[0]) for seed in range(100, 105)])
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
        ("resnet18", 64, "together", ("mean", "std")),
        ("vit_tiny_patch16_224", 64, "linear", ("token", "grid", "mean")),
        ("convnext_atto", 64, "neighbours", ("mean",)),
        ("mobilenetv3_small_050", 64, "linear", ("mean", "std")),
        ("tutorial_cnn", 32, "dense", ("mean", "max")),
        ("vit_small_patch16_dinov3", 64, "linear", ("token", "mean")),
        ("eva02_tiny_patch14_224", 56, "linear", ("mean", "std")),
        ("test_vit3", 160, "linear", ("mean", "std")),  # attention pooling
        ("test_vit_relpos", 160, "linear", ("mean",)),  # the pass starts before its chain of modules
        ("test_mambaout", 160, "linear", ("mean", "grid")),  # channels last
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


def test_several_networks_are_one_file_with_an_input_for_each_preparation(joined_model, picture, tmp_path):
    done = export_onnx(joined_model, tmp_path / "model.onnx")
    content = done.path.read_bytes()
    proto, model = onnx.load_from_string(content), open_onnx(done.path)
    assert [node.name for node in proto.graph.input] == ["pixels", "pixels_2"]
    assert json.loads(proto.metadata_props[0].value)["format"] == 2
    assert model.inputs == joined_model.classifier.inputs
    assert model.facts.backbone == "simple_cnn + simple_cnn + deep_cnn"
    weights = {tensor.raw_data for tensor in proto.graph.initializer if len(tensor.raw_data) > 1000}
    assert len(weights) == sum(len(tensor.raw_data) > 1000 for tensor in proto.graph.initializer)
    assert done.difference <= EXPORT_TOLERANCE
    for seed in range(100, 104):
        answer = model.predict("a", picture(seed))
        expected = joined_model.classifier.answer(picture(seed))
        shares = [answer.probabilities[name] for name in joined_model.class_names]
        np.testing.assert_allclose(shares, expected, atol=EXPORT_TOLERANCE)
    assert onnx.checker.check_model(proto, full_check=True) is None


@pytest.fixture
def exporting(bundle, onnx_bytes, tmp_path, monkeypatch):
    """Return what exports the drawn model, whose answers are moved by a shift behind the exporter's back."""
    sound = export.open_onnx

    def export_shifted(shift=(0, 0, 0), golden=(0, 0, 0)):
        def shifted(content):
            model = sound(content)
            answers = model.answers
            model.answers = lambda pixels: Answer(answers(pixels).probabilities + np.array(shift, np.float32), None)
            return model

        pictures = []
        for picture in bundle.manifest.golden:
            moved = [share + by for share, by in zip(picture.probabilities, golden, strict=True)]
            pictures.append(picture.model_copy(update={"probabilities": moved}))
        monkeypatch.setattr(export, "_onnx_bytes", lambda graph, bundle: onnx_bytes)
        monkeypatch.setattr(export, "open_onnx", shifted)
        manifest = bundle.manifest.model_copy(update={"golden": pictures})
        return export_onnx(replace(bundle, manifest=manifest), tmp_path / "model.onnx")

    return export_shifted


def test_what_was_written_is_told_with_its_largest_differences(exporting, onnx_bytes, tmp_path):
    done = exporting(shift=(0.0005, 0, 0), golden=(0.0015, 0, 0))
    assert (done.path, done.size_bytes, done.num_golden) == (tmp_path / "model.onnx", len(onnx_bytes), 3)
    assert done.path.read_bytes() == onnx_bytes
    assert done.difference == pytest.approx(0.0005, abs=1e-4)
    assert done.golden_difference == pytest.approx(0.001, abs=1e-4)
    assert done.compute == "float32"


@pytest.mark.parametrize(
    ("shift", "golden", "message"),
    [
        ((0.0015, -0.0015, 0), (0, 0, 0), r"differ by 0\.001.* from those of torch"),
        ((0, 0, 0), (0.003, 0, 0), r"by 0\.003 from those of training \(0\.002 is allowed\)"),
    ],
)
def test_a_file_that_is_too_far_off_is_refused(exporting, tmp_path, shift, golden, message):
    with pytest.raises(BundleError, match=message):
        exporting(shift=shift, golden=golden)
    assert list(tmp_path.iterdir()) == []


def test_another_first_class_is_refused_however_close(bundle, onnx_bytes, tmp_path, monkeypatch):
    class Tied(torch.nn.Module):
        def __init__(self, classifier):
            super().__init__()

        def forward(self, pixels):
            return torch.tensor([[0.3336, 0.3332, 0.3332]])

    class Model:
        inputs = bundle.classifier.inputs

        def answers_to(self, batch):
            return Answer(np.array([[0.3332, 0.3336, 0.3332]], np.float32), None)

    pictures = [picture.model_copy(update={"probabilities": [1 / 3] * 3}) for picture in bundle.manifest.golden]
    manifest = bundle.manifest.model_copy(update={"golden": pictures})
    monkeypatch.setattr(export, "Graph", Tied)
    monkeypatch.setattr(export, "_onnx_bytes", lambda graph, bundle: onnx_bytes)
    monkeypatch.setattr(export, "open_onnx", lambda content: Model())
    with pytest.raises(BundleError, match=r"differ by 0\.00040 .* \(0\.001 is allowed, and the same class\)"):
        export_onnx(replace(bundle, manifest=manifest), tmp_path / "model.onnx")


def test_weights_that_no_file_can_hold_are_refused_before_the_export(bundle, tmp_path, monkeypatch):
    graph = export.Graph(bundle.classifier)
    size = sum(tensor.numpy().nbytes for tensor in graph.state_dict().values())
    monkeypatch.setattr(export, "MAX_FILE_BYTES", size - 1)
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("exported"))
    with pytest.raises(BundleError, match=rf"{size:,} bytes of weights are more than the {size - 1:,} that one ONNX"):
        export_onnx(bundle, tmp_path / "model.onnx")


def test_a_model_that_answers_otherwise_is_refused_and_the_older_file_stays(exporting, tmp_path):
    target = tmp_path / "model.onnx"
    target.write_bytes(sealed(b"older"))
    with pytest.raises(BundleError, match=r"golden/0.jpg gets probabilities that differ by 0\.01.*Nothing was written"):
        exporting(shift=(0.01, -0.01, 0))
    assert target.read_bytes() == sealed(b"older")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("change", [lambda data: b"mine", lambda data: data[:-1], lambda data: b"\0" + data[1:]])
def test_a_file_that_no_export_wrote_is_not_replaced(bundle, tmp_path, change):
    target = tmp_path / "model.onnx"
    target.write_bytes(change(sealed(b"older")))
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"stands there and is not a file as `thawline export` writes it"):
        export_onnx(bundle, target)
    assert target.read_bytes() == before
    (tmp_path / "link.onnx").symlink_to(target)
    target.write_bytes(sealed(b"older"))
    with pytest.raises(StoreError, match=r"link\.onnx stands there"):
        export_onnx(bundle, tmp_path / "link.onnx")


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


@pytest.mark.parametrize("read_from", ["features", "answers"])
def test_the_file_abstains_where_the_folder_does(doubting_model, picture, tmp_path, read_from):
    bundle = doubting_model(read_from)
    done = export_onnx(bundle, tmp_path / "model.onnx")
    model = open_onnx(done.path)
    assert (model.facts.format, model.facts.doubt) == (3, bundle.manifest.doubt)
    doubts = set()
    for seed in range(12):
        (tmp_path / f"{seed}.jpg").write_bytes(picture(seed))
        (row,) = predict_pictures(bundle.classifier, [tmp_path / f"{seed}.jpg"])
        answer = model.predict(row.path, picture(seed))
        assert answer.outside == pytest.approx(row.outside, abs=EXPORT_TOLERANCE)
        assert answer.doubt == row.doubt
        doubts.add(row.doubt)
    assert len(doubts) > 1
