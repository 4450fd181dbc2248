"""A model becomes its trunk: a flat row of steps whose composition is the model's own forward pass.

A network can be cut wherever a step ends. The steps of each architecture family are written out below, one function a
family, in the order of its `forward`. `trunk_of` applies a table only to a model that runs exactly that `forward`,
so a subclass with a path of its own is never cut in the wrong place. Such models have no trunk and are read at the ends
of their stages (`stage_maps`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from thawline.features.scratch_cnn import ScratchCNN

__all__ = ["Step", "Trunk", "chosen_blocks", "stage_maps", "trunk_of"]

MAX_CUTS = 24
LAST_BLOCKS = 20


@dataclass(frozen=True)
class Step:
    """One link of the forward pass.

    Attributes:
        name: Path of the module in the model, or what the step does where it is more than one module.
        module: Called with the activation; every parameter and buffer the step uses is registered in it, and in no
            other step.
        stage: Number of the stage whose block ends here, or None where the network cannot be cut.
    """

    name: str
    module: nn.Module
    stage: int | None = None


Trunk = tuple[Step, ...]


class _Part(nn.Module):
    """A stretch of a model's forward pass that is code rather than a module; holds what that code uses."""

    def __init__(self, run: Callable[[Tensor], Tensor], **used: nn.Module | nn.Parameter | None) -> None:
        super().__init__()
        self._run = run
        for name, value in used.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of this stretch for `x`."""
        return self._run(x)


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
    """ConvNeXt V1 and V2: every block; a stage's downsampling comes with its first block."""
    blocks: list[Step] = []
    for s, stage in enumerate(m.stages):
        blocks.append(Step(f"stages.{s}.downsample", stage.downsample))
        blocks.extend(Step(f"stages.{s}.blocks.{b}", block, s) for b, block in enumerate(stage.blocks))
    head = m.head
    return [
        Step("stem", m.stem),
        *_with_final_norm(blocks, "norm_pre", m.norm_pre),
        Step("head", _Part(m.forward_head, head=head)),
    ]


def _vision_transformer(m: Any) -> list[Step]:
    """ViT, DeiT, DINOv2: every block, the last one read behind the final norm; tokens stay (B, tokens, C)."""

    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = m.norm_pre(m.patch_drop(m._pos_embed(m.patch_embed(x))))
        return tokens

    own = {"cls_token": m.cls_token, "reg_token": getattr(m, "reg_token", None), "pos_embed": m.pos_embed}
    layers = {"patch_embed": m.patch_embed, "pos_drop": m.pos_drop, "patch_drop": m.patch_drop, "norm_pre": m.norm_pre}
    blocks = [Step(f"blocks.{b}", block, 0) for b, block in enumerate(m.blocks)]
    pool = {"attn_pool": m.attn_pool, "fc_norm": m.fc_norm, "head_drop": m.head_drop}
    return [
        Step("embed", _Part(embed, **own, **layers)),
        *_with_final_norm(blocks, "norm", m.norm),
        Step("pool", _Part(lambda x: m.forward_head(x, pre_logits=True), **pool)),
        Step("head", m.head),
    ]


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


FAMILIES: tuple[tuple[type[nn.Module], Callable[[Any], list[Step]]], ...] = (
    (EfficientNet, _efficientnet),
    (MobileNetV3, _mobilenetv3),
    (ResNet, _resnet),
    (ConvNeXt, _convnext),
    (VisionTransformer, _vision_transformer),
    (ScratchCNN, _scratch),
)


def trunk_of(model: nn.Module) -> Trunk | None:
    """Return the steps of `model`, or None where no table above describes its forward pass.

    Steps share the model's modules, so a later change of their weights is seen; replacing modules is not.
    """
    for family, steps in FAMILIES:
        own_path = ("forward", "forward_features", "forward_head", "_pos_embed")
        if isinstance(model, family) and all(
            getattr(type(model), name, None) is getattr(family, name, None) for name in own_path
        ):
            trunk = tuple(steps(model))
            for step in trunk:  # what was wrapped here starts in the model's mode
                step.module.train(model.training)
            return trunk
    return None


def chosen_blocks(stages: Sequence[int]) -> tuple[int, ...]:
    """Return which blocks become cut points, given the stage of every block in forward order.

    Up to 24 blocks: all. Beyond: the last 20, and the last block of every stage before them. Deep networks repeat much
    the same block, and a bank grows with every cut.

    >>> chosen_blocks([0, 0, 1, 1])
    (0, 1, 2, 3)
    >>> chosen_blocks([0] * 3 + [1] * 30)[:3]
    (2, 13, 14)
    """
    count = len(stages)
    if count <= MAX_CUTS:
        return tuple(range(count))
    ends = [i for i in range(count - LAST_BLOCKS) if stages[i] != stages[i + 1]]
    return (*ends, *range(count - LAST_BLOCKS, count))


def stage_maps(model: Any, x: Tensor, *, indices: Sequence[int] | None = None) -> list[Tensor]:
    """Return the (B, C, H, W) maps at the ends of the stages numbered `indices`; runs no further than the last of them.

    Works for every timm architecture, with or without a trunk. Without `indices` it returns all, in order.
    """
    maps: list[Tensor] = model.forward_intermediates(
        x,
        indices=None if indices is None else list(indices),
        stop_early=True,
        output_fmt="NCHW",
        intermediates_only=True,
    )
    return maps
