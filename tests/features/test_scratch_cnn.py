"""The networks from nothing: shapes, sizes, seeds, files, and that they learn."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from thawline.core.errors import BackboneError
from thawline.core.runtime import Runtime
from thawline.features import hub
from thawline.features.network import load_backbone
from thawline.features.reader import FeatureReader
from thawline.features.scratch import SCRATCH
from thawline.features.scratch_cnn import create_scratch

NAMES = tuple(SCRATCH)


def picture(network, count=2):
    size = network.backbone.input.size_px
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def offline(monkeypatch):
    """Whoever asks for the network fails."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(hub, "is_reachable", refuse)
    monkeypatch.setattr(hub.huggingface_hub, "hf_hub_download", refuse)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_cut_holds_the_features_of_the_classifier(name):
    network = load_backbone(name)
    x = picture(network)
    activation = network.prefix(x, len(network.backbone.cuts) - 1)
    features = activation.mean((2, 3))
    assert torch.allclose(network.model.classifier(features), network.forward(x), atol=1e-5)
    assert network.forward(x).shape == (2, 10)
    assert network.backbone.has_suffix
    assert network.backbone.architecture == name


def test_the_tutorial_network_has_its_own_sizes_and_a_last_map_of_one_position():
    """32 → 28 → 14 → 10 → 5 → 1; 62,006 numbers, as many as in PyTorch's tutorial."""
    network = load_backbone("tutorial_cnn")
    shapes = [tuple(h.shape[1:]) for _, h in network.features(picture(network), range(4))]
    assert shapes == [(6, 14, 14), (16, 5, 5), (120, 1, 1), (84, 1, 1)]
    assert network.backbone.num_params == 62_006


def test_the_tutorial_network_refuses_another_size():
    with pytest.raises(BackboneError) as caught:
        load_backbone("tutorial_cnn", size_px=64)
    assert str(caught.value) == (
        "tutorial_cnn cannot take pictures of 64 px: its dense layers are made for 32 px. "
        "Leave --size out, or choose simple_cnn, deep_cnn."
    )
    assert load_backbone("tutorial_cnn", size_px=32).backbone.input.size_px == 32


@pytest.mark.parametrize(("name", "size_px"), [("simple_cnn", 32), ("simple_cnn", 97), ("deep_cnn", 48)])
def test_the_others_take_any_size_from_32(name, size_px):
    network = load_backbone(name, size_px=size_px)
    assert network.forward(picture(network)).shape == (2, 10)
    with pytest.raises(BackboneError, match="at least 32 px are required"):
        load_backbone(name, size_px=31)


def test_their_cost_is_what_the_documents_promise():
    def num_macs(name, size_px):
        return load_backbone(name, size_px=size_px).backbone.num_macs

    assert 10e6 < num_macs("simple_cnn", 96) < 40e6
    assert 70e6 < num_macs("deep_cnn", 32) < 150e6


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_all_they_need(name):
    state = torch.random.get_rng_state()
    backbone = load_backbone(name).backbone
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (backbone.weights_origin, backbone.license) == ("random, seed 0", "none")
    assert load_backbone(name, pretrained=False).backbone == backbone
    other = load_backbone(name, seed=1).backbone
    assert other.weights_origin == "random, seed 1"
    assert other.weights_sha256 != backbone.weights_sha256
    assert load_backbone(name, seed=1).backbone == other
    spec = backbone.input
    assert (spec.mean, spec.std, spec.interpolation) == ((0.5,) * 3, (0.5,) * 3, "bicubic")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_file_rebuilds_the_network_with_its_own_number_of_classes(name, num_classes, tmp_path):
    torch.manual_seed(3)
    model = create_scratch(name, num_classes=num_classes).eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    size_px = None if name == "tutorial_cnn" else 40
    network = load_backbone(name, weights=tmp_path / "w.safetensors", size_px=size_px)
    again = load_backbone(name, weights=tmp_path / "w.safetensors", size_px=size_px, seed=9)
    assert again.backbone == network.backbone
    assert network.backbone.weights_origin == "file w.safetensors"
    x = picture(network)
    assert torch.equal(network.forward(x), model(x))
    assert network.forward(x).shape[1] == (num_classes or network.backbone.cuts[-1].channels)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_the_digest_is_the_same(name, tmp_path):
    network = load_backbone(name, seed=2)
    save_file(network.model.state_dict(), tmp_path / "w.safetensors")
    again = load_backbone(name, weights=tmp_path / "w.safetensors")
    assert again.backbone.weights_sha256 == network.backbone.weights_sha256
    with pytest.raises(BackboneError, match=f"w.safetensors do not fit {next(n for n in NAMES if n != name)}"):
        load_backbone(next(n for n in NAMES if n != name), weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_they_are_read_as_any_backbone_is(name, dtype):
    network = load_backbone(name)
    blocks = [(cut.index, pooling) for cut in network.backbone.cuts for pooling in ("mean", "std", "max", "grid")]
    reader = FeatureReader(network, Runtime("cpu", dtype, 8), blocks, "float32")
    size = network.backbone.input.size_px
    rows = reader.read(torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8).numpy())
    assert rows.shape == (3, 7 * sum(cut.channels for cut in network.backbone.cuts))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in reader.network.model.modules())


@pytest.mark.parametrize("name", NAMES)
def test_signals_keep_their_strength_through_he_weights(name):
    """Not so with torch's own defaults, which shrink them block by block: He et al. 2015, section 2.2."""
    model = load_backbone(name).model
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    assert 0.3 < float(model(x).std()) < 4


@pytest.mark.parametrize("name", NAMES)
def test_they_learn_eight_pictures_by_heart(name):
    torch.manual_seed(0)
    network = load_backbone(name, size_px=32)
    model, x, labels = network.model.requires_grad_(True).train(), picture(network, 8), torch.arange(8) % 4
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_a_misspelt_name_is_answered_with_the_right_one():
    with pytest.raises(BackboneError, match=r"'simple-cnn' is not known\. Did you mean simple_cnn"):
        load_backbone("simple-cnn")


@pytest.mark.usefixtures("offline")
def test_random_weights_of_any_architecture_need_no_network():
    one, two = (load_backbone("resnet18", pretrained=False, seed=seed, size_px=32).backbone for seed in (0, 1))
    assert two.weights_origin == "random, seed 1"
    assert one.weights_sha256 != two.weights_sha256
    assert hub.resolve("resnet34.a1_in1k", needs_weights=False).architecture == "resnet34"
