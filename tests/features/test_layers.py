"""Layers in forward order, what moves with them, and their learning rates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from thawline.core.errors import BackboneError
from thawline.features.cuts import cut_points
from thawline.features.layers import layer_scales, trained_parameters, weight_layers
from thawline.features.network import Network, load_backbone
from thawline.features.scratch import SCRATCH
from thawline.features.scratch_cnn import ScratchCNN

SMALL = {"vit_tiny_patch16_224": 64, "resnet18": 64, "convnext_atto": 64, "efficientnet_lite0": 64}
MANY = (*SMALL, *SCRATCH, "edgenext_xx_small", "mobilenetv3_small_050", "levit_128s")


@pytest.fixture(scope="module")
def network():
    """Random networks by name, each made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = load_backbone(name, pretrained=False, size_px=SMALL.get(name))
        return made[name]

    return get


def position(names, name):
    return list(names).index(name)


def custom(*blocks):
    """Return a network of these blocks; the last one has four channels."""
    model = ScratchCNN(blocks, 4, 10).eval().requires_grad_(False)
    cuts, num_macs = cut_points(model, 64)
    return Network(replace(load_backbone("simple_cnn").backbone, cuts=cuts, num_macs=num_macs), model)


class Backwards(nn.Module):
    """Runs its layers in the opposite order of their registration, the first of them twice."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4, 1, 1))
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 4, 3)
        self.first = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.norm(self.last(self.first(self.first(x)))) * self.gain


class Curious(nn.Module):
    """Looks at the numbers, which a shadow does not have."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.one(x) if float(x.sum()) > 1e9 else self.other(x))


def test_the_bundled_backbone_runs_from_its_stem_to_its_last_convolution(network):
    layers = weight_layers(network("efficientnet_lite0"))
    assert len(layers) == 49
    assert (layers[0], layers[-1]) == ("conv_stem", "conv_head")
    assert layers[1:5] == ("blocks.0.0.conv_dw", "blocks.0.0.conv_pw", "blocks.1.0.conv_pw", "blocks.1.0.conv_dw")


def test_a_residual_shortcut_has_the_place_at_which_it_runs(network):
    layers = weight_layers(network("resnet18"))
    assert len(layers) == 20
    assert layers[0] == "conv1"
    block = [layer for layer in layers if layer.startswith("layer2.0")]
    assert block == ["layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"]
    assert layers[-1] == "layer4.1.conv2"


