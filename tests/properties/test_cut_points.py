"""suffix(prefix(x)) = forward(x) at every cut of every named backbone, and what follows from it."""

from __future__ import annotations

from math import isqrt

import pytest
import torch

from thawline.core.runtime import Runtime
from thawline.features.folding import fold_batch_norms
from thawline.features.network import Network, frozen_for_inference, load_backbone

SCRATCH = ["tutorial_cnn", "simple_cnn", "deep_cnn"]
FAST = ["efficientnet_lite0", "resnet18", "resnet34", "vit_tiny_patch16_224", *SCRATCH]
SLOW = [
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "convnext_tiny",
    "vit_small_patch16_224",
    "vit_small_patch14_dinov2",
    "deit3_small_patch16_224",
]
NAMED = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
WITHOUT_TRUNK = ["dla34", pytest.param("cait_xxs24_224", marks=pytest.mark.slow)]
WITH_BATCH_NORM = [
    "efficientnet_lite0",
    "resnet34",
    "simple_cnn",
    "deep_cnn",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ["resnet50", "efficientnet_b0", "mobilenetv3_small_100"]),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ["mobilenetv4_conv_small", "levit_128s"]),
]


def small_size(name):
    """Return a side that keeps the test quick, that patches of the network divide, and that the network takes."""
    return 56 if "patch14" in name else 32 if name == "tutorial_cnn" else 64


def random_network(name):
    """Return the network with random weights, its norms' statistics too, so that no step is an identity."""
    network = load_backbone(name, pretrained=False, size_px=small_size(name))
    generator = torch.Generator().manual_seed(1)
    for module in network.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.normal_(0, 0.1, generator=generator)
    return network


def picture(network):
    size = network.backbone.input.size_px
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMED)
def test_every_cut_of_every_named_backbone_can_be_continued(name):
    network = random_network(name)
    x = picture(network)
    whole = network.forward(x)
    assert whole.std() > 0
    cuts = network.backbone.cuts
    read = dict(network.features(x, range(len(cuts))))
    assert list(read) == [cut.index for cut in cuts] == list(range(len(cuts)))
    for cut in cuts:
        h = network.prefix(x, cut.index)
        assert torch.equal(h, read[cut.index]), cut
        assert torch.equal(network.suffix(h, cut.index), whole), cut
        assert cut.channels == h.shape[1 if h.ndim == 4 else 2]
        positions = h.shape[2] ** 2 if h.ndim == 4 else h.shape[1] - network.num_prefix_tokens
        assert cut.stride == network.backbone.input.size_px // isqrt(positions)
    costs = [cut.cost_fraction for cut in cuts]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert costs[-1] == 1
    removed = [cut.blocks_removed for cut in cuts]
    assert removed == sorted(removed, reverse=True)
    assert removed[-1] == 0
    assert len({cut.label for cut in cuts}) == len(cuts)
    assert len(cuts) - len(set(removed)) == (cuts[-1].label == "pool" and removed[-2] == 0)


@pytest.mark.parametrize("name", NAMED)
def test_steps_share_out_the_tensors_of_the_model(name):
    """Every parameter and buffer belongs to exactly one step, so freezing a prefix freezes just that."""
    network = load_backbone(name, pretrained=False, size_px=small_size(name))
    steps = [*network.prefix_modules(0), *network.suffix_modules(0)]
    held = [id(t) for _, module in steps for t in (*module.parameters(), *module.buffers())]
    assert sorted(held) == sorted(id(t) for t in (*network.model.parameters(), *network.model.buffers()))
    assert not any(module.training for _, step in steps for module in step.modules())


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_folding_changes_rounding_only(name):
    """In float64, where rounding is far below what a wrong pair of convolution and norm would change."""
    network = random_network(name)
    network.model.double()
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    size = network.backbone.input.size_px
    folded = Network(network.backbone, fold_batch_norms(network.model, size))
    assert not any(type(module) is torch.nn.BatchNorm2d for module in folded.model.modules())
    x = picture(network).double()
    cuts = range(len(network.backbone.cuts))
    for (cut, expected), (_, found) in zip(network.features(x, cuts), folded.features(x, cuts), strict=True):
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max())), cut
    assert all(torch.equal(value, before[key]) for key, value in network.model.state_dict().items())


def test_a_network_read_between_convolution_and_norm_is_not_folded():
    """GhostNet hands out its stem before the norm; folding would change what is read there."""
    network = load_backbone("ghostnet_050", pretrained=False, size_px=64)
    folded = frozen_for_inference(network, Runtime("cpu", "float32", 8))
    x = picture(network)
    assert torch.allclose(folded.prefix(x, 0), network.prefix(x, 0), atol=1e-6)


@pytest.mark.parametrize("name", WITHOUT_TRUNK)
def test_an_architecture_without_a_trunk_is_read_at_its_stages_and_as_its_classifier_reads_it(name):
    network = load_backbone(name, pretrained=False, size_px=64)
    x, model = picture(network), network.model
    cuts = network.backbone.cuts
    assert [cut.blocks_removed for cut in cuts] == [*reversed(range(len(model.feature_info))), 0]
    own = model.forward_head(model.forward_features(x), pre_logits=True)
    assert torch.equal(network.prefix(x, cuts[-1].index)[:, :, 0, 0], own)
    assert cuts[-1].cost_fraction == 1
    read = dict(network.features(x, [1, 3]))
    assert list(read) == [1, 3]
    for cut, h in read.items():
        assert h.shape[1] == cuts[cut].channels
        assert torch.equal(h, network.prefix(x, cut))
