"""Features of the frozen network -> a space in which near means alike: for neighbours, maps and what is strange.

One idea: cosine of standardised features, in the directions in which the pictures differ most, as the nearest
neighbours of `heads/nearest.py` see them. Labels are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Ints
from thawline.features.bank import Block
from thawline.features.joined_bank import Bank
from thawline.heads.rotation import rotate
from thawline.search.held_out import BankTable

__all__ = ["Space", "space_of"]

DIRECTIONS = 256
SIMILARITIES = 1 << 23
"""Similarities that are held at once."""


@dataclass(frozen=True)
class Space:
    """Where N pictures lie.

    Attributes:
        x: (N, d) float32 of unit length; the dot product of two rows is how alike they are, in [-1, 1].
    """

    x: Floats

    def __repr__(self) -> str:
        return f"<Space: {len(self.x):,} pictures in {self.x.shape[1]:,} directions>"

    def nearest(self, rows: Ints, among: Ints, *, k: int) -> tuple[Ints, Floats]:
        """Return (n, k) places of the pictures most alike, most alike first, and (n, k) how alike they are.

        A picture is not its own neighbour. Where there are fewer than k others, the last places are -1 and 0.

        Args:
            rows: (n,) pictures that are asked about.
            among: (m,) pictures that may be found.
            k: How many, at least one.
        """
        places = np.full((len(rows), k), -1, dtype=np.int64)
        alike = np.zeros((len(rows), k), dtype=np.float32)
        found = min(k, len(among))
        if not found:
            return places, alike
        keys = self.x[among].T
        at_once = max(1, SIMILARITIES // len(among))
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            similarity = self.x[part] @ keys
            similarity[part[:, None] == among] = -np.inf
            order = np.argsort(-similarity, axis=1, kind="stable")[:, :found]
            values = np.take_along_axis(similarity, order, axis=1)
            is_other = np.isfinite(values)
            stop = start + len(part)
            places[start:stop, :found] = np.where(is_other, among[order], -1)
            alike[start:stop, :found] = np.where(is_other, values, 0)
        return places, alike


def space_of(bank: Bank, hashes: Sequence[str], *, blocks: Sequence[Block]) -> Space:
    """Return where pictures lie in what is read at some blocks.

    Args:
        bank: Holds them.
        hashes: N picture hashes.
        blocks: (cut, pooling) pairs, as in `FeatureBank.read`.
    """
    rotated = rotate(BankTable((bank,), hashes, blocks))
    x: Floats = rotated.z[:, -DIRECTIONS:].numpy()
    lengths = np.sqrt(np.einsum("nd,nd->n", x, x))
    return Space(np.ascontiguousarray(x / np.maximum(lengths, 1e-12)[:, None]))