def test_a_vit_has_four_layers_a_block(network):
    layers = weight_layers(network("vit_tiny_patch16_224"))
    assert len(layers) == 1 + 12 * 4
    assert layers[:5] == (
        "patch_embed.proj",
        *(f"blocks.0.{layer}" for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")),
    )


def test_order_is_that_of_running_not_of_registration():
    network = custom(nn.Conv2d(3, 4, 3), Backwards())
    assert weight_layers(network) == ("blocks.0", "blocks.1.first", "blocks.1.last")
    assert trained_parameters(network, ["blocks.1.last"]) == (
        "blocks.1.last.weight",
        "blocks.1.last.bias",
        "blocks.1.norm.weight",
        "blocks.1.norm.bias",
        "blocks.1.gain",
    )


def test_a_network_that_looks_at_numbers_runs_itself_and_is_left_as_it_was():
    network = custom(nn.Conv2d(3, 4, 3), Curious())
    network.model.train()
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    assert weight_layers(network) == ("blocks.0", "blocks.1.other")
    assert network.model.training
    assert all(torch.equal(value, before[name]) for name, value in network.model.state_dict().items())


@pytest.mark.parametrize("name", MANY)
def test_every_architecture_has_an_order(name, network):
    """Two dimensions or more, each layer once, and among them no classifier."""
    net = network(name)
    layers = weight_layers(net)
    assert len(set(layers)) == len(layers) > 3
    assert all(net.model.get_parameter(f"{layer}.weight").ndim >= 2 for layer in layers)
    classifier = getattr(net.model, "pretrained_cfg", {}).get("classifier", "classifier")
    heads = (classifier,) if isinstance(classifier, str) else classifier
    assert not set(heads) & set(layers)


@pytest.mark.parametrize("name", MANY)
def test_all_layers_move_exactly_what_makes_the_last_activation(name):
    """Measured by gradients: a parameter moves if and only if the activation depends on it."""
    net = load_backbone(name, pretrained=False, size_px=SMALL.get(name))  # its own: some keep what they computed
    names = trained_parameters(net, weight_layers(net))
    parameters = dict(net.model.requires_grad_(True).named_parameters())
    size = net.backbone.input.size_px
    activation = net.prefix(torch.zeros(1, 3, size, size), len(net.backbone.cuts) - 1)
    gradients = torch.autograd.grad(activation.sum(), list(parameters.values()), allow_unused=True)
    used = {name for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    assert set(names) == used
    assert len(names) == len(used)


@pytest.mark.parametrize("name", MANY)
def test_more_layers_never_move_less(name, network):
    net = network(name)
    layers = weight_layers(net)
    everything = trained_parameters(net, layers)
    smaller = set()
    for first in (len(layers) - 1, len(layers) * 4 // 5, len(layers) // 2, 1, 0):
        moving = trained_parameters(net, layers[first:])
        assert smaller <= set(moving) <= set(everything) - {f"{layer}.weight" for layer in layers[:first]}
        assert {f"{layer}.weight" for layer in layers[first:]} <= set(moving)
        assert list(moving) == [name for name in everything if name in set(moving)]
        smaller = set(moving)


@pytest.mark.parametrize("name", [*SMALL, *SCRATCH, "mobilenetv3_small_050", "deit3_small_patch16_224"])
def test_the_layers_above_a_cut_move_what_lies_above_it_and_nothing_else(name, network):
    net = network(name)
    path = {id(parameter): name for name, parameter in net.model.named_parameters()}
    every_layer, cuts = weight_layers(net), range(len(net.backbone.cuts))
    whole = [path[id(p)] for _, step in net.prefix_modules(cuts[-1]) for p in step.parameters()]
    for cut in cuts:
        below = {path[id(p)] for _, step in net.prefix_modules(cut) for p in step.parameters()}
        layers = [layer for layer in every_layer if f"{layer}.weight" not in below]
        if layers:
            assert set(trained_parameters(net, layers)) == set(whole) - below, cut


def test_norms_move_with_the_convolution_before_them(network):
    net = network("resnet18")
    moving = trained_parameters(net, ["layer4.1.conv2"])
    assert moving == ("layer4.1.conv2.weight", "layer4.1.bn2.weight", "layer4.1.bn2.bias")
    layers = weight_layers(network("efficientnet_lite0"))
    moving = trained_parameters(network("efficientnet_lite0"), layers[-1:])
    assert moving == ("conv_head.weight", "bn2.weight", "bn2.bias")


def test_tokens_and_positions_of_a_vit_move_with_its_patches_only(network):
    net = network("vit_tiny_patch16_224")
    layers = weight_layers(net)
    own = {"cls_token", "pos_embed"}
    assert own <= set(trained_parameters(net, layers))
    rest = trained_parameters(net, layers[1:])
    assert not own & set(rest)
    assert rest[:3] == ("blocks.0.norm1.weight", "blocks.0.norm1.bias", "blocks.0.attn.qkv.weight")
    assert rest[-2:] == ("norm.weight", "norm.bias")


def test_a_layer_scale_moves_with_the_layers_before_it(network):
    net = network("convnext_atto")
    last = [layer for layer in weight_layers(net) if layer.startswith("stages.3.blocks.1.")]
    moving = trained_parameters(net, last)
    assert "stages.3.blocks.1.gamma" in moving
    assert "stages.3.blocks.0.gamma" not in moving
    assert [name for name in moving if name.startswith("head.")] == ["head.norm.weight", "head.norm.bias"]


def test_layers_between_frozen_ones_move_alone(network):
    net = network("resnet18")
    moving = trained_parameters(net, ["layer4.0.conv2", "layer3.0.conv1"])
    assert {name for name in moving if "conv" in name} == {"layer3.0.conv1.weight", "layer4.0.conv2.weight"}
    assert trained_parameters(net, []) == ()


def test_a_norm_that_comes_before_everything_moves_with_everything():
    network = custom(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    everything = trained_parameters(network, weight_layers(network))
    assert everything[0] == "blocks.0.weight"
    assert trained_parameters(network, ["blocks.2"]) == everything[4:]


def test_a_layer_that_there_is_not_is_refused(network):
    with pytest.raises(BackboneError) as caught:
        trained_parameters(network("resnet18"), ["fc", "layer4.1.conv2"])
    assert str(caught.value) == (
        "resnet18: fc cannot be thawed; its weight-bearing layers are conv1, layer1.0.conv1, layer1.0.conv2, and 17 "
        "more. Choose from those that `weight_layers` gives."
    )


@pytest.mark.parametrize("name", [*MANY, "pit_ti_224"])
def test_learning_rates_grow_with_depth_up_to_one(name, network):
    net = network(name)
    names = trained_parameters(net, weight_layers(net))
    assert set(layer_scales(net.model, names, decay=1).values()) == {1}
    scales = layer_scales(net.model, names, decay=0.5)
    assert tuple(scales) == names
    assert max(scales.values()) == 1
    assert min(scales.values()) < 0.51
    layers = weight_layers(net)
    assert scales[f"{layers[0]}.weight"] == min(scales.values())
    assert scales[f"{layers[-1]}.weight"] > scales[f"{layers[0]}.weight"]


def test_a_step_between_groups_is_the_decay(network):
    scales = layer_scales(
        network("vit_tiny_patch16_224").model, ["blocks.10.norm1.bias", "blocks.11.norm1.bias"], decay=0.75
    )
    assert scales == {"blocks.10.norm1.bias": 0.75, "blocks.11.norm1.bias": 1}
    scales = layer_scales(network("deep_cnn").model, ["blocks.0.0.weight", "blocks.3.0.weight"], decay=0.5)
    assert scales == {"blocks.0.0.weight": 0.125, "blocks.3.0.weight": 1}


def test_an_architecture_without_groups_is_grouped_by_number():
    model = timm.create_model("pit_ti_224")
    assert not hasattr(model, "group_matcher")
    names = [name for name, _ in model.named_parameters() if not name.startswith("head")]
    scales = layer_scales(model, names, decay=0.5)
    assert scales[names[0]] == scales[names[11]] == scales[names[12]] / 2
