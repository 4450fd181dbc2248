"""timm and torchvision -> imported without torch's compiler, which nothing here needs and which takes 1.2 s to import.

One idea: some functions of timm, torchvision and torch itself are marked to be left alone by a compiler that this
process may never load. A stand-in notes the mark, and such a function asks the compiler only where there is one; for
anything else there is the real one. Modules of this floor import this one before timm.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch  # noqa: F401  # first: its own import must not see the stand-in

__all__ = ["without_compiler"]

NAMES = ("torch._dynamo", "torch._dynamo.utils")


class _Later(ModuleType):
    """Stands in for a module of the compiler until something of it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "is_compile_supported":
            return lambda *given: _real(self.__name__).is_compile_supported(*given)
        return _disable if name == "disable" else getattr(_real(self.__name__), name)


def _disable(fn: Callable[..., Any], recursive: bool = True, **options: Any) -> Callable[..., Any]:
    """Return a function that the compiler is to leave alone; it is asked to once it is there."""
    made: list[Callable[..., Any]] = []

    @functools.wraps(fn)
    def disabled(*args: Any, **kwargs: Any) -> Any:
        if not made:
            if isinstance(sys.modules.get(NAMES[0], _Later("")), _Later):
                return fn(*args, **kwargs)
            made.append(_real(NAMES[0]).disable(fn, recursive, **options))
        return made[0](*args, **kwargs)

    return disabled


def _real(name: str) -> Any:
    """Return the compiler's own module."""
    _take_away()
    return importlib.import_module(name)


def _take_away() -> None:
    for name in NAMES:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within it, whatever in this process wants torch's compiler gets a stand-in, unless it is loaded already."""
    if NAMES[0] in sys.modules:
        yield
        return
    sys.modules.update({name: _Later(name) for name in NAMES})
    try:
        yield
    finally:
        _take_away()


with without_compiler():
    importlib.import_module("timm")
