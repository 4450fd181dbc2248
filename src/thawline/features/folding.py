"""A frozen model becomes the same model with each batch norm folded into the convolution before it.

In `eval()` a batch norm is a fixed scale and shift, so the convolution can carry it. Which norm belongs to which
convolution is not guessed from names: a shadow of the model runs once, and a pair is folded where the norm receives the
very tensor that the convolution put out.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

import copy
from collections.abc import Mapping
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from thawline.core.errors import first_few
from thawline.features.families import family_steps
from thawline.features.fused import fuse_convolutions, fuse_linear
from thawline.features.shadow import shadow_of
from thawline.features.trunk import activations_of

__all__ = ["fold_and_fuse", "fold_batch_norms", "unfold_batch_norms"]

PLAIN_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)


def fold_batch_norms(model: nn.Module, size_px: int) -> nn.Module:
    """Return a copy of `model` with its batch norms folded; outputs agree to rounding, in `eval()` only.

    Convolutions that change their weights on the way (standardised, mixed, conditional) keep their norms, and so does
    everything where the shadow cannot run. An architecture that is not written out is folded only if a random
    input gives the same activations wherever it is read.

    Args:
        model: In `eval()`; left as it is.
        size_px: Side of a square input that the model takes.
    """
    folded, pairs = _folded(model, size_px)
    if pairs and family_steps(model) is None and not _agree(model, folded, size_px):
        folded = copy.deepcopy(model)
    return folded.requires_grad_(False)


def fold_and_fuse(model: nn.Module, size_px: int) -> nn.Module:
    """Return a copy as `fold_batch_norms` does, whose layers oneDNN computes: for a processor, see `fused`.

    A network with weights that are no numbers is folded only: oneDNN's activations would turn them into zeros, unseen.

    Args:
        model: In `eval()`, on the CPU; left as it is.
        size_px: As for `fold_batch_norms`.
    """
    fused, pairs = _folded(model, size_px)
    if not all(tensor.isfinite().all() for tensor in fused.state_dict().values()):
        return fold_batch_norms(model, size_px)
    fuse_convolutions(fused, pairs)
    fuse_linear(fused)
    if family_steps(model) is None and not _agree(model, fused, size_px):
        return fold_batch_norms(model, size_px)
    return fused.requires_grad_(False)


def _folded(model: nn.Module, size_px: int) -> tuple[nn.Module, list[tuple[str, str]]]:
    """Return a copy with its batch norms folded, and the (convolution, norm) paths that were."""
    folded = copy.deepcopy(model)
    pairs = _pairs(model, size_px)
    for convolution_name, norm_name in pairs:
        convolution: Any = folded.get_submodule(convolution_name)
        norm: Any = folded.get_submodule(norm_name)
        rest = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
        _replace(folded, convolution_name, fuse_conv_bn_eval(convolution, norm))
        _replace(folded, norm_name, rest.eval())
    return folded, pairs


def unfold_batch_norms(model: nn.Module, trained: Mapping[str, Tensor], *, size_px: int) -> nn.Module:
    """Return a copy of `model` that computes what its folded copy does after training; what was not trained stays.

    A trained convolution keeps its folded weights. The norm behind it only adds the bias: mean 0,
    scale 1, and the variance at which its epsilon makes the divisor 1.

    Args:
        model: As it was folded.
        trained: Tensors of the folded copy's trained parameters, by name.
        size_px: As it was folded for.

    Raises:
        ValueError: A name that the folded copy does not have.
    """
    unfolded = copy.deepcopy(model)
    folded = fold_batch_norms(model, size_px)
    if strangers := sorted(trained.keys() - dict(folded.named_parameters()).keys()):
        raise ValueError(
            f"unfold: {first_few(strangers, 3)} are not parameters of the folded network. Pass those of its copy."
        )
    pairs = _pairs(model, size_px)
    norm_of = {name: norm for name, norm in pairs if not isinstance(folded.get_submodule(norm), nn.BatchNorm2d)}
    state = unfolded.state_dict()
    with torch.no_grad():
        for name, tensor in trained.items():
            owner, _, kind = name.rpartition(".")
            if owner not in norm_of or kind != "bias":
                state[name].copy_(tensor)
                continue
            norm: Any = unfolded.get_submodule(norm_of[owner])
            norm.weight.fill_(1.0)
            norm.bias.copy_(tensor)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)
            if f"{owner}.bias" in state:
                state[f"{owner}.bias"].zero_()
    return unfolded.requires_grad_(False)


def _agree(model: nn.Module, folded: nn.Module, size_px: int) -> bool:
    """Whether both give the same activations; some architectures are read between convolution and norm."""
    like = next(model.parameters())
    x = torch.randn(1, 3, size_px, size_px, generator=torch.Generator().manual_seed(0)).to(like)
    with torch.no_grad():
        copies = copy.deepcopy(model), copy.deepcopy(folded)  # some architectures keep what they computed
        maps = zip(*(activations_of(network, x) for network in copies), strict=True)
        return all(torch.allclose(b, a, rtol=1e-3, atol=1e-3 * float(a.abs().max())) for a, b in maps)


def _pairs(model: nn.Module, size_px: int) -> list[tuple[str, str]]:
    """Return (convolution, batch norm) paths where the norm's input is the convolution's output, each used once."""
    shadow = shadow_of(model)
    outputs: dict[int, tuple[str, Tensor]] = {}  # the tensor is kept, so that its id is not given away again
    calls: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []

    def ran(name: str, output: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        outputs[id(output)] = (name, output)

    def receives(name: str, x: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        if id(x) in outputs:
            pairs.append((outputs[id(x)][0], name))

    for name, module in shadow.named_modules():
        if type(module) in PLAIN_CONVOLUTIONS:
            module.register_forward_hook(lambda _, __, output, name=name: ran(name, output))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            module.register_forward_pre_hook(lambda _, inputs, name=name: receives(name, inputs[0]))
    try:
        with torch.no_grad():
            shadow(torch.empty(1, 3, size_px, size_px, device="meta", dtype=next(shadow.parameters()).dtype))
    except (RuntimeError, NotImplementedError):  # an architecture that looks at numbers on its way
        return []
    return [pair for pair in pairs if all(calls[name] == 1 for name in pair) and _alone(pairs, pair)]


def _alone(pairs: list[tuple[str, str]], pair: tuple[str, str]) -> bool:
    """Whether the convolution feeds no second norm."""
    return sum(convolution == pair[0] for convolution, _ in pairs) == 1


def _replace(model: Any, path: str, module: nn.Module) -> None:
    """Put `module` where `path` leads."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
