"""Batch norms fold into convolutions and come apart again; what was not trained keeps every bit."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from thawline.features.folding import fold_batch_norms, unfold_batch_norms

SIZE_PX = 64
LEFT = {"resnet10t": 0, "efficientnet_lite0": 0, "test_convnext": 0, "resnetv2_18": 9, "starnet_s1": 1}


def norms(model):
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def model():
    """Models by name, with norms that have seen something: statistics, scales and shifts are not those of birth."""
    made = {}

    def get(name):
        if name not in made:
            torch.manual_seed(0)
            made[name] = worn(timm.create_model(name))
        return made[name]

    return get


def worn(model):
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
    return model.eval().requires_grad_(False)


def picture():
    return torch.randn(2, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(0))


def same(one, other):
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def changed_at_random(model, names):
    """Change some parameters of a model by a few per cent and return them."""
    found = {}
    for name in names:
        parameter = model.get_parameter(name)
        parameter.add_(0.1 * (float(parameter.abs().mean()) + 0.01) * torch.randn_like(parameter))
        found[name] = parameter.detach().clone()
    return found


@pytest.mark.parametrize(("name", "left"), LEFT.items())
def test_norms_behind_a_convolution_are_folded_and_others_stay(name, left, model):
    """Those left stand before their convolution; StarNet's convolutions have biases of their own."""
    whole = model(name)
    before = {key: tensor.clone() for key, tensor in whole.state_dict().items()}
    folded = fold_batch_norms(whole, SIZE_PX)
    assert len(norms(folded)) == left
    assert same(folded(picture()), whole(picture()))
    assert all(torch.equal(tensor, before[key]) for key, tensor in whole.state_dict().items())


@pytest.mark.parametrize("name", LEFT)
def test_a_trained_folded_copy_comes_apart_into_a_model_that_says_the_same(name, model):
    whole = model(name)
    folded = fold_batch_norms(whole, SIZE_PX)
    torch.manual_seed(1)
    trained = changed_at_random(folded, [key for key, _ in folded.named_parameters()])
    unfolded = unfold_batch_norms(whole, trained, size_px=SIZE_PX)
    assert list(unfolded.state_dict()) == list(whole.state_dict())
    assert same(unfolded(picture()), folded(picture()))
    assert not same(unfolded(picture()), whole(picture()))
    again = dict(fold_batch_norms(unfolded, SIZE_PX).named_parameters())
    assert all(torch.allclose(again[key], tensor, rtol=1e-5, atol=1e-6) for key, tensor in trained.items())


@pytest.mark.parametrize(
    ("name", "layer", "norm"),
    [
        ("resnet10t", "layer3.0.conv2", "layer3.0.bn2"),
        ("efficientnet_lite0", "blocks.4.1.conv_dw", "blocks.4.1.bn2"),
        ("starnet_s1", "stages.2.1.dwconv.conv", "stages.2.1.dwconv.bn"),
    ],
)
def test_a_layer_that_was_not_trained_keeps_every_bit_and_its_norm_too(name, layer, norm, model):
    whole = model(name)
    folded = fold_batch_norms(whole, SIZE_PX)
    own = [key for key, _ in folded.named_parameters() if key.startswith(f"{layer}.")]
    torch.manual_seed(1)
    unfolded = unfold_batch_norms(whole, changed_at_random(folded, own), size_px=SIZE_PX)
    assert same(unfolded(picture()), folded(picture()))
    after, before = unfolded.state_dict(), whole.state_dict()
    changed = {key.rpartition(".")[0] for key in after if not torch.equal(after[key], before[key])}
    assert changed == {layer, norm}


def test_nothing_trained_changes_nothing(model):
    whole = model("resnet10t")
    after = unfold_batch_norms(whole, {}, size_px=SIZE_PX).state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in whole.state_dict().items())


def test_a_tensor_of_another_network_is_refused(model):
    with pytest.raises(ValueError, match=r"^unfold: bn1\.weight, fc2\.bias are not parameters of the folded network"):
        unfold_batch_norms(
            model("resnet10t"), {"fc2.bias": torch.zeros(1), "bn1.weight": torch.ones(1)}, size_px=SIZE_PX
        )


class ReadBetween(nn.Module):
    """Is read between convolution and norm, so its norm cannot be folded; the convolution has a bias of its own."""

    feature_info = ({"module": "conv"},)

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x))

    def forward_intermediates(self, x, **_):
        return self.forward(x), [self.conv(x)]

    def forward_head(self, x, *, pre_logits):
        return x.mean((2, 3)) if pre_logits else None


def test_where_nothing_was_folded_biases_go_back_where_they_came_from():
    torch.manual_seed(0)
    whole = worn(ReadBetween())
    folded = fold_batch_norms(whole, SIZE_PX)
    assert norms(folded) == ["norm"]
    trained = changed_at_random(folded, ["conv.weight", "conv.bias", "norm.weight", "norm.bias"])
    unfolded = unfold_batch_norms(whole, trained, size_px=SIZE_PX)
    assert all(torch.equal(unfolded.state_dict()[key], tensor) for key, tensor in trained.items())
    assert torch.equal(unfolded(picture()), folded(picture()))
