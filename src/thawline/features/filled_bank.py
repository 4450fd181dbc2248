"""A pass over pictures -> the bank that it filled and what filling it took, with what reading it has found since.

One idea: rows are verified when they are first read, so what was damaged is known only afterwards; these numbers grow.
"""

from __future__ import annotations

from dataclasses import dataclass

from thawline.features.bank import FeatureBank

__all__ = ["Extraction"]


@dataclass(frozen=True)
class Extraction:
    """A filled bank and what filling it took.

    Attributes:
        bank: Holds every picture of the data set.
        num_lacking: Pictures that the bank lacked, and that ran through the backbone in this call.
        seconds: Wall time of this call, opening included; opening all views counts for the first.
    """

    bank: FeatureBank
    num_lacking: int
    seconds: float

    @property
    def num_extracted(self) -> int:
        """Pictures that ran through the backbone in this call, or since then because their rows were damaged."""
        return self.num_lacking + self.bank.num_remade

    @property
    def num_damaged(self) -> int:
        """Rows found damaged so far: each is verified when it is first read, and then extracted again."""
        return self.bank.num_damaged
