"""A forward pass, watched on a shadow of the model -> which modules it called, in order, and what was handed to whom.

What one module puts out and the next takes in is compared by identity: where it is the very tensor, unchanged since,
nothing happens between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Call", "Held", "is_chain", "watched"]


@dataclass(frozen=True)
class Held:
    """A tensor at a moment; one that was changed in place since is another."""

    tensor: Tensor
    version: int

    @classmethod
    def of(cls, value: Any) -> Held | None:
        """Return a value as it is now, None if it is no single tensor."""
        return cls(value, value._version) if isinstance(value, Tensor) else None

    def is_same(self, other: Held | None) -> bool:
        """Whether both are the very tensor with the same contents."""
        return other is not None and self.tensor is other.tensor and self.version == other.version


@dataclass
class Call:
    """A module's call, or the whole pass.

    Attributes:
        path: Of the module in the model; empty for the whole pass.
        module: The shadow's.
        given: What it took first; None if that was no tensor.
        rest: Everything else that it took, by position and by name.
        result: What it put out; None if that was no tensor.
        calls: Those that it made itself, in order.
    """

    path: str
    module: nn.Module
    given: Held | None
    rest: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    result: Held | None = None
    calls: list[Call] = field(default_factory=list)


def watched(shadow: nn.Module, run: Callable[[Tensor], Any], *, x: Tensor) -> Call:
    """Return the call `run(x)` with all calls of the shadow's modules that it made.

    Raises:
        RuntimeError, NotImplementedError: The architecture looks at numbers on its way, which a shadow does not have.
    """
    whole = Call("", shadow, Held.of(x))
    open_calls = [whole]

    def begins(path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = Call(path, module, Held.of(args[0]) if args else None, (args[1:], dict(kwargs)))
        open_calls[-1].calls.append(call)
        open_calls.append(call)

    def ends(output: Any) -> None:
        open_calls.pop().result = Held.of(output)

    hooks = []
    for path, module in shadow.named_modules():
        if path:
            hooks.append(
                module.register_forward_pre_hook(
                    lambda module, args, kwargs, path=path: begins(path, module, args, kwargs), with_kwargs=True
                )
            )
            hooks.append(module.register_forward_hook(lambda _, __, output: ends(output)))
    try:
        with torch.no_grad():
            whole.result = Held.of(run(x))
    finally:
        for hook in hooks:
            hook.remove()
    return whole


def is_chain(calls: list[Call]) -> bool:
    """Whether each call takes the very tensor that the one before it put out, and nothing else that is a tensor."""
    alone = all(call.given and call.result and not _has_tensors(call.rest) for call in calls)
    pairs = pairwise(calls)
    return alone and all(a.result is not None and a.result.is_same(b.given) for a, b in pairs)


def _has_tensors(value: Any) -> bool:
    """Whether there is a tensor anywhere in positional and named arguments."""
    if isinstance(value, dict):
        return any(_has_tensors(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_tensors(item) for item in value)
    return isinstance(value, Tensor)
