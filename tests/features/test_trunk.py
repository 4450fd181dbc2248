"""Every family is cut where it can be, continued exactly, and last read as timm's own head reads it."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from thawline.features.backbone import POOL
from thawline.features.network import load_backbone
from thawline.features.pooling import pooled
from thawline.features.scratch_cnn import ScratchCNN
from thawline.features.trunk import (
    activations_of,
    chosen_blocks,
    num_prefix_tokens,
    readings_of,
    reads_class_token,
    trunk_of,
)

SHALLOW = {"depth": 2, "img_size": 64}
EVERY_STAGE = {"depths": (1, 1, 2, 1)}
TINY_VIT = {"depth": 2, "embed_dim": 64, "num_heads": 4, "img_size": 64}

# name: what makes it small, side of the input, number of depths, whether its own pooling is one, what its authors read
FAMILIES = {
    "vit_tiny_patch16_224": (SHALLOW, 64, 2, False, "token"),
    "vit_small_patch14_reg4_dinov2": ({"depth": 2, "img_size": 56}, 56, 2, False, "token"),
    "vit_base_patch16_siglip_224": (TINY_VIT, 64, 3, True, "mean"),
    "vit_base_patch16_siglip_gap_224": (TINY_VIT, 64, 2, False, "mean"),
    "vit_base_patch32_clip_224": (TINY_VIT, 64, 2, False, "token"),
    "vit_medium_patch16_reg4_gap_256": (TINY_VIT, 64, 3, True, "mean"),
    "deit3_small_patch16_224": (SHALLOW, 64, 2, False, "token"),
    "vit_small_patch16_dinov3": (SHALLOW, 64, 2, False, "token"),
    "vit_small_patch16_dinov3_qkvb": (SHALLOW, 64, 2, False, "token"),
    "eva02_tiny_patch14_224": ({"depth": 2, "img_size": 56}, 56, 3, True, "mean"),
    "eva02_base_patch16_clip_224": (TINY_VIT, 64, 2, False, "token"),
    "vit_base_patch16_rope_mixed_224": (TINY_VIT, 64, 2, False, "token"),
    "vit_pe_core_tiny_patch16_384": (SHALLOW, 64, 3, True, "token"),
    "beit_base_patch16_224": (TINY_VIT, 64, 3, True, "mean"),
    "convnext_atto": (EVERY_STAGE, 64, 6, True, "mean"),
    "convnextv2_atto": (EVERY_STAGE, 64, 6, True, "mean"),
    "caformer_s18": ({}, 64, 19, True, "mean"),
    "poolformer_s12": ({}, 64, 13, True, "mean"),
    "swin_tiny_patch4_window7_224": (EVERY_STAGE | {"img_size": 56}, 56, 5, False, "mean"),
    "swinv2_tiny_window8_256": (EVERY_STAGE | {"img_size": 64}, 64, 5, False, "mean"),
    "hiera_tiny_224": ({"stages": (1, 1, 1, 1), "img_size": 64}, 64, 5, True, "mean"),
    "maxvit_pico_rw_256": ({"depths": (1, 1, 1, 1), "img_size": 64}, 64, 4, False, "mean"),
    "maxvit_tiny_tf_224": (
        {"depths": (1, 1, 1, 1), "embed_dim": (32, 32, 64, 64), "img_size": 64},
        64,
        5,
        True,
        "mean",
    ),
    "regnety_002": ({}, 64, 13, False, "mean"),
    "mobilevit_xxs": ({}, 64, 11, False, "mean"),
    "fastvit_t8": ({"layers": (1, 1, 1, 1)}, 64, 5, False, "mean"),
    "resnet18": ({}, 64, 8, False, "mean"),
    "mobilenetv3_small_050": ({}, 64, 13, False, "mean"),
    "mobilenetv4_conv_small": ({}, 64, 18, False, "mean"),
    "tf_efficientnetv2_b0": ({}, 64, 22, False, "mean"),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Return a model of each family in turn, with its entry; every parameter is random, so no step is an identity."""
    small, size, *expected = FAMILIES[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(request.param, **small).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn(parameter.shape)
        return model, torch.randn(2, 3, size, size), *expected


def test_each_depth_continued_is_the_forward_pass(family):
    model, x, num_depths, has_own_pooling, _ = family
    trunk, whole = trunk_of(model, x.shape[2]), model(x)
    assert whole.std() > 0
    depths = [place for place, step in enumerate(trunk) if step.stage is not None]
    assert len(depths) == num_depths
    assert (trunk[depths[-1]].name == POOL) == has_own_pooling
    for depth in depths:
        h = x
        for step in trunk[: depth + 1]:
            h = step.module(h)
        h = h.contiguous()  # as it is kept between prefix and suffix
        for step in trunk[depth + 1 :]:
            h = step.module(h)
        assert torch.allclose(h, whole, atol=1e-5), trunk[depth].name


def test_every_tensor_belongs_to_one_step(family):
    model, x, *_ = family
    trunk = trunk_of(model, x.shape[2])
    held = [id(t) for step in trunk for t in (*step.module.parameters(), *step.module.buffers())]
    assert sorted(held) == sorted(id(t) for t in (*model.parameters(), *model.buffers()))
    assert len({step.name for step in trunk}) == len(trunk)
    assert not any(module.training for step in trunk for module in step.module.modules())


def test_the_last_depth_is_read_as_the_authors_read_it(family):
    model, x, _, _, pooling = family
    assert ("token" if reads_class_token(model) else "mean") == pooling
    last = activations_of(model, x)[-1]
    read = pooled(last, [pooling], num_prefix_tokens=num_prefix_tokens(model))[pooling]
    if "dinov3" in type(model).__name__.lower() or model.pretrained_cfg["architecture"].endswith(
        ("dinov3", "dinov3_qkvb")
    ):
        model.global_pool = "token"  # "matches upstream", as timm says; its own default is the mean
    assert torch.allclose(read, model.forward_head(model.forward_features(x), pre_logits=True), atol=1e-5)


def test_the_mean_of_dinov3_leaves_class_token_and_registers_out():
    model = timm.create_model("vit_small_patch16_dinov3", **SHALLOW).eval()
    assert (model.global_pool, num_prefix_tokens(model)) == ("avg", 5)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    read = pooled(activations_of(model, x)[-1], ["mean"], num_prefix_tokens=5)["mean"]
    assert torch.allclose(read, model.forward_head(model.forward_features(x), pre_logits=True), atol=1e-5)


class OtherPath(ScratchCNN):
    """Has the same modules and runs them differently."""

    def forward(self, x):
        return super().forward(-x)


def test_a_subclass_with_a_path_of_its_own_has_no_trunk():
    blocks = (nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3))
    assert [step.name for step in trunk_of(ScratchCNN(blocks, 6, 10), 8)] == [
        "blocks.0",
        "blocks.1",
        "global_pool",
        "classifier",
    ]
    assert trunk_of(OtherPath(blocks, 6, 10), 8) is None


