"""Names, files and weights; cut points by number; reading, freezing, errors."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from thawline.core import online as reachability
from thawline.core.errors import BackboneError
from thawline.core.runtime import Runtime
from thawline.features import hub
from thawline.features.network import frozen_for_inference, load_backbone
from thawline.features.trunk import chosen_blocks
from thawline.features.weights import read_tensors

PRIMATES = range(365, 385)


@pytest.fixture(scope="module")
def lite0():
    return load_backbone()


@pytest.fixture(scope="module")
def resnet18():
    return load_backbone("resnet18", pretrained=False)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No host answers and the hub's cache is empty."""

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(reachability.http.client.HTTPSConnection, "connect", refuse)
    monkeypatch.setattr(reachability, "getproxies", dict)
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)


def test_the_bundled_backbone_has_17_cuts(lite0):
    cuts = lite0.backbone.cuts
    assert len(cuts) == 17
    assert [cut.label for cut in cuts[-3:]] == ["5.3", "6.0", "head"]
    assert [cut.blocks_removed for cut in cuts[-3:]] == [2, 1, 0]
    assert [cut.channels for cut in cuts[-3:]] == [192, 320, 1280]
    assert [cut.stride for cut in cuts[:6]] == [2, 4, 4, 8, 8, 16]
    assert lite0.backbone.name == "efficientnet_lite0"
    assert lite0.backbone.input.mean == (0.498,) * 3
    assert lite0.backbone.input.std == (0.502,) * 3
    assert lite0.backbone.input.size_px == 224
    assert lite0.backbone.license == "apache-2.0"
    assert 380e6 < lite0.backbone.num_macs < 410e6  # the paper's 407 M, without classifier
    assert lite0.backbone.num_params == 4_652_008


def test_a_description_is_plain_json(lite0):
    assert json.loads(json.dumps(dataclasses.asdict(lite0.backbone)))["cuts"][16]["module"] == "conv_head"


def test_resnet34_loses_one_two_or_all_three_blocks_of_its_last_stage():
    backbone = load_backbone("resnet34", pretrained=False).backbone
    assert len(backbone.cuts) == 16
    assert [backbone.cut_removing(n).label for n in range(4)] == ["layer4.2", "layer4.1", "layer4.0", "layer3.5"]
    with pytest.raises(BackboneError, match=r"resnet34: no cut removes 16 blocks; its cuts remove 0, 1, 2"):
        backbone.cut_removing(16)


def test_a_vit_is_read_last_behind_its_norm():
    network = load_backbone("vit_tiny_patch16_224", pretrained=False)
    cuts = network.backbone.cuts
    assert [cut.label for cut in cuts[-2:]] == ["10", "head"]
    assert (len(cuts), cuts[-1].module, cuts[-1].stride, cuts[-1].channels) == (12, "norm", 16, 192)
    assert network.backbone.has_class_token
    assert network.num_prefix_tokens == 1


def test_deep_networks_keep_stage_ends_and_the_last_twenty_blocks():
    stages = [0] * 3 + [1] * 4 + [2] * 23 + [3] * 3
    assert chosen_blocks(stages) == (2, 6, *range(13, 33))
    assert chosen_blocks([0] * 24) == tuple(range(24))
    assert load_backbone("resnet101", pretrained=False, size_px=32).backbone.cuts[0].blocks_removed == 30


def test_a_loaded_network_is_frozen(lite0):
    for network in (lite0, frozen_for_inference(lite0, Runtime("cpu", "bfloat16", 8))):
        assert not any(parameter.requires_grad for parameter in network.model.parameters())
        assert not any(module.training for module in network.model.modules())


def test_inference_runs_without_batch_norms_in_the_format_asked_for(lite0):
    frozen = frozen_for_inference(lite0, Runtime("cpu", "bfloat16", 8))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in frozen.model.modules())
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    plain = frozen_for_inference(lite0, Runtime("cpu", "float32", 8))
    for cut in lite0.backbone.cuts:
        assert torch.allclose(plain.prefix(x, cut.index), lite0.prefix(x, cut.index), atol=1e-4, rtol=1e-4), cut
    assert {parameter.dtype for parameter in frozen.model.parameters()} == {torch.bfloat16}
    assert frozen.prefix(torch.randn(1, 3, 64, 64).bfloat16(), 16).dtype == torch.bfloat16


def test_one_pass_yields_the_cuts_in_order_and_stops_at_the_deepest(lite0):
    ran = []
    hooks = [
        module.register_forward_hook(lambda _, __, ___, name=name: ran.append(name))
        for name, module in lite0.suffix_modules(0)
    ]
    assert [cut for cut, _ in lite0.features(torch.randn(1, 3, 64, 64), [5, 2, 5])] == [2, 5]
    for hook in hooks:
        hook.remove()
    assert ran == [cut.module for cut in lite0.backbone.cuts[1:6]]
    with pytest.raises(BackboneError, match=r"there is no cut 17\. Choose from 0 to 16"):
        lite0.prefix(torch.randn(1, 3, 64, 64), 17)


def test_an_architecture_without_a_table_says_why_it_cannot_be_continued():
    network = load_backbone("edgenext_xx_small", pretrained=False, size_px=64)
    assert not network.backbone.has_suffix
    with pytest.raises(BackboneError, match=r"edgenext_xx_small: EdgeNeXt can be read at its stages but not continued"):
        network.suffix(torch.zeros(1, 168, 2, 2), 3)


