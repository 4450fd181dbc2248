"""A model of a family that is written out here becomes its steps: one function a family, in the order of its `forward`.

Written out are the families whose parts go by names of their own, and those whose blocks take more than an activation.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

from collections.abc import Callable
from math import isqrt
from typing import Any

import torch
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.eva import Eva
from timm.models.metaformer import MetaFormer
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from thawline.features.scratch_cnn import ScratchCNN
from thawline.features.steps import Part, Step, ending, has_parameters

__all__ = ["family_steps"]


def _efficientnet(m: Any) -> list[Step]:
    """EfficientNet, its Lite, V2 and MobileNetV2 variants: the last convolution counts as a block of its own."""
    has_head = not isinstance(m.conv_head, nn.Identity)
    return [
        Step("stem", nn.Sequential(m.conv_stem, m.bn1)),
        *_nested("blocks", m.blocks),
        Step("conv_head", nn.Sequential(m.conv_head, m.bn2), len(m.blocks) if has_head else None),
        Step("global_pool", nn.Sequential(m.global_pool, nn.Dropout(m.drop_rate))),
        Step("classifier", m.classifier),
    ]


def _mobilenetv3(m: Any) -> list[Step]:
    """MobileNetV3 and V4: the last convolution follows the pooling, so its activation is a map of one position."""
    has_head = not isinstance(m.conv_head, nn.Identity)
    return [
        Step("stem", nn.Sequential(m.conv_stem, m.bn1)),
        *_nested("blocks", m.blocks),
        Step("global_pool", m.global_pool),
        Step("conv_head", nn.Sequential(m.conv_head, m.norm_head, m.act2), len(m.blocks) if has_head else None),
        Step("flatten", nn.Sequential(m.flatten, nn.Dropout(m.drop_rate))),
        Step("classifier", m.classifier),
    ]


def _resnet(m: Any) -> list[Step]:
    """ResNet, ResNeXt, SE- and Res2Net relatives that share the class: every residual block."""
    stages = (m.layer1, m.layer2, m.layer3, m.layer4)
    return [
        Step("stem", nn.Sequential(m.conv1, m.bn1, m.act1, m.maxpool)),
        *(Step(f"layer{s}.{b}", block, s) for s, stage in enumerate(stages, 1) for b, block in enumerate(stage)),
        Step("global_pool", nn.Sequential(m.global_pool, nn.Dropout(m.drop_rate))),
        Step("fc", m.fc),
    ]


def _convnext(m: Any) -> list[Step]:
    """ConvNeXt V1, V2 and DINOv3's: every block; a stage's downsampling comes with its first block."""
    blocks: list[Step] = []
    for s, stage in enumerate(m.stages):
        blocks.append(Step(f"stages.{s}.downsample", stage.downsample))
        blocks.extend(Step(f"stages.{s}.blocks.{b}", block, s) for b, block in enumerate(stage.blocks))
    pool = Part(lambda x: m.forward_head(x, pre_logits=True), _but(m.head, "fc"))
    return [
        Step("stem", m.stem),
        *_with_final_norm(blocks, "norm_pre", m.norm_pre),
        *ending("head.fc", m.head.fc, pool=pool, last_stage=len(m.stages) - 1 if has_parameters(pool) else None),
    ]


def _vision_transformer(m: Any) -> list[Step]:
    """ViT, DeiT, DINOv2, SigLIP, CLIP: every block, the last one read behind the final norm; tokens (B, tokens, C)."""

    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = m.norm_pre(m.patch_drop(m._pos_embed(m.patch_embed(x))))
        return tokens

    own = {"cls_token": m.cls_token, "reg_token": m.reg_token, "pos_embed": m.pos_embed}
    layers = (m.patch_embed, m.pos_drop, m.patch_drop, m.norm_pre)
    blocks = [Step(f"blocks.{b}", block, 0) for b, block in enumerate(m.blocks)]
    return _of_tokens(m, Part(embed, layers, **own), blocks)


def _eva(m: Any) -> list[Step]:
    """EVA-02, DINOv3, PE: every block is given the rotary position embedding, made of the grid's side alone."""

    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = m.norm_pre(m._pos_embed(m.patch_embed(x))[0])
        return tokens

    def run(block: nn.Module, number: int) -> Callable[[Tensor], Tensor]:
        def with_rope(x: Tensor) -> Tensor:
            rope = _rope(m, x)
            tokens: Tensor = block(x, rope=rope[number] if m.rope_mixed and rope is not None else rope)
            return tokens

        return with_rope

    own = {"cls_token": m.cls_token, "reg_token": m.reg_token, "pos_embed": m.pos_embed}
    layers = [layer for layer in (m.patch_embed, m.pos_drop, m.patch_drop, m.rope, m.norm_pre) if layer is not None]
    blocks = [Step(f"blocks.{b}", Part(run(block, b), [block]), 0) for b, block in enumerate(m.blocks)]
    return _of_tokens(m, Part(embed, layers, **own), blocks)


