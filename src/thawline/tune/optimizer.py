"""Trained parameters -> an optimiser whose groups carry their own step size, and its moments as named tensors.

A group holds parameters of one layer scale and one weight decay. `set_rate` multiplies each group's scale in, whatever
the schedule: a scale that only some schedules honour would silently do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thawline.tune.options import TuneOptions

__all__ = ["load_moments", "make_optimizer", "moments", "set_rate"]

LAYER_NDIMS = (2, 4)
"""Dimensions of the weights of linear layers and convolutions; tokens and position embeddings have three."""


def make_optimizer(
    parameters: Mapping[str, nn.Parameter], scales: Mapping[str, float], options: TuneOptions
) -> torch.optim.Optimizer:
    """Return the optimiser asked for, its groups by layer scale.

    Only weights of layers decay; biases, norms, tokens and position embeddings do not.

    Args:
        parameters: Name → parameter, in a fixed order.
        scales: Name → factor on the step size.
        options: `optimizer`, `momentum`, `decay`.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        decay = options.decay if parameter.ndim in LAYER_NDIMS else 0.0
        key = (scales[name], decay)
        group = groups.setdefault(key, {"params": [], "scale": key[0], "weight_decay": decay})
        group["params"].append(parameter)
    held = list(groups.values())
    if options.optimizer == "sgd":
        return torch.optim.SGD(held, lr=1e-3, momentum=options.momentum, nesterov=options.momentum > 0)
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(held, lr=1e-3)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its own share of the step size."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what the optimiser remembers, by `index/name`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_moments(optimizer: torch.optim.Optimizer, held: Mapping[str, Tensor]) -> None:
    """Put back what `moments` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in held.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