def test_weights_are_known_by_their_tensors_not_by_their_container(resnet18, tmp_path):
    state = resnet18.model.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    wrapped = {f"module.{name}": value for name, value in reversed(state.items()) if "num_batches" not in name}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "c.tar")
    for path in sorted(tmp_path.iterdir()):
        network = load_backbone("resnet18", weights=path)
        assert network.backbone.weights_sha256 == resnet18.backbone.weights_sha256, path.name
        assert network.backbone.weights_origin == f"file {path.name}"
        assert network.backbone.license == "unknown"
    changed = {name: value.clone() for name, value in state.items()}
    changed["layer1.0.conv1.weight"][0, 0, 0, 0] += 1
    save_file(changed, tmp_path / "d.safetensors")
    other = load_backbone("resnet18", weights=tmp_path / "d.safetensors").backbone
    assert other.weights_sha256 != resnet18.backbone.weights_sha256


def test_random_weights_are_the_same_every_time(resnet18):
    before = torch.random.get_rng_state()
    assert load_backbone("resnet18", pretrained=False).backbone == resnet18.backbone
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_file_brings_its_own_number_of_classes(resnet18, tmp_path):
    state = {name: value for name, value in resnet18.model.state_dict().items() if not name.startswith("fc")}
    save_file(state, tmp_path / "none.safetensors")
    save_file({**state, "fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}, tmp_path / "seven.safetensors")
    x = torch.randn(1, 3, 64, 64)
    assert load_backbone("resnet18", weights=tmp_path / "seven.safetensors").forward(x).shape == (1, 7)
    assert load_backbone("resnet18", weights=tmp_path / "none.safetensors").forward(x).shape == (1, 512)


def test_the_bundled_backbone_reads_a_file_in_timms_names_too(lite0, tmp_path):
    save_file(lite0.model.state_dict(), tmp_path / "model.safetensors")
    again = load_backbone("efficientnet_lite0", weights=tmp_path / "model.safetensors")
    assert again.backbone.weights_sha256 == lite0.backbone.weights_sha256
    assert again.backbone.input == lite0.backbone.input
    assert load_backbone("tf_efficientnet_lite0").backbone == lite0.backbone


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


def test_a_vit_takes_another_size(tmp_path):
    big = load_backbone("vit_tiny_patch16_224", pretrained=False)
    small = load_backbone("vit_tiny_patch16_224", pretrained=False, size_px=96)
    assert small.backbone.input.size_px == 96
    assert small.prefix(torch.randn(1, 3, 96, 96), 3).shape == (1, 37, 192)
    save_file(big.model.state_dict(), tmp_path / "w.safetensors")
    resized = load_backbone("vit_tiny_patch16_224", weights=tmp_path / "w.safetensors", size_px=96)
    assert resized.model.pos_embed.shape == (1, 37, 192)
    with pytest.raises(BackboneError, match="an input of 16 px is too small"):
        load_backbone("resnet18", pretrained=False, size_px=16)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet35", r"backbone 'resnet35' is not known\. Did you mean .*resnet34"),
        ("efficientnet_lite", r"Did you mean .*efficientnet_lite0"),
        ("tf_efficientnet_b0_ns", r"is an old name\. timm calls it tf_efficientnet_b0\.ns_jft_in1k now"),
        ("qqqqqqqq", "is not known. Did you mean"),
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


class Harmful:
    def __reduce__(self):
        return (print, ("ran",))


def test_a_pickle_with_code_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Harmful()}, tmp_path / "bad.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Harmful()))
    for name in ("bad.pth", "plain.pkl"):
        with pytest.raises(BackboneError, match=rf"{name} hold Python objects.*Bring a safetensors file"):
            load_backbone("resnet18", weights=tmp_path / name)
    assert "ran" not in capsys.readouterr().out


def test_weights_that_do_not_fit_are_named(resnet18, tmp_path):
    state = dict(resnet18.model.state_dict())
    state["layer1.0.conv1.weight"] = torch.zeros(1)
    state["layer9.weight"] = state.pop("bn1.bias")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BackboneError) as caught:
        load_backbone("resnet18", weights=tmp_path / "w.safetensors")
    for part in (
        "do not fit resnet18: of its 122 tensors 1 missing (bn1.bias)",
        "1 not part of it (layer9.weight)",
        "1 of another shape (layer1.0.conv1.weight is (1,), required (64, 64, 3, 3)",
    ):
        assert part in str(caught.value)


def test_files_that_hold_no_weights_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "short.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    (tmp_path / "empty.pth").touch()
    for name in ("text.pth", "short.safetensors", "list.pth", "empty.pth", "absent.pth"):
        with pytest.raises(BackboneError, match=name):
            read_tensors(tmp_path / name)
    with pytest.raises(BackboneError, match="cannot be read"):
        read_tensors(tmp_path)


@pytest.mark.pictures
def test_the_bundled_weights_know_monkeys(lite0, shared_data):
    from PIL import Image
    from torchvision.transforms import v2

    spec = lite0.backbone.input
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(256, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(spec.size_px),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(spec.mean, spec.std),
        ]
    )
    paths = [sorted(folder.glob("*.jpg"))[0] for folder in sorted((shared_data / "monkeys" / "validation").iterdir())]
    x = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths])
    top = lite0.forward(x).topk(5).indices
    primates = sum(int(label) in PRIMATES for label in top[:, 0])
    assert primates >= len(paths) - 1
    assert sum(int(label) in PRIMATES for label in top.flatten()) > 0.75 * top.numel()
