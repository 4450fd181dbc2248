"""Banks of several networks, read as one: their columns side by side, network after network.

One idea: nothing is copied and nothing is loaded but what is asked for; a joined bank knows which bank holds a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from thawline.core.store import content_key
from thawline.core.types import Floats, Ints
from thawline.features.bank import ROWS_AT_ONCE, BankSpec, Block, FeatureBank
from thawline.features.joined import joined_blocks, own_blocks

__all__ = ["Bank", "JoinedBank", "banks_in", "join_banks"]


class JoinedBank:
    """Open banks of several networks, which hold the same pictures.

    Attributes:
        banks: One a network, in the order of their cuts.
    """

    def __init__(self, banks: Sequence[FeatureBank]) -> None:
        self.banks = tuple(banks)

    def __repr__(self) -> str:
        return f"<JoinedBank: {len(self.banks)} banks, {self.spec.width:,} columns>"

    @property
    def num_cuts(self) -> tuple[int, ...]:
        """Cuts of each network."""
        return tuple(len(bank.spec.cuts) for bank in self.banks)

    @cached_property
    def spec(self) -> BankSpec:
        """What the banks hold, with cuts numbered on; input and formats are the first one's."""
        specs = [bank.spec for bank in self.banks]
        blocks = joined_blocks([[block[:2] for block in spec.blocks] for spec in specs], self.num_cuts)
        widths = [width for spec in specs for _, _, width in spec.blocks]
        return replace(
            specs[0],
            backbone_name=" + ".join(spec.backbone_name for spec in specs),
            weights_sha256=content_key([[spec.weights_sha256, spec.input.facts()] for spec in specs]),
            cuts=tuple(cut for spec in specs for cut in spec.cuts),
            poolings=tuple(dict.fromkeys(pooling for spec in specs for pooling in spec.poolings)),
            blocks=tuple((cut, pooling, width) for (cut, pooling), width in zip(blocks, widths, strict=True)),
        )

    @property
    def key(self) -> str:
        """Names of the banks."""
        return " + ".join(bank.key for bank in self.banks)

    def read(self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0) -> Floats:
        """Return the features of pictures: (N, D) float32, the blocks side by side in the order given.

        Args:
            sha256s: N picture hashes; all must be in every bank that is read.
            blocks: (cut, pooling) pairs of the joined networks, network after network.
            view: Which of the V views.

        Raises:
            StoreError: As `FeatureBank.read`.
            ValueError: As `own_blocks`.
        """
        parts = own_blocks(blocks, self.num_cuts)
        read = [bank.read(sha256s, part, view=view) for bank, part in zip(self.banks, parts, strict=True) if part]
        return read[0] if len(read) == 1 else np.concatenate(read, axis=1)

    def iter_rows(
        self, sha256s: Sequence[str], blocks: Sequence[Block], *, view: int = 0, rows_at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[Ints, Floats]]:
        """Yield (positions, rows) as `FeatureBank.iter_rows` does, in the order of the first bank that is read.

        Args:
            sha256s: N picture hashes; all must be in every bank that is read.
            blocks: (cut, pooling) pairs of the joined networks, network after network.
            view: Which of the V views.
            rows_at_once: The most rows of one step, at least 1.

        Yields:
            (n,) int64 positions in `sha256s` and (n, D) float32 features, n ≤ `rows_at_once`.

        Raises:
            StoreError: As `FeatureBank.iter_rows`.
            ValueError: As `own_blocks`.
        """
        parts = own_blocks(blocks, self.num_cuts)
        (first, own), *others = [(bank, part) for bank, part in zip(self.banks, parts, strict=True) if part]
        for positions, rows in first.iter_rows(sha256s, own, view=view, rows_at_once=rows_at_once):
            hashes = [sha256s[position] for position in positions.tolist()] if others else []
            read = [rows, *(bank.read(hashes, part, view=view) for bank, part in others)]
            yield positions, read[0] if len(read) == 1 else np.concatenate(read, axis=1)


Bank = FeatureBank | JoinedBank
"""What features are read from: one network's bank, or those of several."""


def banks_in(bank: Bank) -> tuple[FeatureBank, ...]:
    """Return the bank of every network."""
    return bank.banks if isinstance(bank, JoinedBank) else (bank,)


def join_banks(banks: Sequence[FeatureBank]) -> Bank:
    """Return the banks of several networks as one; a single bank is returned as it is."""
    return banks[0] if len(banks) == 1 else JoinedBank(banks)
