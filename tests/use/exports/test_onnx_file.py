"""ONNX files answer as the model folder does, whole or from prepared pixels, for every head, pooling and family."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from thawline.core.errors import BundleError
from thawline.data.images import prepare
from thawline.use.answer import row_of
from thawline.use.exports import onnx_file as module
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.onnx_file import onnx_content, whole_graph, write_onnx, write_onnx_tensor
from thawline.use.exports.proof import PIXELS_ALLOWED, TENSOR_ALLOWED
from thawline.use.exports.write_export import write_export
from thawline.use.onnx_facts import DOUBT_CODES
from thawline.use.onnx_model import open_onnx


def assert_same_answers(bundle, path, picture, *, allowed):
    model = open_onnx(path)
    batch = [model.prepare(picture(seed))[0] for seed in range(100, 105)]
    expected = [bundle.classifier.answer(picture(seed)) for seed in range(100, 105)]
    assert np.abs(model.answers_to(batch).probabilities - expected).max() <= allowed
    assert np.abs(model.answers_to(batch[:1]).probabilities - expected[:1]).max() <= allowed


def test_any_batch_of_pictures_gets_the_answers_of_the_folder(drawn_model, drawn_onnx, whole_onnx, picture):
    assert_same_answers(drawn_model, drawn_onnx, picture, allowed=TENSOR_ALLOWED)
    assert_same_answers(drawn_model, whole_onnx, picture, allowed=PIXELS_ALLOWED)


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
    facts = {"size_px": size_px, "head": head, "poolings": poolings}
    storage = "float32"  # random weights make more of a step of float16 than the gate allows
    bundle = make_model(tmp_path / "model", name=name, storage=storage, **facts)
    source = ExportSource(bundle)
    for kind, allowed in (("onnx-tensor", TENSOR_ALLOWED), ("onnx", PIXELS_ALLOWED)):
        done = write_export(source, kind, place=tmp_path / f"{kind}.onnx")
        assert (done.num_golden, done.agreement) == (3, 1)
        assert done.max_difference <= allowed
        assert_same_answers(bundle, done.path, picture, allowed=10 * allowed)  # random weights, no golden pictures


def test_the_whole_file_takes_pictures_and_says_so(whole_onnx, drawn_model):
    proto = onnx.load(whole_onnx)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.name for node in (*proto.graph.input, *proto.graph.output)] == ["pictures", "probabilities", "doubt"]
    sides = [side.dim_param or side.dim_value for side in proto.graph.input[0].type.tensor_type.shape.dim]
    assert sides == ["batch", "height", "width", 3]
    facts = json.loads(proto.metadata_props[0].value)
    assert (facts["format"], facts["takes"]) == (4, "pictures")
    assert facts["doubt_codes"] == ["answer", "not sure", "none of these"]
    assert open_onnx(whole_onnx).inputs == drawn_model.classifier.inputs


def test_several_networks_are_one_file_with_an_input_for_each_preparation(joined_model, picture, tmp_path):
    source = ExportSource(joined_model)
    done = write_export(source, "onnx-tensor", place=tmp_path / "tensor.onnx")
    proto, model = onnx.load(done.path), open_onnx(done.path)
    assert [node.name for node in proto.graph.input] == ["pixels", "pixels_2"]
    assert json.loads(proto.metadata_props[0].value)["format"] == 2
    assert model.inputs == joined_model.classifier.inputs
    assert model.facts.backbone == "simple_cnn + simple_cnn + deep_cnn"
    weights = {tensor.raw_data for tensor in proto.graph.initializer if len(tensor.raw_data) > 1000}
    assert len(weights) == sum(len(tensor.raw_data) > 1000 for tensor in proto.graph.initializer)
    assert_same_answers(joined_model, done.path, picture, allowed=TENSOR_ALLOWED)
    assert onnx.checker.check_model(proto, full_check=True) is None
    whole = write_export(source, "onnx", place=tmp_path / "whole.onnx")
    assert [node.name for node in onnx.load(whole.path).graph.input] == ["pictures"]
    assert_same_answers(joined_model, whole.path, picture, allowed=PIXELS_ALLOWED)


@pytest.mark.parametrize("read_from", ["features", "answers"])
def test_the_file_abstains_where_the_folder_does(doubting_model, picture, tmp_path, read_from):
    bundle = doubting_model(read_from)
    source = ExportSource(bundle)
    write_onnx_tensor(source, tmp_path / "tensor.onnx")
    write_onnx(source, tmp_path / "whole.onnx")
    tensor, whole = open_onnx(tmp_path / "tensor.onnx"), open_onnx(tmp_path / "whole.onnx")
    assert (tensor.facts.format, whole.facts.format) == (3, 4)
    assert tensor.facts.doubt == whole.facts.doubt == bundle.manifest.doubt
    doubts = set()
    for seed in range(12):
        answer = bundle.classifier.answers_to([bundle.classifier.prepare(picture(seed))[0]])
        row = row_of(bundle.classifier, "a", answer=answer, place=0)
        for model in (tensor, whole):
            said = model.predict("a", picture(seed))
            assert said.outside == pytest.approx(row.outside, abs=PIXELS_ALLOWED)
            assert said.doubt == row.doubt
        ((pixels,), _) = whole.prepare(picture(seed))
        (code,) = whole.outputs(pixels[None])["doubt"]
        assert DOUBT_CODES[code] == (row.doubt or "answer")
        doubts.add(row.doubt)
    assert len(doubts) > 1


@pytest.mark.parametrize("value", [0.1, 0.3, 0.5, 0.95, -0.4, -0.9500000001])
def test_a_threshold_parts_the_same_numbers_in_half_the_digits(value):
    least = module._no_less(value)
    around = [np.nextafter(least, np.float32(-2)), least, np.nextafter(least, np.float32(2))]
    assert [bool(each < least) for each in around] == [float(each) < value for each in around]


def test_a_file_larger_than_onnx_allows_is_refused(drawn_model, monkeypatch):
    source = ExportSource(drawn_model)
    facts, golden = source.facts(whole=True), module._golden(source, "onnx", allowed=1e-3)
    graph = whole_graph(source.onnx_graph(), facts)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 2000)
    with pytest.raises(BundleError, match=r"bytes are more than the 2,000 that one ONNX file can hold"):
        onnx_content(graph, facts, golden=golden)


def test_pictures_of_several_sizes_in_one_batch_get_their_own_answers(drawn_model, whole_onnx):
    rng = np.random.default_rng(0)
    sizes = ((50, 70), (64, 64), (50, 70), (3, 200), (64, 64))
    pictures = [rng.integers(0, 255, (*size, 3)).astype(np.uint8) for size in sizes]
    model = open_onnx(whole_onnx)
    answer = model.answers_to([(each,) for each in pictures])
    alone = [model.answers(each[None]).probabilities[0] for each in pictures]
    np.testing.assert_allclose(answer.probabilities, alone, atol=1e-6)


def test_a_tensor_file_takes_what_training_prepared(drawn_onnx, drawn_model, picture):
    model = open_onnx(drawn_onnx)
    pixels = np.stack([prepare(picture(seed), drawn_model.classifier.inputs[0]) for seed in range(3)])
    assert np.abs(model.probabilities(pixels) - drawn_model.classifier.probabilities(pixels)).max() <= TENSOR_ALLOWED
