"""A model becomes its trunk: a flat row of steps whose composition is the model's own forward pass.

A network can be cut wherever a step ends. Families whose parts have names of their own are written out (`families`);
of every other model the steps are found by watching its pass (`chain`). A model without steps can only be read: at the
ends of its stages, and last where its classifier reads it (`readings_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from thawline.features.chain import chain_steps
from thawline.features.families import family_steps
from thawline.features.steps import Step, Trunk, one_position

__all__ = [
    "Step",
    "Trunk",
    "activations_of",
    "chosen_blocks",
    "num_prefix_tokens",
    "readings_of",
    "reads_class_token",
    "trunk_of",
]

MAX_CUTS = 24
LAST_BLOCKS = 20


def trunk_of(model: nn.Module, size_px: int) -> Trunk | None:
    """Return the steps of `model` for square input of `size_px`, or None where it can only be read.

    Steps share the model's modules, so a later change of their weights is seen; replacing modules is not.
    """
    steps = family_steps(model) or chain_steps(model, size_px)
    for step in steps or ():  # what was wrapped here starts in the model's mode
        step.module.train(model.training)
    return tuple(steps) if steps else None


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


def activations_of(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the activation behind every block of a model with a trunk, or all readings of one without."""
    trunk = trunk_of(model, x.shape[2])
    if trunk is None:
        return readings_of(model, x)
    activations = []
    for step in trunk:
        x = step.module(x)
        if step.stage is not None:
            activations.append(x)
    return activations


def num_prefix_tokens(model: Any) -> int:
    """Return how many tokens of a model with a trunk come before the patches: class token and registers."""
    return int(getattr(model, "num_prefix_tokens", 0))


def reads_class_token(model: Any) -> bool:
    """Return whether a model with a trunk has a class token that means something: one behind its final norm.

    Where only the mean of the patches is normalised (`fc_norm`: BEiT, EVA-02 as a classifier), the class token was not
    trained. DINOv3's authors read the class token, although timm's own head averages the patches.
    """
    has_token = num_prefix_tokens(model) > 0 and getattr(model, "cls_token", None) is not None
    return has_token and not isinstance(getattr(model, "norm", None), nn.Identity | None)


def readings_of(model: Any, x: Tensor, *, indices: Sequence[int] | None = None) -> list[Tensor]:
    """Return the readings of a model without a trunk that are numbered `indices`; runs no further than it must.

    They are the (B, C, H, W) maps at the ends of its stages and, last, what its classifier reads, as a map of one
    position: (B, C, 1, 1). Works for every timm architecture. Without `indices` it returns all, in order.
    """
    count = _num_stages(model)
    wanted = list(range(count + 1)) if indices is None else list(indices)
    stages = [index for index in wanted if index < count]
    if wanted == stages:
        maps: list[Tensor] = model.forward_intermediates(
            x, indices=stages, stop_early=True, output_fmt="NCHW", intermediates_only=True
        )
        return maps
    last, maps = model.forward_intermediates(x, indices=stages or [count - 1], output_fmt="NCHW")
    return [*(maps if stages else []), one_position(model.forward_head(last, pre_logits=True))]


def _num_stages(model: Any) -> int:
    """Return at how many stages timm reads a model."""
    info = model.feature_info
    return len(getattr(info, "info", info))
