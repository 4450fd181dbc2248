"""A model and the size of its input become the cut points: where it can be read, how wide, how coarse, at what cost.

Nothing is computed. The model runs once on a shadow of itself whose tensors have shapes but no numbers, while
torch counts the multiplications that it would have done.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from thawline.features.backbone import CutPoint
from thawline.features.trunk import Trunk, chosen_blocks, stage_maps, trunk_of

__all__ = ["cut_points", "shadow_of"]


@dataclass(frozen=True)
class _Reading:
    """One place in the shadow: its module, the activation (shapes only), multiply-adds so far."""

    module: str
    activation: Tensor
    cost: int


def cut_points(model: nn.Module, size_px: int) -> tuple[tuple[CutPoint, ...], int]:
    """Return every cut point of `model`, shallowest first, and the multiply-adds of one picture up to the last.

    Counted are convolutions and matrix products, for square input of `size_px`. A model with a trunk is cut behind its
    blocks, as `chosen_blocks` says; any other at the ends of its stages.
    """
    trunk = trunk_of(model)
    readings, chosen = _read_shadow(model, trunk, size_px)
    whole = readings[-1].cost
    prefix_tokens = getattr(model, "num_prefix_tokens", 0)
    cuts = tuple(
        CutPoint(
            index=index,
            module=readings[block].module,
            channels=_channels(readings[block].activation),
            stride=_stride(readings[block].activation, size_px, prefix_tokens),
            blocks_removed=len(readings) - 1 - block,
            cost_fraction=readings[block].cost / whole if whole else (block + 1) / len(readings),
        )
        for index, block in enumerate(chosen)
    )
    return cuts, whole


def shadow_of(model: nn.Module) -> nn.Module:
    """Return a copy of `model` whose parameters and buffers have shapes and no numbers; takes milliseconds."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False) for p in model.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return copy.deepcopy(model, memo)


def _read_shadow(model: nn.Module, trunk: Trunk | None, size_px: int) -> tuple[list[_Reading], tuple[int, ...]]:
    """Return a reading for every block in forward order, and which of them are cut points."""
    try:
        shadow = shadow_of(model)
        readings = list(_readings(shadow, torch.empty(1, 3, size_px, size_px, device="meta")))
    except (RuntimeError, NotImplementedError):  # an architecture that looks at numbers on its way
        readings = list(_readings(model, torch.zeros(1, 3, size_px, size_px)))
    if trunk is None:
        return readings, tuple(range(len(readings)))
    return readings, chosen_blocks([step.stage for step in trunk if step.stage is not None])


def _readings(model: nn.Module, x: Tensor) -> Iterator[_Reading]:
    """Yield a reading behind each block of the trunk, or each stage of a model without one."""
    trunk = trunk_of(model)
    with torch.no_grad():
        if trunk is None:
            names = [info["module"] for info in _feature_info(model)]
            for stage, activation in enumerate(stage_maps(model, x)):
                with FlopCounterMode(display=False) as counter:
                    stage_maps(model, x, indices=[stage])
                name = names[stage] if stage < len(names) else f"stage {stage}"
                yield _Reading(name, activation, counter.get_total_flops() // 2)
            return
        cost = 0
        for step in trunk:
            with FlopCounterMode(display=False) as counter:
                x = step.module(x)
            cost += counter.get_total_flops() // 2
            if step.stage is not None:
                yield _Reading(step.name, x, cost)


def _feature_info(model: Any) -> list[dict[str, Any]]:
    """Return timm's description of the stages, a list of dictionaries or an object that holds one."""
    info = model.feature_info
    return list(getattr(info, "info", info))


def _channels(activation: Tensor) -> int:
    """Return the channels of a map or of tokens."""
    return activation.shape[1] if activation.ndim == 4 else activation.shape[2]


def _stride(activation: Tensor, size_px: int, prefix_tokens: int) -> int:
    """Return how many input pixels lie between neighbouring positions."""
    side = activation.shape[2] if activation.ndim == 4 else isqrt(activation.shape[1] - prefix_tokens)
    return size_px // side
