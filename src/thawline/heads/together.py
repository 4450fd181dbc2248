"""Raw features -> several linear heads, each on some of the columns -> the logits of their mean probabilities.

One idea: heads that read different depths of the same pass err on different pictures, and their mean is right more
often than the best of them. It is a head like any other: log of the mean of the members' softmax(logits / T).

Source: Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models", ICML 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from thawline.core.types import Floats, Ints
from thawline.heads.adjust import adjusted
from thawline.heads.linear import LinearHead, fit_linear

__all__ = ["Member", "TogetherHead", "fit_together"]


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


def fit_together(
    features: Floats,
    labels: Ints,
    *,
    reads: Sequence[npt.NDArray[np.bool_]],
    strengths: Sequence[float],
    temperatures: Sequence[float],
    num_classes: int,
    row_weights: Floats | None = None,
    adjusts: float = 0.0,
) -> TogetherHead:
    """Return M heads, each trained on its columns of all rows.

    Args:
        features: (N, D) raw features.
        labels: (N,) class indices.
        reads: M masks (D,) of the columns that each head reads.
        strengths: M L2 strengths, as in `fit_linear`.
        temperatures: M temperatures.
        num_classes: K.
        row_weights: As in `fit_linear`.
        adjusts: As `part` in `adjusted`.
    """
    members = []
    for mask, l2, temperature in zip(reads, strengths, temperatures, strict=True):
        head = fit_linear(features[:, mask], labels, l2=l2, num_classes=num_classes, row_weights=row_weights)
        members.append(Member(mask, adjusted(head, labels, part=adjusts), temperature))
    return TogetherHead(tuple(members))