def _rope(m: Any, x: Tensor) -> Tensor | None:
    """Return the rotary position embedding for tokens of a square picture, as `_pos_embed` makes it."""
    if m.rope is None:
        return None
    side = isqrt(x.shape[1] - m.num_prefix_tokens)
    needs_shape = m.dynamic_img_size or not hasattr(m.rope, "feat_shape")
    embedding: Tensor = m.rope.get_embed(shape=(side, side)) if needs_shape else m.rope.get_embed()
    return embedding


def _beit(m: Any) -> list[Step]:
    """BEiT: every block is given the position bias that they share, where they do."""

    def embed(x: Tensor) -> Tensor:
        patches = m.patch_embed(x)
        tokens = torch.cat((m.cls_token.expand(x.shape[0], -1, -1), patches), dim=1)
        embedded: Tensor = m.pos_drop(tokens if m.pos_embed is None else tokens + m.pos_embed)
        return embedded

    def run(block: nn.Module) -> Callable[[Tensor], Tensor]:
        return lambda x: block(x, shared_rel_pos_bias=m.rel_pos_bias() if m.rel_pos_bias is not None else None)

    layers = [layer for layer in (m.patch_embed, m.pos_drop, m.rel_pos_bias) if layer is not None]
    blocks = [Step(f"blocks.{b}", Part(run(block), [block]), 0) for b, block in enumerate(m.blocks)]
    return _of_tokens(m, Part(embed, layers, cls_token=m.cls_token, pos_embed=m.pos_embed), blocks)


def _of_tokens(m: Any, embed: Part, blocks: list[Step]) -> list[Step]:
    """Return the steps of a network that passes tokens on; attention pooling, or a norm behind it, is a depth."""
    layers = [layer for name, layer in m.named_children() if name in {"attn_pool", "fc_norm", "head_drop"}]
    pool = Part(lambda x: m.forward_head(x, pre_logits=True), layers)
    is_plain = m.global_pool in {"avg", "token"} and not has_parameters(pool)
    includes_prefix = m.global_pool == "avg" and getattr(m, "pool_include_prefix", False)
    return [
        Step("embed", embed),
        *_with_final_norm(blocks, "norm", m.norm),
        *ending("head", m.head, pool=pool, last_stage=None if is_plain and not includes_prefix else 0),
    ]


def _metaformer(m: Any) -> list[Step]:
    """CaFormer, ConvFormer, PoolFormer: every block; those with attention take a map's positions as tokens."""

    def as_tokens(block: nn.Module) -> Callable[[Tensor], Tensor]:
        def on_map(x: Tensor) -> Tensor:
            tokens: Tensor = block(x.flatten(2).transpose(1, 2))
            return tokens.transpose(1, 2).reshape(x.shape)

        return on_map

    steps = [Step("stem", m.stem)]
    for s, stage in enumerate(m.stages):
        steps.append(Step(f"stages.{s}.downsample", stage.downsample))
        for b, block in enumerate(stage.blocks):
            module = block if stage.use_nchw else Part(as_tokens(block), [block])
            steps.append(Step(f"stages.{s}.blocks.{b}", module, s))
    pool = Part(lambda x: m.forward_head(x, pre_logits=True), _but(m.head, "fc"))
    return [*steps, *ending("head.fc", m.head.fc, pool=pool, last_stage=len(m.stages) - 1)]


def _scratch(m: Any) -> list[Step]:
    """The networks that start from nothing: every block is a stage of its own."""
    return [
        *(Step(f"blocks.{b}", block, b) for b, block in enumerate(m.blocks)),
        Step("global_pool", m.global_pool),
        Step("classifier", m.classifier),
    ]


def _nested(name: str, stages: Any) -> list[Step]:
    """Return a step for every block of a sequence of sequences."""
    return [Step(f"{name}.{s}.{b}", block, s) for s, stage in enumerate(stages) for b, block in enumerate(stage)]


def _with_final_norm(blocks: list[Step], name: str, norm: nn.Module) -> list[Step]:
    """Return `blocks` and the norm behind them; where there is one, the last block is read after it, not before."""
    if isinstance(norm, nn.Identity):
        return [*blocks, Step(name, norm)]
    *others, last = blocks
    return [*others, Step(last.name, last.module), Step(name, norm, last.stage)]


def _but(module: nn.Module, name: str) -> list[nn.Module]:
    """Return the children of a module without the one of that name."""
    return [child for other, child in module.named_children() if other != name]


FAMILIES: tuple[tuple[type[nn.Module], Callable[[Any], list[Step]]], ...] = (
    (EfficientNet, _efficientnet),
    (MobileNetV3, _mobilenetv3),
    (ResNet, _resnet),
    (ConvNeXt, _convnext),
    (VisionTransformer, _vision_transformer),
    (Eva, _eva),
    (Beit, _beit),
    (MetaFormer, _metaformer),
    (ScratchCNN, _scratch),
)


def family_steps(model: nn.Module) -> list[Step] | None:
    """Return the steps of `model`, or None where no function above describes exactly its forward pass.

    A subclass with a path of its own is never cut in the wrong place.
    """
    for family, steps in FAMILIES:
        own_path = ("forward", "forward_features", "forward_head", "pool", "_pos_embed")
        if isinstance(model, family) and all(
            getattr(type(model), name, None) is getattr(family, name, None) for name in own_path
        ):
            return steps(model)
    return None
