"""timm loads what was written, bit by bit; what it has no form for is refused with a sentence."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from thawline.core.errors import BundleError
from thawline.features.reader import to_input
from thawline.use.doubt import Doubt
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.open_export import open_export, opened
from thawline.use.exports.proof import prove
from thawline.use.exports.timm_folder import TimmModel, why_no_timm
from thawline.use.exports.write_export import write_export

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(dense_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("timm") / "timm"
    return write_export(ExportSource(dense_model), "timm", place=place).path


def test_timm_gives_the_probabilities_of_the_folder(folder, dense_model, picture):
    classifier = dense_model.classifier
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    for seed in range(20, 26):
        (pixels,), _ = classifier.prepare(picture(seed))
        expected = classifier.answers_to([(pixels,)]).probabilities
        with torch.inference_mode():
            logits = model(to_input(pixels[None], classifier.inputs[0], runtime=classifier.reader.runtime))
        assert np.abs(logits.softmax(1).numpy() - expected).max() < 1e-3
        assert np.array_equal(open_export(folder).answers_to([(pixels,)]).probabilities, logits.softmax(1).numpy())


def test_a_folder_without_rounding_agrees_to_a_ten_thousandth(make_dense, tmp_path):
    bundle = make_dense(tmp_path / "run", storage="float32")
    done = write_export(ExportSource(bundle), "timm", place=tmp_path / "timm")
    assert opened(done.path).golden.allowed == 1e-4
    assert done.max_difference < 1e-4


def test_golden_pictures_prove_it_and_a_changed_weight_does_not_pass(folder):
    export = opened(folder)
    assert prove(export.model, export.golden.pictures, allowed=export.golden.allowed).passed
    with torch.no_grad():
        export.model.model.get_classifier().bias[0] += 9
    assert not prove(export.model, export.golden.pictures, allowed=export.golden.allowed).passed


def test_timm_prepares_the_same_square(make_dense, tmp_path, picture):
    """A square picture becomes the same square where size over crop share is whole; else timm rounds, to a pixel."""
    bundle = make_dense(tmp_path / "run", name="efficientnet_lite0", size_px=224)
    place = write_export(ExportSource(bundle), "timm", place=tmp_path / "timm").path
    transform = create_transform(**resolve_model_data_config(timm.create_model(f"local-dir:{place}")), normalize=False)
    square = Image.open(io.BytesIO(picture(3))).resize((300, 300))
    buffer = io.BytesIO()
    square.save(buffer, "PNG")
    (pixels,), _ = bundle.classifier.prepare(buffer.getvalue())
    assert np.array_equal(transform(square).permute(1, 2, 0).numpy(), pixels)


def test_its_settings_and_its_card(folder, dense_model):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["architecture"], config["num_classes"]) == ("resnet18", 3)
    assert config["label_names"] == list(dense_model.class_names)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "library_name: timm" in card
    assert "accuracy, 95 % interval 0.914 to 0.970 of 272 pictures" in card


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blocks": [(3, "mean"), (7, "mean")]}, "its head reads 2 depths of the network"),
        ({"blocks": [(7, "mean"), (7, "std")]}, "its head reads 2 poolings"),
        ({"blocks": [(3, "mean")]}, "its head reads cut layer2.1, and timm's classifier reads the last"),
        ({"rooted": True}, "takes the square root of"),
    ],
)
def test_what_is_no_dense_layer_on_the_last_cut_is_refused(make_dense, tmp_path, changes, reason):
    bundle = make_dense(tmp_path / "run", **changes)
    with pytest.raises(BundleError, match=f"cannot be one of timm's: .*{reason}.*thawline tune PHOTOS"):
        write_export(ExportSource(bundle), "timm", place=tmp_path / "timm")
    assert not (tmp_path / "timm").exists()


@pytest.mark.parametrize(
    ("head", "reason"),
    [("neighbours", "training pictures"), ("dense", "a hidden layer"), ("together", "several heads")],
)
def test_other_heads_are_refused(make_model, tmp_path, head, reason):
    bundle = make_model(tmp_path / "model", head=head, poolings=("mean",))
    assert "2 depths" in why_no_timm(bundle)
    bundle.classifier.reader.blocks = bundle.classifier.reader.blocks[-1:]
    assert reason in why_no_timm(bundle)


def test_several_networks_and_our_own_are_refused(joined_model, make_dense, tmp_path):
    assert "it joins 3 networks" in why_no_timm(joined_model)
    bundle = make_dense(tmp_path / "run", name="simple_cnn")
    with pytest.raises(BundleError, match=r"which timm does not know\. Export --to onnx"):
        write_export(ExportSource(bundle), "timm", place=tmp_path / "timm")


def test_the_least_probability_of_an_answer_is_kept_and_what_tells_strange_pictures_is_not(make_dense, tmp_path):
    bundle = make_dense(tmp_path / "run")
    doubt = Doubt(read_from="answers", false_alarms=0.01, num_groups=18, error_rate=0.05, min_probability=0.7)
    facts = ExportSource(bundle).facts(whole=False).model_copy(update={"format": 3, "doubt": doubt})
    model = TimmModel(torch.nn.Identity(), facts)
    assert model.doubt is not None
    assert model.doubt.about(0.6, None) == "not sure"
    assert model.doubt.read_from is None
