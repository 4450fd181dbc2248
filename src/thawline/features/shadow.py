"""A model becomes its shadow: the same modules, whose tensors have shapes and no numbers, to be run in milliseconds."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

__all__ = ["shadow_of"]


def shadow_of(model: nn.Module) -> nn.Module:
    """Return a copy of `model` whose parameters and buffers have shapes and no numbers; takes milliseconds."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False) for p in model.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return copy.deepcopy(model, memo)
