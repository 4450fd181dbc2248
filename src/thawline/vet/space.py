"""Features of the frozen network -> a space in which near means alike: for neighbours, maps and what is strange.

One idea: cosine of standardised features, in the directions in which the pictures differ most, as the nearest
neighbours of `heads/nearest.py` see them. Labels are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.features.bank import Block
from thawline.features.joined_bank import Bank
from thawline.heads.columns import Columns
from thawline.heads.rotation import MAX_DIRECTIONS, drawn_rows, rotate
from thawline.search.held_out import BankTable

__all__ = ["Space", "space_of"]

DIRECTIONS = 256
SIMILARITIES = 1 << 23
"""Similarities that are held at once."""
ROWS_AT_ONCE, MOST_AMONG = 4096, 50_000
"""Pictures that are read as one, and that neighbours are looked for among, where memory does not hold their places."""


@dataclass(frozen=True)
class Space:
    """Where N pictures lie.

    Attributes:
        x: (N, d) float32 of unit length; the dot product of two rows is how alike they are, in [-1, 1]. Of more
            pictures than memory holds, what reads the rows that it is asked for.
    """

    x: Floats | _OnDemand

    def __repr__(self) -> str:
        return f"<Space: {len(self.x):,} pictures in {self.x.shape[1]:,} directions>"

    def nearest(self, rows: Ints, among: Ints, *, k: int) -> tuple[Ints, Floats]:
        """Return (n, k) places of the pictures most alike, most alike first, and (n, k) how alike they are.

        A picture is not its own neighbour. Where there are fewer than k others, the last places are -1 and 0. Where
        memory does not hold the places, `MOST_AMONG` drawn pictures are searched.

        Args:
            rows: (n,) pictures that are asked about.
            among: (m,) pictures that may be found.
            k: How many, at least one.
        """
        places = np.full((len(rows), k), -1, dtype=np.int64)
        alike = np.zeros((len(rows), k), dtype=np.float32)
        if not isinstance(self.x, np.ndarray) and len(among) > MOST_AMONG:
            among = np.sort(np.random.default_rng(0).choice(among, MOST_AMONG, replace=False))
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


def space_of(bank: Bank, hashes: Sequence[str], *, blocks: Sequence[Block], is_held: bool = True) -> Space:
    """Return where pictures lie in what is read at some blocks.

    Args:
        bank: Holds them.
        hashes: N picture hashes.
        blocks: (cut, pooling) pairs, as in `FeatureBank.read`.
        is_held: Whether memory holds them; else each is read when it is asked for, in directions of drawn ones.
    """
    table = BankTable((bank,), hashes, blocks)
    if not is_held:
        return Space(_read_on_demand(table))
    return Space(_of_unit_length(rotate(table).z[:, -DIRECTIONS:].numpy()))


def _of_unit_length(x: Floats) -> Floats:
    lengths = np.sqrt(np.einsum("nd,nd->n", x, x))
    return np.ascontiguousarray(x / np.maximum(lengths, 1e-12)[:, None])


@dataclass(frozen=True)
class _OnDemand:
    """Places of pictures that are read from a table when they are asked for."""

    table: BankTable
    columns: Columns
    turn: Floats

    @property
    def shape(self) -> tuple[int, int]:
        return self.table.shape[0], self.turn.shape[1]

    def __len__(self) -> int:
        return self.table.shape[0]

    def __getitem__(self, rows: Ints | slice, /) -> Floats:
        wanted = np.arange(len(self))[rows]
        found: Floats = np.empty((len(wanted), self.turn.shape[1]), dtype=np.float32)
        for start in range(0, len(wanted), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            found[part] = _of_unit_length(self.columns.apply(self.table[wanted[part]]) @ self.turn)
        return found


def _read_on_demand(table: BankTable) -> _OnDemand:
    """Return the places of a table's rows in the directions in which drawn rows differ most."""
    few = np.arange(table.shape[0])[drawn_rows(table.shape[0], MAX_DIRECTIONS)]
    rotated = rotate(table, kept=few)
    turn = rotated.back(torch.eye(rotated.z.shape[1])[:, -DIRECTIONS:]).numpy()
    return _OnDemand(table, rotated.columns, turn)
