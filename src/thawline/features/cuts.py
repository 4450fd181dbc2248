"""A model and the size of its input become the cut points: where it can be read, how wide, how coarse, at what cost.

Nothing is computed. The model runs once on a shadow of itself whose tensors have shapes but no numbers, while
torch counts the multiplications that it would have done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from thawline.features.backbone import POOL, CutPoint
from thawline.features.light_import import without_compiler
from thawline.features.shadow import shadow_of
from thawline.features.steps import num_layers
from thawline.features.trunk import chosen_blocks, readings_of, trunk_of

__all__ = ["cut_points"]


@dataclass(frozen=True)
class _Reading:
    """One place in the shadow: module, shape of the activation, multiply-adds so far, stage, whether a block ends."""

    module: str
    activation: Tensor
    cost: int
    stage: int
    is_block: bool


def cut_points(model: nn.Module, size_px: int) -> tuple[tuple[CutPoint, ...], int]:
    """Return every cut point of `model`, shallowest first, and the multiply-adds of one picture up to the last.

    Counted are convolutions and matrix products, for square input of `size_px`. A model with a trunk is cut behind its
    blocks, as `chosen_blocks` says; any other is read at the ends of its stages and where its classifier reads it.
    """
    readings = _read_shadow(model, size_px)
    chosen = chosen_blocks([reading.stage for reading in readings])
    whole = readings[-1].cost
    prefix_tokens = getattr(model, "num_prefix_tokens", 0)
    cuts = tuple(
        CutPoint(
            index=index,
            module=readings[block].module,
            channels=_channels(readings[block].activation),
            stride=_stride(readings[block].activation, size_px, prefix_tokens),
            blocks_removed=sum(reading.is_block for reading in readings[block + 1 :]),
            cost_fraction=readings[block].cost / whole if whole else (block + 1) / len(readings),
        )
        for index, block in enumerate(chosen)
    )
    return cuts, whole


def _read_shadow(model: nn.Module, size_px: int) -> list[_Reading]:
    """Return a reading for every block in forward order."""
    try:
        with without_compiler():
            return list(_readings(shadow_of(model), torch.empty(1, 3, size_px, size_px, device="meta")))
    except (RuntimeError, NotImplementedError):  # an architecture that looks at numbers on its way
        return list(_readings(model, torch.zeros(1, 3, size_px, size_px)))


def _readings(model: nn.Module, x: Tensor) -> Iterator[_Reading]:
    """Yield a reading behind each block of the trunk, or each stage of a model without one."""
    trunk = trunk_of(model, x.shape[2])
    with torch.no_grad():
        if trunk is None:
            names = [info["module"] for info in _feature_info(model)]
            maps = readings_of(model, x)
            for stage, activation in enumerate(maps):
                with FlopCounterMode(display=False) as counter:
                    readings_of(model, x, indices=[stage])
                name = POOL if stage == len(maps) - 1 else names[stage]
                yield _Reading(name, activation, counter.get_total_flops() // 2, stage, name != POOL)
            return
        cost = 0
        for step in trunk:
            with FlopCounterMode(display=False) as counter:
                x = step.module(x)
            cost += counter.get_total_flops() // 2
            if step.stage is not None:
                yield _Reading(step.name, x, cost, step.stage, step.name != POOL or num_layers(step.module) > 0)


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
