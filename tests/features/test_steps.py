"""Steps behind the last block: what is pooled is a map of one position, and the classifier takes it."""

from __future__ import annotations

import torch
from torch import nn

from thawline.features.backbone import POOL
from thawline.features.steps import Part, ending, has_parameters, one_position


def test_a_part_runs_code_and_holds_what_the_code_uses():
    layer, gain = nn.Linear(2, 3), nn.Parameter(torch.full((3,), 2.0))
    part = Part(lambda x: layer(x) * gain, [layer], gain=gain, nothing=None)
    x = torch.ones(1, 2)
    assert torch.equal(part(x), layer(x) * 2)
    assert {id(p) for p in part.parameters()} == {id(layer.weight), id(layer.bias), id(gain)}


def test_what_can_learn():
    assert has_parameters(nn.Linear(1, 1))
    assert not has_parameters(nn.Flatten())


def test_the_ending_pools_to_one_position_and_classifies_it():
    norm, classifier = nn.LayerNorm(4), nn.Linear(4, 2)
    pool = Part(lambda x: norm(x.mean((2, 3))), [norm])
    steps = ending("fc", classifier, pool=pool, last_stage=3)
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    pooled = steps[0].module(x)
    assert [(step.name, step.stage) for step in steps] == [(POOL, 3), ("fc", None)]
    assert torch.equal(pooled, one_position(norm(x.mean((2, 3)))))
    assert torch.equal(steps[1].module(pooled), classifier(pooled[:, :, 0, 0]))
    assert list(steps[0].module.parameters()) == list(norm.parameters())
