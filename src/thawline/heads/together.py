"""Raw features -> several linear heads, each on some of the columns -> the logits of their mean probabilities.

One idea: heads that read different depths of the same pass err on different pictures, and their mean is right more
often than the best of them. It is a head like any other: log of the mean of the members' softmax(logits / T).

Source: Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models", ICML 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from thawline.core.types import Floats
from thawline.heads.linear import LinearHead

__all__ = ["Member", "TogetherHead"]


@dataclass(frozen=True)
class Member:
    """One head of several.

    Attributes:
        reads: (D,) bool; the columns of the features that it reads, in their order.
        head: Solved on them.
        temperature: Divides its logits before they become probabilities.
    """

    reads: npt.NDArray[np.bool_]
    head: LinearHead
    temperature: float


@dataclass(frozen=True)
class TogetherHead:
    """A head of M linear heads that answer together.

    Attributes:
        members: One or more; a head that counts twice stands twice.
    """

    members: tuple[Member, ...]

    def __repr__(self) -> str:
        columns = len(self.members[0].reads)
        return f"<TogetherHead: {len(self.members)} heads on {columns:,} columns>"

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logarithms of the members' mean probabilities of (N, D) raw features."""
        shares = [
            log_softmax(member.head.logits(features[:, member.reads]).astype(np.float64) / member.temperature, axis=1)
            for member in self.members
        ]
        together: Floats = (logsumexp(shares, axis=0) - np.log(len(shares))).astype(np.float32)
        return together
