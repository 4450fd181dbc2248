"""Models that are not written out: steps found by watching, or none."""

from __future__ import annotations

import timm
import torch
from torch import nn

from thawline.features.chain import chain_steps


class Block(nn.Module):
    """A residual block of two layers."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        return x + self.two(self.one(x).relu())


class Small(nn.Module):
    """A network as timm writes them: a position is added in front, two stages, a norm, a head that pools.

    `extra` is what happens between the stages.
    """

    feature_info = ({"module": "stages.0"}, {"module": "stages.1"})

    def __init__(self, extra=None):
        super().__init__()
        self.stem, self.position = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(8, 1, 1))
        self.stages = nn.Sequential(nn.Sequential(Block(8), Block(8)), nn.Sequential(Block(8)))
        self.norm, self.fc_norm, self.fc = nn.GroupNorm(1, 8), nn.LayerNorm(8), nn.Linear(8, 5)
        self.unused, self.extra = nn.Linear(2, 2), extra

    def forward_features(self, x):
        x = self.stem(x) + self.position
        for number, stage in enumerate(self.stages):
            if number and self.extra:
                x = self.extra(x)
            x = stage(x)
        return self.norm(x)

    def forward_head(self, x, pre_logits=False):
        x = self.fc_norm(x.mean((2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def run(steps, x):
    for step in steps:
        x = step.module(x)
    return x


def test_stages_are_opened_and_blocks_are_not():
    model = Small().eval()
    steps = chain_steps(model, 16)
    assert [(step.name, step.stage) for step in steps] == [
        ("embed", None),
        ("stages.0.0", 0),
        ("stages.0.1", 0),
        ("stages.1.0", None),  # read behind the norm
        ("norm", 1),
        ("pool", 1),
        ("fc", None),
    ]
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(run(steps, x), model(x))
    assert torch.equal(run(steps[:-1], x)[:, :, 0, 0], model.forward_head(model.forward_features(x), pre_logits=True))
    held = [id(p) for step in steps for p in step.module.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert {id(p) for p in steps[0].module.parameters()} >= {id(model.position), id(model.stem.weight)}


def test_weights_that_change_later_are_seen_and_the_model_is_left_alone():
    model = Small().eval()
    steps, x = chain_steps(model, 16), torch.ones(1, 3, 16, 16)
    with torch.no_grad():
        model.stem.weight.mul_(2)
    assert torch.equal(run(steps, x), model(x))
    assert isinstance(model.stages[0][0], Block)


def test_what_happens_between_stages_leaves_no_steps():
    assert chain_steps(Small(extra=torch.relu), 16) is None
    assert chain_steps(Small(extra=lambda x: x.mul_(2)), 16) is None  # in place: the very tensor, with other numbers


def test_a_model_that_looks_at_numbers_has_no_steps():
    assert chain_steps(Small(extra=lambda x: x if float(x.sum()) > 0 else -x), 16) is None


def test_a_forward_pass_that_does_more_than_features_and_head_has_no_steps():
    class Twice(Small):
        def forward(self, x):
            return self.forward_head(self.stages(self.forward_features(x)))

    assert chain_steps(Small(), 16) is not None
    assert chain_steps(Twice(), 16) is None


def test_maps_with_channels_last_are_handed_on_with_channels_first():
    model = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 2, 1), img_size=56).eval()
    steps = chain_steps(model, 56)
    x = torch.randn(1, 3, 56, 56)
    shapes = []
    for step in steps:
        x = step.module(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[:2] == [(96, 14, 14), (96, 14, 14)]
    assert shapes[-3] == (768, 1, 1) or shapes[-3][0] == 768


def test_class_tokens_that_come_late_leave_no_steps():
    assert chain_steps(timm.create_model("cait_xxs24_224", depth=2, img_size=64).eval(), 64) is None


class Apart(Small):
    """Is read by timm at four scales; its chain has one."""

    feature_info = tuple({"module": f"stages.{n}", "reduction": 2**n} for n in range(4))


def test_a_chain_of_the_last_scale_alone_is_not_enough():
    assert chain_steps(Small(), 16) is not None
    assert chain_steps(Apart(), 16) is None


class Shared(Small):
    """Runs one module in front of both stages; the pass cannot be stopped at its second run."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.0)

    def forward_features(self, x):
        x = self.drop(self.stem(x) + self.position)
        return self.norm(self.stages(self.drop(x + self.position)))


def test_a_module_that_runs_twice_is_no_link():
    model = Shared().eval()
    steps = chain_steps(model, 16)
    assert [step.name for step in steps[:2]] == ["embed", "stages.0.0"]
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(run(steps, x), model(x))
