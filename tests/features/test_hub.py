"""A name becomes a source: from the cache, a folder or the hub; a wrong one is answered with those that are right."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import save_file

from thawline.core import online as reachability
from thawline.core.errors import BackboneError
from thawline.features import hub
from thawline.features.hub import BUNDLED, obtainable, resolve
from thawline.features.network import load_backbone
from thawline.features.packaged import PACKAGED


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No host answers and the hub's cache is empty."""

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(reachability.http.client.HTTPSConnection, "connect", refuse)
    monkeypatch.setattr(reachability, "getproxies", dict)
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)


@pytest.mark.usefixtures("offline")
def test_a_name_says_where_its_weights_come_from():
    bundled = resolve("tf_efficientnet_lite0", needs_weights=True)
    assert (bundled.name, bundled.packaged, bundled.is_scratch) == (BUNDLED, PACKAGED[BUNDLED], False)
    scratch = resolve("deep_cnn", needs_weights=False)
    assert (scratch.architecture, scratch.origin, scratch.is_scratch) == ("deep_cnn", "random", True)
    timms = resolve("resnet34.a1_in1k", needs_weights=True)  # fetches nothing yet
    assert (timms.architecture, timms.origin) == ("resnet34", "hub timm/resnet34.a1_in1k")
    assert timms.config["input_size"] == (3, 224, 224)


def test_a_folder_with_timms_config_is_a_backbone(resnet18, tmp_path):
    folder = tmp_path / "my net"
    folder.mkdir()
    settings = {"input_size": [3, 96, 96], "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear"}
    settings |= {"num_classes": 1000, "classifier": "fc", "first_conv": "conv1", "license": "cc0-1.0"}
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": settings}))
    save_file(resnet18.model.state_dict(), folder / "model.safetensors")
    backbone = load_backbone(f"local-dir:{folder}").backbone
    assert backbone.weights_sha256 == resnet18.backbone.weights_sha256
    assert (backbone.input.size_px, backbone.input.std[0], backbone.input.interpolation) == (96, 0.25, "bilinear")
    assert (backbone.architecture, backbone.license) == ("resnet18", "cc0-1.0")
    with pytest.raises(BackboneError, match=r"config\.json cannot be read: No such file .* must hold timm's config"):
        load_backbone(f"local-dir:{tmp_path / 'elsewhere'}")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="No suitable checkpoints found"):
        load_backbone(f"local-dir:{folder}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet35", r"backbone 'resnet35' is not known\. Did you mean .*resnet34"),
        ("efficientnet_lite", r"Did you mean .*efficientnet_lite0"),
        ("tf_efficientnet_b0_ns", r"is an old name\. timm calls it tf_efficientnet_b0\.ns_jft_in1k now"),
        ("qqqqqqqq", "is not known. efficientnet_lite0 is bundled; timm.list_models"),
        ("resnet34.a1_in2k", r"resnet34 has no weights tagged 'a1_in2k'\. Choose from .*resnet34\.a1_in1k"),
        ("timm/resnet34", r"For a repository write hf-hub:timm/resnet34, for a folder local-dir:timm/resnet34"),
        ("resnet200", "has no published weights. Bring your own with --weights FILE"),
    ],
)
def test_a_name_that_is_not_right_is_answered_with_those_that_are(name, message):
    with pytest.raises(BackboneError, match=message):
        load_backbone(name)


@pytest.mark.usefixtures("offline")
def test_without_network_the_error_names_the_file_to_bring():
    with pytest.raises(BackboneError) as caught:
        load_backbone("resnet34")
    for part in ("'resnet34'", "model.safetensors", "timm/resnet34.a1_in1k", "--weights model.saf", "local-dir:"):
        assert part in str(caught.value)
    with pytest.raises(BackboneError, match=r"put config\.json and model\.safetensors from owner/name into one folder"):
        load_backbone("hf-hub:owner/name")
    assert load_backbone().backbone.name == "efficientnet_lite0"


def test_a_download_that_fails_says_so(monkeypatch):
    def fail(*_, **__):
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(hub, "is_reachable", lambda _: True)
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(hub.huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(
        BackboneError, match=r"could not be fetched from timm/resnet34\.a1_in1k .*: connection reset by peer"
    ):
        load_backbone("resnet34")


@pytest.mark.usefixtures("offline")
def test_what_the_hubs_cache_holds_needs_no_network(resnet18, tmp_path, monkeypatch):
    save_file(resnet18.model.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *args, **__: str(tmp_path / args[1]))
    backbone = load_backbone("resnet18").backbone
    assert backbone.weights_sha256 == resnet18.backbone.weights_sha256
    assert backbone.weights_origin == "hub timm/resnet18.a1_in1k"


NAMES = ("resnet18.a1_in1k", "resnet34.a1_in1k", "of_another_timm")


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_cache_says_what_can_be_had(monkeypatch):
    assert obtainable(NAMES) == ()
    kept = {"timm/resnet34.a1_in1k": "/cache/model.safetensors"}
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda repository, _: kept.get(repository))
    assert obtainable(NAMES) == ("resnet34.a1_in1k",)


@pytest.mark.usefixtures("offline")
def test_where_the_hub_answers_all_can_be_had_and_it_is_asked_once(monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "is_reachable", lambda address: asked.append(address) or True)
    assert obtainable(NAMES) == NAMES[:2]
    assert len(asked) == 1
    monkeypatch.setattr(hub.huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert obtainable(NAMES) == ()
