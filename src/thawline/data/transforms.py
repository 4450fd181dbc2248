"""A policy's name -> torchvision's transforms, drawing from a generator of their own.

torchvision draws from torch's global generator, which every thread of the process shares: seeding it would move other
code's random numbers, and other code's draws would move these. So every draw while a picture is transformed is
redirected to the picture's own generator, for the calling thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torchvision.transforms import v2

from thawline.core.types import Pixels

__all__ = ["transformed"]

GREY = 128
DRAWS = frozenset(
    {
        torch.rand,
        torch.randint,
        torch.randn,
        torch.randperm,
        torch.multinomial,
        torch._sample_dirichlet,
        torch.Tensor.uniform_,
        torch.Tensor.normal_,
    }
)


class _DrawingFrom(TorchFunctionMode):
    """Within it this thread's draws come from `generator` and leave torch's global one alone."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return func(*args, **({**kwargs, "generator": self._generator} if func in DRAWS else kwargs))


def transformed(pixels: Pixels, policy: str, *, seed: int) -> Pixels:
    """Return the picture as one of `data.augment.POLICIES`, other than `none`, alters it; see `augmented`.

    Args:
        pixels: (H, W, 3) uint8 RGB; left as they are.
        policy: `flip`, `crop`, `trivial`, `rand` or `augmix`, perhaps with `+erase`.
        seed: All that the draws depend on.
    """
    height, width, _ = pixels.shape
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    with _DrawingFrom(torch.Generator().manual_seed(seed)):
        for transform in _transforms(policy, height, width):
            x = transform(x)
    altered: Pixels = x.permute(1, 2, 0).contiguous().numpy()
    return altered


@cache
def _transforms(policy: str, height: int, width: int) -> tuple[v2.Transform, ...]:
    """Return what `policy` does, in order; transforms keep nothing between calls, so threads share them."""
    base, _, erase = policy.partition("+")
    return (*_base(base, height, width), *((v2.RandomErasing(p=0.25, value=GREY),) if erase else ()))


def _base(name: str, height: int, width: int) -> tuple[v2.Transform, ...]:
    """Return the transforms of a policy without its ending, at the strengths that their authors recommend."""
    flip = v2.RandomHorizontalFlip(p=0.5)
    smooth = v2.InterpolationMode.BILINEAR
    if name == "crop":
        bicubic = v2.InterpolationMode.BICUBIC
        return (
            v2.RandomResizedCrop((height, width), scale=(0.35, 1), ratio=(3 / 4, 4 / 3), interpolation=bicubic),
            flip,
        )
    if name == "trivial":
        return flip, v2.TrivialAugmentWide(interpolation=smooth, fill=GREY)
    if name == "rand":
        return flip, v2.RandAugment(interpolation=smooth, fill=GREY)
    if name == "augmix":
        return flip, v2.AugMix(interpolation=smooth, fill=GREY)
    return (flip,)
