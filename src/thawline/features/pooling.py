"""An activation becomes columns: what a cut point is reduced to before it is stored.

Statistics are taken in float32 whatever the network computes in. Mean and deviation come from one two-pass sum over
positions: exact, and on a processor faster than torch's own variance or sums of squares in bfloat16. `whole` reduces
nothing: it is how fine-tuning keeps the activations that a frozen prefix ends in, and it cannot be chosen for a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from thawline.core.errors import UsageError, first_few

__all__ = ["POOLINGS", "WHOLE", "pooled", "pooling_columns"]

POOLINGS = ("mean", "std", "max", "grid", "token")
WHOLE = "whole"
GRID_SIDE = 2


def pooling_columns(pooling: str, channels: int) -> int:
    """Return how many columns `pooling` makes of an activation with `channels` channels.

    Raises:
        UsageError: There is no such pooling.

    >>> pooling_columns("mean", 320), pooling_columns("grid", 320)
    (320, 1280)
    """
    _require_known([pooling], POOLINGS)
    return channels * GRID_SIDE**2 if pooling == "grid" else channels


def pooled(h: Tensor, poolings: Sequence[str], *, num_prefix_tokens: int) -> dict[str, Tensor]:
    """Return each pooling of one activation: (B, columns) float32 on the activation's device, any memory order.

    `mean`, `std` (population standard deviation) and `max` run over all positions and have C columns; `grid` is the
    means of a 2×2 grid, 4·C columns, channel by channel, its cells in reading order; `token` is the class token, or
    what the network has pooled itself.
    `whole` is the activation itself, position by position: H·W·C columns of a map, channels last, tokens·C of tokens,
    the prefix tokens included. Each picture is pooled alone.

    Args:
        h: A (B, C, H, W) map, or (B, tokens, C) with the prefix tokens first and the patches in reading order.
        poolings: Some of `mean`, `std`, `max`, `grid`, `token`, `whole`.
        num_prefix_tokens: Class and register tokens before the patches; they take part only in `token` and `whole`.

    Raises:
        UsageError: An unknown pooling, a class token where there is none, or a grid of tokens that form no square.
    """
    _require_known(poolings, (*POOLINGS, WHOLE))
    flat = h.permute(0, 2, 3, 1).flatten(1, 2) if h.ndim == 4 else h[:, num_prefix_tokens:]
    columns: dict[str, Tensor] = {}
    if "mean" in poolings or "std" in poolings:
        z = flat.to(torch.float32, copy=True)
        mean = z.sum(1, keepdim=True).div_(z.shape[1])
        columns["mean"] = mean.squeeze(1)
        if "std" in poolings:
            columns["std"] = z.sub_(mean).square_().sum(1).div_(z.shape[1]).sqrt_()
    if "max" in poolings:
        columns["max"] = flat.amax(1).float()
    if "grid" in poolings:
        columns["grid"] = adaptive_avg_pool2d(_as_map(h, flat).float(), GRID_SIDE).flatten(1)
    if "token" in poolings:
        if num_prefix_tokens == 0:
            raise UsageError("pooling: this network has no class token to read. Use mean, std, max or grid.")
        columns["token"] = (h[:, 0] if h.ndim == 3 else _only_position(h)).float()
    if WHOLE in poolings:
        positions_first = h.permute(0, 2, 3, 1) if h.ndim == 4 else h
        columns[WHOLE] = positions_first.to(torch.float32, copy=True).flatten(1)
    return {name: columns[name] for name in poolings}


def _only_position(h: Tensor) -> Tensor:
    """Return (B, C) of a map of one position: of a network of tokens, what it pools itself."""
    if h.shape[2] * h.shape[3] > 1:
        raise UsageError("pooling: a map has no class token to read. Use mean, std, max or grid.")
    return h[:, :, 0, 0]


def _as_map(h: Tensor, flat: Tensor) -> Tensor:
    """Return (B, C, H, W), with tokens laid out as the square that they came from."""
    if h.ndim == 4:
        return h
    side = isqrt(flat.shape[1])
    if side * side != flat.shape[1]:
        raise UsageError(f"pooling grid: {flat.shape[1]} patches form no square. Use a square input, or mean and std.")
    return flat.transpose(1, 2).reshape(flat.shape[0], -1, side, side)  # len() would fix the batch of an exported graph


def _require_known(poolings: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that are no pooling."""
    unknown = [pooling for pooling in poolings if pooling not in known]
    if unknown:
        raise UsageError(f"pooling: {first_few(unknown)} is not known. Choose from {', '.join(POOLINGS)}.")
