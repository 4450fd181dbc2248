"""Families that are written out: exactly theirs, and what their blocks take besides an activation."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from thawline.features.families import family_steps

TINY = {"depth": 2, "embed_dim": 64, "num_heads": 4, "img_size": 64}


class OtherPooling(VisionTransformer):
    """Pools differently."""

    def pool(self, x, pool_type=None):
        return x.sum(1)


def test_a_subclass_that_pools_differently_is_not_taken_for_its_parent():
    assert family_steps(VisionTransformer(**TINY)) is not None
    assert family_steps(OtherPooling(**TINY)) is None


@pytest.mark.parametrize("img_size", [64, 96])
def test_blocks_of_dinov3_get_positions_for_the_side_of_the_picture(img_size):
    model = timm.create_model("vit_small_patch16_dinov3", init_values=1.0, **TINY).eval()
    embed, first, *_ = family_steps(model)
    x = torch.randn(1, 3, img_size, img_size, generator=torch.Generator().manual_seed(0))
    h, rope = model._pos_embed(model.patch_embed(x))
    assert torch.equal(embed.module(x), h)
    assert torch.equal(first.module(h), model.blocks[0](h, rope=rope))
    assert not torch.allclose(first.module(h), model.blocks[0](h, rope=None))


def test_each_block_of_a_mixed_rope_gets_its_own():
    model = timm.create_model("vit_base_patch16_rope_mixed_224", **TINY).eval()
    _, first, second, *_ = family_steps(model)
    h, rope = model._pos_embed(model.patch_embed(torch.randn(1, 3, 64, 64)))
    assert len(rope) == 2
    assert torch.equal(second.module(h), model.blocks[1](h, rope=rope[1]))
    assert "rope" not in dict(first.module.named_children())  # learned positions lie below every cut


def test_blocks_of_beit_get_the_bias_that_they_share():
    model = timm.create_model("beit_base_patch16_224", use_shared_rel_pos_bias=True, use_rel_pos_bias=False, **TINY)
    torch.nn.init.normal_(model.rel_pos_bias.relative_position_bias_table)
    _, first, *_ = family_steps(model.eval())
    h = torch.randn(1, 17, 64)
    assert torch.equal(first.module(h), model.blocks[0](h, shared_rel_pos_bias=model.rel_pos_bias()))
    assert not torch.allclose(first.module(h), model.blocks[0](h))


def test_a_network_without_a_classifier_ends_in_its_pooled_features():
    model = timm.create_model("vit_base_patch16_siglip_224", num_classes=0, **TINY).eval()
    h = x = torch.randn(2, 3, 64, 64)
    for step in family_steps(model):
        h = step.module(h)
    assert torch.equal(h, model(x))
    assert h.shape == (2, 64)
