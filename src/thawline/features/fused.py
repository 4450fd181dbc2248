"""A folded network on a processor -> the same network, its convolutions and linear layers computed by oneDNN.

On one thread torch chooses a slow way for 1×1 convolutions in float32, a clamp reads and writes every activation once
more, and padding to the same size copies it. oneDNN does all three at once: half the time of a float32 pass
(docs/decisions/0024-float32-answers.md). Linear layers in float32 go to MKL, which on an AMD processor multiplies at
less than half of oneDNN's speed (docs/decisions/0051-which-engine-reads.md). The same sums in another order: outputs
agree to rounding.
"""

from __future__ import annotations

from thawline.features import light_import  # noqa: F401  # before timm

# isort: split

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["can_fuse", "fuse_convolutions", "fuse_linear"]

Activation = tuple[str, list[float | None], str]
NO_ACTIVATION: Activation = ("none", [], "")


def can_fuse(device: str, dtype: torch.dtype) -> bool:
    """Return whether oneDNN runs whole convolutions there in that number format."""
    if device != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def fuse_convolutions(model: nn.Module, pairs: Sequence[tuple[str, str]]) -> None:
    """Replace every plain convolution of a frozen model by one that runs in a single call; `model` changes.

    Args:
        model: In `eval()`, its batch norms folded.
        pairs: (convolution, norm) paths where the norm was folded; an activation that it kept moves to the convolution.
    """
    norm_of = dict(pairs)
    for path, convolution in list(model.named_modules()):
        if type(convolution) not in (nn.Conv2d, Conv2dSame) or not _is_simple(convolution):
            continue
        activation = NO_ACTIVATION
        if path in norm_of:
            activation = _activation(model.get_submodule(norm_of[path])) or NO_ACTIVATION
            if activation != NO_ACTIVATION:
                _replace(model, norm_of[path], nn.Identity().eval())
        _replace(model, path, _Fused(convolution, activation).eval())


def fuse_linear(model: nn.Module) -> None:
    """Replace every plain linear layer of a frozen model by one that oneDNN multiplies; `model` changes.

    Args:
        model: In `eval()`.
    """
    for path, layer in list(model.named_modules()):
        if type(layer) is nn.Linear and path:
            _replace(model, path, _Linear(layer).eval())


def _is_simple(convolution: Any) -> bool:
    """Whether its padding is one of zeros on all sides, or to the same size."""
    is_same = isinstance(convolution, Conv2dSame)
    return convolution.padding_mode == "zeros" and (is_same or not isinstance(convolution.padding, str))


def _activation(rest: nn.Module) -> Activation | None:
    """Return what oneDNN calls the activation that is left of a folded norm; None where it does not know it."""
    layers = [layer for layer in rest.modules() if not isinstance(layer, nn.Sequential | nn.Identity)]
    if len(layers) != 1:
        return None
    (layer,) = layers
    if type(layer) is nn.ReLU:
        return "relu", [], ""
    if type(layer) is nn.ReLU6:
        return "hardtanh", [0.0, 6.0], ""
    return ("swish", [], "") if type(layer) is nn.SiLU else None


class _Fused(nn.Conv2d):
    """A convolution, its padding and its activation; weights and settings are those of the one it replaces.

    oneDNN pads both ends of a side alike. Where `same` asks for one more at the far end, the kernel is widened by zeros
    at its near end instead, which pads that end by one more as well.
    """

    wide: Tensor | None

    def __init__(self, convolution: Any, activation: Activation) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({name: value for name, value in vars(convolution).items() if name[0] != "_"})
        self.weight, self.bias = convolution.weight, convolution.bias
        self.is_same, self.activation = isinstance(convolution, Conv2dSame), activation
        widened = F.pad(self.weight, (1, 0, 1, 0)) if self.is_same and max(self.stride) > 1 else None
        self.register_buffer("wide", widened, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of the convolution of `x`."""
        weight, padding = self.weight, list(self.padding)
        if self.is_same:
            sides = zip(x.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True)
            before, after = zip(*(_same_padding(*side) for side in sides), strict=True)
            padding = list(before)
            if before != after:
                if self.wide is None or any(b + 1 != a for b, a in zip(before, after, strict=True)) or self._is_spread:
                    x, padding = F.pad(x, (before[1], after[1], before[0], after[0])), [0, 0]
                else:
                    weight, padding = self.wide, list(after)
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, padding, self.stride, self.dilation, self.groups, *self.activation
        )
        return output

    @property
    def _is_spread(self) -> bool:
        """Whether the places of the kernel lie apart, so that it cannot be widened by one."""
        return max(self.dilation) > 1


class _Linear(nn.Linear):
    """A linear layer that oneDNN multiplies in float32; weight and bias are those of the one it replaces."""

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for `x`; formats other than float32 take torch's own way, which is oneDNN's."""
        if x.dtype != torch.float32 or x.numel() == 0:
            return super().forward(x)
        output: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, *NO_ACTIVATION)
        return output


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the zeros before and after a side, so that there is an output for every `stride` of it."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put `module` where `path` leads."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
