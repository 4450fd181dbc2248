"""A model becomes a row of steps only where a table describes exactly its forward pass."""

from __future__ import annotations

import torch
from torch import nn

from thawline.features.network import load_backbone
from thawline.features.scratch_cnn import ScratchCNN
from thawline.features.trunk import chosen_blocks, stage_maps, trunk_of


class OtherPath(ScratchCNN):
    """Has the same modules and runs them differently."""

    def forward(self, x):
        return super().forward(-x)


def test_a_subclass_with_a_path_of_its_own_has_no_trunk():
    blocks = (nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3))
    assert [step.name for step in trunk_of(ScratchCNN(blocks, 6, 10))] == [
        "blocks.0",
        "blocks.1",
        "global_pool",
        "classifier",
    ]
    assert trunk_of(OtherPath(blocks, 6, 10)) is None


def test_steps_one_after_the_other_are_the_forward_pass_and_own_every_parameter_once(resnet18):
    model = resnet18.model
    trunk = trunk_of(model)
    h = x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for step in trunk:
        h = step.module(h)
    assert torch.equal(h, model(x))
    owned = [id(parameter) for step in trunk for parameter in step.module.parameters()]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())
    assert [step.stage for step in trunk] == [None, 1, 1, 2, 2, 3, 3, 4, 4, None, None]


def test_stages_are_read_no_further_than_the_last_that_is_asked_for(resnet18):
    ran = []
    hook = resnet18.model.layer4.register_forward_hook(lambda *_: ran.append("layer4"))
    x = torch.randn(1, 3, 64, 64)
    assert [tuple(h.shape[1:]) for h in stage_maps(resnet18.model, x, indices=[1, 3])] == [(64, 16, 16), (256, 4, 4)]
    assert ran == []
    assert len(stage_maps(resnet18.model, x)) == 5
    hook.remove()
    assert ran == ["layer4"]


def test_deep_networks_keep_stage_ends_and_the_last_twenty_blocks():
    stages = [0] * 3 + [1] * 4 + [2] * 23 + [3] * 3
    assert chosen_blocks(stages) == (2, 6, *range(13, 33))
    assert chosen_blocks([0] * 24) == tuple(range(24))
    assert load_backbone("resnet101", pretrained=False, size_px=32).backbone.cuts[0].blocks_removed == 30
