"""How stored values become 8-bit RGB where a file alone does not say, and how a picture meets a square.

It needs nothing but the standard library, so that a worker process that decodes starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["AS_BEFORE", "Background", "Fit", "Levels", "Rendering"]

Background = Literal["white", "black", "grey"]
Fit = Literal["crop", "letterbox", "stretch"]
"""How a picture that is not square meets the square: see `core.types.InputSpec`."""


@dataclass(frozen=True)
class Levels:
    """The range of stored values that become black to white, for one kind of picture of more than 8 bits.

    Attributes:
        kind: How values are stored, in words: `16-bit`, `32-bit float`, …; see `data.levels`.
        low: The value that becomes black, and all below it.
        high: The value that becomes white, and all above it.
    """

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Rendering:
    """What was found once for all pictures of a set, and is kept with its model.

    Attributes:
        levels: The range of every deep kind that the set has, one each, sorted by kind.
        background: What shows through transparent pixels.
    """

    levels: tuple[Levels, ...] = ()
    background: Background = "white"

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Rendering:
        """Return the rendering that `dataclasses.asdict` made plain data of."""
        return cls(tuple(Levels(**item) for item in facts["levels"]), facts["background"])


AS_BEFORE = Rendering(levels=(Levels("16-bit", 0, 65535),))
"""What models did whose folders say nothing about it."""
