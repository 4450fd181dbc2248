"""A model in any form, golden pictures -> how far it is from the answers that they must get.

One idea: pictures go from their files through all of it: decode, preparation, network, head. Whatever form the model
has, one rule says whether it passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thawline.core.errors import BundleError, DataError
from thawline.use.answer import Answer, Answering
from thawline.use.exports.golden import GoldenPicture

__all__ = ["PIXELS_ALLOWED", "TENSOR_ALLOWED", "Proof", "prove"]

TENSOR_ALLOWED = 1e-4
"""How far a probability may be off where pictures are prepared as in training."""

PIXELS_ALLOWED = 1e-3
"""The same where the export resizes pictures itself."""


@dataclass(frozen=True)
class Proof:
    """What came of it.

    Attributes:
        max_difference: Largest difference of a probability, or of how strange a picture looks.
        agreement: Share of the pictures that get the same most probable class; classes that are tied within what is
            allowed count as the same.
        num_pictures: Golden pictures.
        worst: Name of the picture with the largest difference.
        allowed: Difference that is allowed; None where any is.
        least_agreement: Agreement that is required.
    """

    max_difference: float
    agreement: float
    num_pictures: int
    worst: str
    allowed: float | None
    least_agreement: float

    @property
    def passed(self) -> bool:
        """Whether the differences are allowed."""
        is_close = self.allowed is None or self.max_difference <= self.allowed
        return is_close and self.agreement >= self.least_agreement

    def words(self) -> str:
        """Return the differences in words, against what is allowed."""
        limit = "" if self.allowed is None else f" ({self.allowed:g} is allowed)"
        least = f" ({self.least_agreement:.0%} is required)" if self.least_agreement else ""
        return (
            f"of {self.num_pictures} golden pictures {self.worst} is the worst: its answer differs by "
            f"{self.max_difference:.2g}{limit}; the class is the same for {self.agreement:.1%} of them{least}"
        )


def prove(
    model: Answering, golden: Sequence[GoldenPicture], *, allowed: float | None, least_agreement: float = 1.0
) -> Proof:
    """Return how far a model is from the answers that golden pictures must get.

    Args:
        model: In any form.
        golden: One or more.
        allowed: Difference that is allowed.
        least_agreement: Share of the pictures whose class must be the same.

    Raises:
        BundleError: A picture gets no answer, or one of another form.
    """
    worst, most, same = golden[0].file, -1.0, 0
    for picture in golden:
        answer = _answer(model, picture)
        shares, expected = answer.probabilities[0], picture.shares
        off = float(np.abs(shares - expected).max())
        outside = answer.outside_of(0)
        if outside is not None and picture.outside is not None:
            off = max(off, abs(outside - picture.outside))
        same += bool(expected[shares.argmax()] >= expected.max() - 2 * (allowed or 0.0))
        if off > most:
            worst, most = picture.file, off
    return Proof(most, same / len(golden), len(golden), worst, allowed, least_agreement)


def _answer(model: Answering, picture: GoldenPicture) -> Answer:
    try:
        prepared, _ = model.prepare(picture.picture)
        answer = model.answers_to([prepared])
    except DataError as error:
        raise BundleError(f"verify: {picture.file} gets no answer: {error}. Export it again.") from None
    if answer.probabilities.shape != (1, len(picture.probabilities)):
        raise BundleError(
            f"verify: {picture.file} gets {answer.probabilities.shape[1]:,} probabilities; "
            f"{len(picture.probabilities):,} are required. Export it again."
        )
    return answer
