"""Trained parameters -> an optimiser whose groups carry their own step size, and its moments as named tensors.

A group holds parameters of one layer scale and one weight decay. `set_rate` multiplies each group's scale in, whatever
the schedule: a scale that only some schedules honour would silently do nothing.
What scales float16's loss is here too.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thawline.core.runtime import Runtime
from thawline.train.hyperparameters import TrainOptions

__all__ = ["load_moments", "loss_scaler", "make_optimizer", "moments", "set_rate"]

LAYER_NDIMS = (2, 4)
"""Dimensions of the weights of linear layers and convolutions; tokens and position embeddings have three."""


def make_optimizer(
    parameters: Mapping[str, nn.Parameter], training: TrainOptions, *, scales: Mapping[str, float]
) -> torch.optim.Optimizer:
    """Return the optimiser that the options name, its groups by layer scale.

    Only weights of layers decay; biases, norms, tokens and position embeddings do not.

    Args:
        parameters: Name → parameter, in a fixed order.
        training: `optimizer`, `momentum`, `decay`.
        scales: Name → factor on the step size.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        decay = training.decay if parameter.ndim in LAYER_NDIMS else 0.0
        key = (scales[name], decay)
        group = groups.setdefault(key, {"params": [], "scale": key[0], "weight_decay": decay})
        group["params"].append(parameter)
    importlib.import_module("torch._dynamo")  # the first step would, and steps are measured
    parts = list(groups.values())
    if training.optimizer == "sgd":
        return torch.optim.SGD(parts, lr=1e-3, momentum=training.momentum, nesterov=training.momentum > 0)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(parts, lr=1e-3)


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


def load_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put back what `moments` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in saved.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def loss_scaler(runtime: Runtime, saved: Mapping[str, Any] | None) -> torch.amp.GradScaler:
    """Return what keeps float16's gradients from vanishing; for other formats it does nothing.

    Source: Micikevicius et al., "Mixed precision training", ICLR 2018.

    Args:
        runtime: Device and number format.
        saved: Its state as a checkpoint left it, or None.
    """
    scaler = torch.amp.GradScaler(torch.device(runtime.device).type, enabled=runtime.dtype == "float16")
    scaler.scale(torch.zeros((), device=runtime.device))  # it is set up with the first loss; ours are scaled elsewhere
    if saved is not None:
        scaler.load_state_dict(dict(saved))
    return scaler
