"""A strategy: what is read from the backbone, at which depths, and what is trained on top of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["HeadName", "Kind", "Strategy"]

Kind = Literal["scratch", "frozen", "partial", "full"]
HeadName = Literal["linear", "class mean", "k-NN"]


@dataclass(frozen=True)
class Strategy:
    """One way to turn a backbone into a classifier.

    Attributes:
        backbone: Name of the backbone, e.g. `efficientnet_lite0`.
        depths: Indices into `Backbone.cuts`, ascending; several mean that the head reads them all, fused.
        pooling: What is read at each depth: some of `mean`, `std`, `max`, `grid`, `token`.
        head: What is trained on the features.
        name: Short readable name, unique on a leaderboard, e.g. `efficientnet_lite0 · 2 blocks cut · linear`.
        cost: Cost of a prediction relative to the whole backbone at one reading, about 0 to 1.2; decides among ties.
        kind: How much of the backbone is trained; here always `frozen`.
        augment: Name of the augmentation policy; `none` reads each picture once.
        blocks_removed: Blocks above the deepest depth read; 0 means the whole backbone runs.
    """

    backbone: str
    depths: tuple[int, ...]
    pooling: tuple[str, ...]
    head: HeadName
    name: str
    cost: float
    kind: Kind = "frozen"
    augment: str = "none"
    blocks_removed: int = 0

    @property
    def is_fused(self) -> bool:
        """Whether the head reads more than one depth."""
        return len(self.depths) > 1
