"""Depthwise convolutions on a CPU whose backward pass takes the fast ways: the same gradients, several times sooner.

In bfloat16 oneDNN has no fast kernel for two of the backward passes of a depthwise convolution: the input's gradient at
stride 2, and the weight's gradient of kernels larger than 3×3. On EfficientNet-Lite0 they are three quarters of a
training step. Both can be written in operations that are fast:

- the input's gradient is a depthwise convolution of the (spread out) output's gradient with the mirrored kernel;
- the weight's gradient at one place of the kernel is the sum over pictures and positions of input × output gradient,
  channels last, so that each of the k² sums is one product with a row of ones.

Measurements are in docs/decisions/0008-fast-depthwise.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["FastDepthwise", "depthwise_conv2d"]

Pair = tuple[int, int]


class FastDepthwise(TorchFunctionMode):
    """Within this context every depthwise convolution of the calling thread has the fast backward pass.

    Others run as always. It sees convolutions whatever module calls them, so no network is altered.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func`, or the fast convolution where it is a depthwise one."""
        given = dict(kwargs or {})
        if func is F.conv2d and not given and len(args) == 7:
            x, weight, bias, stride, padding, dilation, groups = args
            if _is_slow_depthwise(x, weight, groups=groups, stride=stride, padding=padding, dilation=dilation):
                return depthwise_conv2d(x, weight, bias=bias, stride=_pair(stride), padding=_pair(padding))
        return func(*args, **given)


def _is_slow_depthwise(x: Tensor, weight: Tensor, *, groups: int, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether it is a depthwise convolution with one of the two slow backward passes, and one that we can replace."""
    if groups == 1 or weight.shape[1] != 1 or weight.shape[0] != groups or isinstance(padding, str):
        return False
    if x.device.type != "cpu" or x.dtype != torch.bfloat16 or _pair(dilation) != (1, 1):
        return False
    strides, kernel = _pair(stride), weight.shape[2:]
    square = strides[0] == strides[1] and kernel[0] == kernel[1] and max(_pair(padding)) < kernel[0]
    return square and (strides[0] > 1 or kernel[0] > 3)


def _pair(value: Any) -> Pair:
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


def depthwise_conv2d(x: Tensor, weight: Tensor, *, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
    """Return the depthwise convolution (B, C, H', W') of (B, C, H, W) with (C, 1, k, k), with a fast backward pass.

    Equal strides, square kernels, no dilation. Gradients equal autograd's to the rounding of the number format.
    """
    y: Tensor = _Depthwise.apply(x, weight, bias, stride, padding)
    return y


class _Depthwise(torch.autograd.Function):
    """The convolution with both passes written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        """Return the convolution, keeping its operands."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, bias, stride, padding, 1, weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        """Return the gradients of input, weight and bias that are needed."""
        x, weight = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        steps = {"stride": ctx.stride, "padding": ctx.padding}
        of_input = _input_gradient(x, weight, g, **steps) if ctx.needs_input_grad[0] else None
        of_weight = _weight_gradient(x, weight, g, **steps) if ctx.needs_input_grad[1] else None
        of_bias = g.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_input, of_weight, of_bias, None, None


def _input_gradient(x: Tensor, weight: Tensor, g: Tensor, *, stride: Pair, padding: Pair) -> Tensor:
    """Return the gradient of `x`: `g`, spread out by the stride, convolved with the mirrored kernel."""
    (batch, channels, height, width), k, step = x.shape, weight.shape[-1], stride[0]
    if step > 1:
        spread = g.new_zeros(
            (batch, channels, height + 2 * padding[0] - k + 1, width + 2 * padding[1] - k + 1)
        ).contiguous(memory_format=torch.channels_last)
        spread[:, :, ::step, ::step] = g
        g = spread
    rest = (k - 1 - padding[0], k - 1 - padding[1])
    return F.conv2d(g, weight.flip(2, 3), None, 1, rest, 1, channels)


def _weight_gradient(x: Tensor, weight: Tensor, g: Tensor, *, stride: Pair, padding: Pair) -> Tensor:
    """Return the gradient of `weight`, place by place of the kernel.

    On small maps a place may see nothing but padding; oneDNN's kernel leaves its gradient unset there, not zero.
    """
    channels, k, step = weight.shape[0], weight.shape[-1], stride[0]
    if k <= 3 and min(x.shape[2:]) >= k + step:
        masks = [False, True, False]
        native: Tensor = torch.ops.aten.convolution_backward(
            g, x, weight, None, list(stride), list(padding), [1, 1], False, [0, 0], channels, masks
        )[1]
        return native
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    flat = g.permute(0, 2, 3, 1)
    _, height, width, _ = flat.shape
    ones = flat.new_ones(1, flat.numel() // channels)
    gradient = torch.empty(k, k, channels)
    for i in range(k):
        for j in range(k):
            seen = padded[:, i : i + step * height : step, j : j + step * width : step]
            gradient[i, j] = (ones @ (seen * flat).reshape(-1, channels))[0]
    return gradient.permute(2, 0, 1)[:, None].to(weight.dtype)