def test_steps_one_after_the_other_are_the_forward_pass_and_have_their_stages(resnet18):
    model = resnet18.model
    trunk = trunk_of(model, 64)
    h = x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for step in trunk:
        h = step.module(h)
    assert torch.equal(h, model(x))
    assert [step.stage for step in trunk] == [None, 1, 1, 2, 2, 3, 3, 4, 4, None, None]


def test_stages_are_read_no_further_than_the_last_that_is_asked_for(resnet18):
    ran = []
    hook = resnet18.model.layer4.register_forward_hook(lambda *_: ran.append("layer4"))
    x = torch.randn(1, 3, 64, 64)
    assert [tuple(h.shape[1:]) for h in readings_of(resnet18.model, x, indices=[1, 3])] == [(64, 16, 16), (256, 4, 4)]
    assert ran == []
    *_, last = readings_of(resnet18.model, x)
    assert ran == ["layer4"]
    assert torch.equal(
        last[:, :, 0, 0], resnet18.model.forward_head(resnet18.model.forward_features(x), pre_logits=True)
    )
    assert torch.equal(readings_of(resnet18.model, x, indices=[5])[0], last)
    hook.remove()


def test_deep_networks_keep_stage_ends_and_the_last_twenty_blocks():
    stages = [0] * 3 + [1] * 4 + [2] * 23 + [3] * 3
    assert chosen_blocks(stages) == (2, 6, *range(13, 33))
    assert chosen_blocks([0] * 24) == tuple(range(24))
    assert load_backbone("resnet101", pretrained=False, size_px=32).backbone.cuts[0].blocks_removed == 30
