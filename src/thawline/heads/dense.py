"""A head with a hidden layer: raw features -> dense -> ReLU -> dense -> logits.

It is trained by epochs (`train`); no solver exists for it. This module only predicts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats
from thawline.heads.columns import Columns

__all__ = ["DenseHead"]


@dataclass(frozen=True)
class DenseHead:
    """A head of two dense layers: logits = max(columns.apply(features) @ weight1 + bias1, 0) @ weight2 + bias2.

    Attributes:
        columns: Preparation of the raw features.
        weight1: (D, H) float32; H hidden units.
        bias1: (H,) float32.
        weight2: (H, K) float32.
        bias2: (K,) float32.
    """

    columns: Columns
    weight1: Floats
    bias1: Floats
    weight2: Floats
    bias2: Floats

    def __repr__(self) -> str:
        return f"<DenseHead: {len(self.weight1):,} columns, {len(self.bias2):,} classes>"

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logits of (N, D) raw features."""
        hidden = np.maximum(self.columns.apply(features) @ self.weight1 + self.bias1, 0)
        return hidden @ self.weight2 + self.bias2
