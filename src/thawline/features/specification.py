"""What determines the numbers in a bank <-> its name, and where a block's columns lie in a row.

One idea: the name is the hash of everything that determines a number, and of nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thawline.core.errors import StoreError
from thawline.core.runtime import EngineName
from thawline.core.store import content_key
from thawline.core.types import InputSpec
from thawline.features.segment import DIGEST_BYTES

__all__ = ["BankSpec", "Block", "bank_form", "spec_key"]

FORMAT = 1
Block = tuple[int, str]


@dataclass(frozen=True)
class BankSpec:
    """Everything that determines the numbers in a bank.

    Attributes:
        backbone_name: For display only; the hash of the weights identifies it.
        weights_sha256: Hash of the tensors of the backbone.
        input: Input preparation.
        views: Names of the V views of a picture; `("plain",)` reads each once, unaltered.
        compute: Number format of the pass.
        storage: Number format on disk.
        cuts: Module and channels of every cut point, shallow to deep.
        poolings: What is kept at every cut.
        blocks: (cut index, pooling, columns) in the order of a row's columns.
        engine: What computed them; the eager one is not named in the key, as banks were before there were others.
    """

    backbone_name: str
    weights_sha256: str
    input: InputSpec
    views: tuple[str, ...]
    compute: str
    storage: Literal["float16", "float32"]
    cuts: tuple[tuple[str, int], ...]
    poolings: tuple[str, ...]
    blocks: tuple[tuple[int, str, int], ...]
    engine: EngineName = "eager"

    def __repr__(self) -> str:
        return f"<BankSpec {self.key}: {self.width:,} columns of {self.backbone_name}, view {', '.join(self.views)}>"

    @cached_property
    def key(self) -> str:
        """The bank's name: 32 hex digits."""
        return spec_key(self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """What `bank.json` says of the bank."""
        facts = {"format": FORMAT, **asdict(self), "input": self.input.facts()}
        return {name: fact for name, fact in facts.items() if (name, fact) != ("engine", "eager")}

    @cached_property
    def columns(self) -> dict[Block, slice]:
        """(cut, pooling) → where its columns lie in a row."""
        columns, start = {}, 0
        for cut, pooling, width in self.blocks:
            columns[cut, pooling] = slice(start, start + width)
            start += width
        return columns

    @property
    def widths(self) -> dict[Block, int]:
        """(cut, pooling) → how many columns it has."""
        return {(cut, pooling): width for cut, pooling, width in self.blocks}

    @property
    def width(self) -> int:
        """Columns of one view of one picture."""
        return sum(width for _, _, width in self.blocks)

    @property
    def row_bytes(self) -> int:
        """Bytes of one picture on disk, with its hash and checksum."""
        return len(self.views) * self.width * np.dtype(self.storage).itemsize + DIGEST_BYTES + 4


def spec_key(facts: dict[str, Any]) -> str:
    """Return the name of the bank that `bank.json` describes; the backbone's name is no part of it."""
    return content_key({name: value for name, value in facts.items() if name != "backbone_name"})


def bank_form(directory: Path) -> tuple[str, tuple[int, int]]:
    """Return (number format, (V, width)) of the rows of a bank, as its description says.

    Raises:
        StoreError: The description is damaged.
    """
    try:
        facts = json.loads((directory / "bank.json").read_bytes())
        storage, num_views = str(np.dtype(facts["storage"])), len(facts["views"])
        return storage, (num_views, sum(int(width) for _, _, width in facts["blocks"]))
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise StoreError(
            f"open the bank: {directory / 'bank.json'} is damaged ({error}). The next run that uses the bank writes it "
            "again."
        ) from None
