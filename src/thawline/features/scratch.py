"""The networks that start from random weights, by name, without torch: the usual first steps of a course.

They are the baseline that a pretrained backbone must beat. `features.scratch_cnn` builds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["SCRATCH", "ScratchNetwork"]


@dataclass(frozen=True)
class ScratchNetwork:
    """One network of the list.

    Attributes:
        size_px: Side of its input unless another is asked for.
        takes_any_size: Whether another can be asked for.
    """

    size_px: int
    takes_any_size: bool = True

    @property
    def config(self) -> dict[str, Any]:
        """Its settings under timm's names: pixels from -1 to 1, resized bicubically."""
        return {
            "input_size": (3, self.size_px, self.size_px),
            "fixed_input_size": not self.takes_any_size,
            "mean": (0.5,) * 3,
            "std": (0.5,) * 3,
            "interpolation": "bicubic",
            "classifier": "classifier",
        }


SCRATCH: dict[str, ScratchNetwork] = {
    "tutorial_cnn": ScratchNetwork(32, takes_any_size=False),
    "simple_cnn": ScratchNetwork(64),
    "deep_cnn": ScratchNetwork(32),
}
