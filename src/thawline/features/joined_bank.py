"""Banks of several networks, read as one: their columns side by side, network after network.

One idea: nothing is copied and nothing is loaded but what is asked for; a joined bank knows which bank holds a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from thawline.core.store import content_key
from thawline.core.types import Floats
from thawline.features.bank import BankSpec, Block, FeatureBank
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


Bank = FeatureBank | JoinedBank
"""What features are read from: one network's bank, or those of several."""


def banks_in(bank: Bank) -> tuple[FeatureBank, ...]:
    """Return the bank of every network."""
    return bank.banks if isinstance(bank, JoinedBank) else (bank,)


def join_banks(banks: Sequence[FeatureBank]) -> Bank:
    """Return the banks of several networks as one; a single bank is returned as it is."""
    return banks[0] if len(banks) == 1 else JoinedBank(banks)
