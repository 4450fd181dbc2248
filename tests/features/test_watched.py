"""Which modules a forward pass calls, and where nothing happens between two of them."""

from __future__ import annotations

import torch
from torch import nn

from thawline.features.watched import is_chain, watched


class Glued(nn.Module):
    """Calls four layers; between the second and the third it does something, after the third in place."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(4))

    def forward(self, x):
        x = self.layers[1](self.layers[0](x))
        x = self.layers[2](x * 2)
        x += 1
        return self.layers[3](x)


def test_calls_are_nested_in_the_order_of_running():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 2))
    pass_ = watched(model, model.forward, x=torch.zeros(1, 2))
    assert [call.path for call in pass_.calls] == ["0", "1"]
    assert [call.path for call in pass_.calls[0].calls] == ["0.0", "0.1"]
    assert pass_.calls[0].result.is_same(pass_.calls[1].given)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_chain_hands_on_the_very_tensor():
    model = Glued()
    calls = watched(model, model.forward, x=torch.zeros(1, 2)).calls
    assert is_chain(calls[:2])
    assert not is_chain(calls[1:3])
    assert not is_chain(calls[2:])  # the same tensor, changed in place


def test_what_takes_another_tensor_is_no_link_of_a_chain():
    model = nn.Sequential(nn.Bilinear(2, 2, 2))
    calls = watched(model, lambda x: model[0](x, x), x=torch.zeros(1, 2)).calls
    assert len(calls) == 1
    assert not is_chain(calls)
