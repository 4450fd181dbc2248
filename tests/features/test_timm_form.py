"""timm makes the very model again that a network and a dense layer are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from thawline.core.errors import BackboneError
from thawline.features.network import load_backbone
from thawline.features.timm_form import load_timm_folder, timm_form

NAMES = ("ant", 'bee, "wide"', "träne 🦜")


def layer(channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (channels, 3)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)


def form_of(network, pooling="mean", cut=-1):
    last = network.backbone.cuts[cut]
    weight, bias = layer(last.channels)
    spec = network.backbone.input
    return timm_form(network, (last.index, pooling), weight=weight, bias=bias, class_names=NAMES, spec=spec)


def written(form, place):
    place.mkdir()
    save_file(dict(form.tensors), place / "model.safetensors", metadata={"format": "pt"})
    (place / "config.json").write_text(json.dumps(form.config))
    return place


FAMILIES = [
    ("efficientnet_lite0", None, "mean"),
    ("resnet18", 64, "mean"),
    ("mobilenetv3_small_050", 64, "mean"),
    ("convnext_atto", 64, "mean"),
    ("vit_tiny_patch16_224", 64, "token"),
    ("vit_tiny_patch16_224", 64, "mean"),
]


@pytest.mark.parametrize(("name", "size_px", "pooling"), FAMILIES)
def test_timm_makes_the_very_same_model_again(tmp_path, name, size_px, pooling):
    network = load_backbone(name, pretrained=False, size_px=size_px)
    form = form_of(network, pooling)
    again = load_timm_folder(written(form, tmp_path / "timm"))
    side = network.backbone.input.size_px
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    here = timm.create_model(form.config["architecture"], num_classes=3, **form.config.get("model_args", {})).eval()
    here.load_state_dict(dict(form.tensors))
    last = network.backbone.cuts[-1]
    weight, bias = layer(last.channels)
    with torch.inference_mode():
        activation = network.prefix(pixels, last.index)
        flat = activation.flatten(2).mean(2) if activation.ndim == 4 else None
        if flat is None:
            flat = activation[:, 0] if pooling == "token" else activation[:, network.num_prefix_tokens :].mean(1)
        expected = flat @ torch.from_numpy(weight) + torch.from_numpy(bias)
        assert torch.equal(again(pixels), here(pixels))
        assert torch.allclose(again(pixels), expected, atol=1e-4)


def test_its_settings_say_how_pictures_are_prepared(tmp_path):
    network = load_backbone("efficientnet_lite0", pretrained=False)
    model = load_timm_folder(written(form_of(network), tmp_path / "timm"))
    data = timm.data.resolve_model_data_config(model)
    spec = network.backbone.input
    assert tuple(data["input_size"]) == (3, 224, 224)
    assert (data["crop_pct"], data["interpolation"], data["crop_mode"]) == (0.875, "bicubic", "center")
    assert (tuple(data["mean"]), tuple(data["std"])) == (spec.mean, spec.std)
    assert model.pretrained_cfg["label_names"] == list(NAMES)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("pooling", "cut"), [("std", -1), ("mean", 3)])
def test_what_no_classifier_reads_is_refused(pooling, cut):
    network = load_backbone("efficientnet_lite0", pretrained=False)
    with pytest.raises(BackboneError, match=f"reads what the head reads: the {pooling} of cut"):
        form_of(network, pooling, cut)


def test_our_own_networks_are_refused():
    with pytest.raises(BackboneError, match="which timm does not know"):
        form_of(load_backbone("simple_cnn", pretrained=False))


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(BackboneError, match=r"timm cannot make its model: .*Export it again\."):
        load_timm_folder(tmp_path)
