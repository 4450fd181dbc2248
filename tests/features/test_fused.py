"""Convolutions that run in one call with padding and activation give what the plain ones give."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from thawline.features.folding import fold_and_fuse, fold_batch_norms
from thawline.features.fused import can_fuse, fuse_convolutions, fuse_linear
from thawline.features.network import Network, load_backbone

pytestmark = pytest.mark.skipif(not can_fuse("cpu", torch.float32), reason="this torch has no oneDNN")


def frozen(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def kinds(model: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in model]


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_padding_to_the_same_size_is_that_of_timm(kernel, stride, dilation):
    layer = Conv2dSame(6, 6, kernel, stride=stride, dilation=dilation, groups=6)
    plain = frozen(layer)
    fused = copy.deepcopy(plain)
    fuse_convolutions(fused, [])
    assert kinds(fused) == ["_Fused"]
    for height, width in ((8, 8), (9, 9), (10, 10), (8, 9), (7, 4)):
        x = torch.randn(2, 6, height, width)
        assert torch.allclose(fused(x), plain(x), atol=1e-5), (height, width)


@pytest.mark.parametrize("padding", [0, 1, "same", "valid"])
@pytest.mark.parametrize("bias", [True, False])
def test_plain_convolutions_keep_their_padding_and_their_bias(padding, bias):
    plain = frozen(nn.Conv2d(3, 8, 3, padding=padding, bias=bias))
    fused = copy.deepcopy(plain)
    fuse_convolutions(fused, [])
    assert kinds(fused) == (["Conv2d"] if isinstance(padding, str) else ["_Fused"])  # torch pads by name itself
    x = torch.randn(2, 3, 9, 9)
    assert torch.allclose(fused(x), plain(x), atol=1e-5)
    assert set(fused.state_dict()) == set(plain.state_dict())


@pytest.mark.parametrize(
    ("activation", "moves"),
    [(nn.ReLU, True), (nn.ReLU6, True), (nn.SiLU, True), (nn.GELU, False), (nn.Identity, False)],
)
def test_an_activation_moves_into_the_convolution_where_it_is_known(activation, moves):
    plain = frozen(nn.Conv2d(3, 8, 3), BatchNormAct2d(8, act_layer=activation))
    fused = fused_by_pairs(plain)
    assert kinds(fused) == ["_Fused", "Identity" if moves else "Sequential"]
    x = 9 * torch.randn(2, 3, 9, 9)
    assert torch.allclose(fused(x), plain(x), atol=1e-4)
    assert kinds(plain) == ["Conv2d", "BatchNormAct2d"]


def fused_by_pairs(plain: nn.Sequential) -> nn.Sequential:
    """Return the two layers, folded and fused, as `fold_and_fuse` does with a whole network."""
    folded = copy.deepcopy(plain)
    convolution, norm = folded
    folded[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(convolution, norm)
    folded[1] = nn.Sequential(norm.drop, norm.act).eval()
    fuse_convolutions(folded, [("0", "1")])
    return folded


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 6), (2, 7, 6), (2, 3, 4, 6), (0, 6)])
def test_linear_layers_are_multiplied_by_onednn_and_keep_their_bias(shape, bias):
    plain = frozen(nn.Linear(6, 9, bias=bias), nn.GELU())
    fused = copy.deepcopy(plain)
    fuse_linear(fused)
    assert kinds(fused) == ["_Linear", "GELU"]
    x = torch.randn(shape)
    assert torch.allclose(fused(x), plain(x), atol=1e-5)
    assert set(fused.state_dict()) == set(plain.state_dict())
    assert (fused[0].in_features, fused[0].out_features) == (6, 9)


def test_in_other_formats_a_linear_layer_is_torchs_own():
    plain = frozen(nn.Linear(6, 9)).bfloat16()
    fused = copy.deepcopy(plain)
    fuse_linear(fused)
    x = torch.randn(4, 6).bfloat16()
    assert torch.equal(fused(x), plain(x))


def test_a_linear_layer_that_computes_otherwise_stays():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    model = frozen(Doubled(6, 9))
    fuse_linear(model)
    assert kinds(model) == ["Doubled"]


def test_a_transformer_that_is_read_in_float32_multiplies_by_onednn():
    network = load_backbone("vit_tiny_patch16_224", size_px=32, pretrained=False)
    fused = fold_and_fuse(network.model, 32)
    assert {type(layer).__name__ for layer in fused.modules() if isinstance(layer, nn.Linear)} == {"_Linear"}
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        for cut in (0, 5, len(network.backbone.cuts) - 1):
            mine, plain = Network(network.backbone, fused).prefix(x, cut), network.prefix(x, cut)
            assert torch.allclose(mine, plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))


def test_what_pads_otherwise_or_computes_its_weights_stays():
    class Halved(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) / 2

    plain = frozen(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), Halved(3, 3, 1))
    fused = copy.deepcopy(plain)
    fuse_convolutions(fused, [])
    assert kinds(fused) == ["Conv2d", "Halved"]


@pytest.mark.parametrize(
    ("name", "size_px"),
    [("efficientnet_lite0", 64), ("efficientnet_lite0", 75), ("mobilenetv2_100", 64), ("resnet10t", 64),
     ("test_convnext", 64), ("starnet_s1", 64), ("simple_cnn", None)],
)  # fmt: skip
def test_a_fused_network_gives_the_same_features_at_every_cut(name, size_px):
    network = load_backbone(name, pretrained=False, size_px=size_px)
    side, before = network.backbone.input.size_px, copy.deepcopy(network.model.state_dict())
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    fused = Network(network.backbone, fold_and_fuse(network.model, side))
    assert any(type(layer).__name__ == "_Fused" for layer in fused.model.modules())
    cuts = range(len(network.backbone.cuts))
    for (cut, a), (_, b) in zip(network.features(x, cuts), fused.features(x, cuts), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max())), cut
    assert all(torch.equal(before[key], value) for key, value in network.model.state_dict().items())


def test_a_network_that_reads_its_convolutions_itself_is_only_folded(monkeypatch):
    from thawline.features import folding

    monkeypatch.setattr(folding, "_agree", lambda *_: False)  # as where a path of its own goes round a convolution
    model = load_backbone("starnet_s1", pretrained=False, size_px=64).model
    assert not any(type(layer).__name__ == "_Fused" for layer in fold_and_fuse(model, 64).modules())


def test_weights_that_are_no_numbers_are_seen_in_the_features():
    network = load_backbone(pretrained=False, size_px=64)
    network.model.conv_stem.weight[0, 0, 0, 0] = float("nan")
    model = fold_and_fuse(network.model, 64)
    assert not any(type(layer).__name__ == "_Fused" for layer in model.modules())
    assert model(torch.ones(1, 3, 64, 64)).isnan().any()


def test_only_a_processor_fuses_and_only_what_onednn_multiplies():
    assert not can_fuse("cuda", torch.float32)
    assert not can_fuse("mps", torch.float32)
    assert not can_fuse("cpu", torch.float16)
    if can_fuse("cpu", torch.bfloat16):
        model = load_backbone(pretrained=False, size_px=64).model
        fused, folded = (made(model, 64).to(torch.bfloat16) for made in (fold_and_fuse, fold_batch_norms))
        x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
        assert torch.allclose(fused(x), folded(x), rtol=0.1, atol=0.1 * float(folded(x).abs().max()))
