"""What every form of a model can do: prepare a picture, answer a batch of prepared ones; and the row that people read.

One idea: a model folder, an ONNX file and every other export answer the same three questions, so prediction, service
and verification are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from thawline.core.types import Floats, Pixels, Prediction
from thawline.data.images import MAX_MEGAPIXELS
from thawline.use.doubt import Doubt

__all__ = ["Answer", "Answering", "Prepared", "row_of"]

Item = TypeVar("Item")
Result = TypeVar("Result")

Prepared = tuple[Pixels, ...]
"""A picture as a model takes it: (H, W, 3) uint8 RGB, once for each of its inputs."""


@dataclass(frozen=True)
class Answer:
    """What a model says of B pictures.

    Attributes:
        probabilities: (B, K) float32, rows sum to 1.
        outside: (B,) float32 shares of the held-out training pictures that look less strange; None where the model does
            not know.
        places: (B, D) float32 of unit length, whose dot product is how alike two pictures are; None where the model
            does not tell.
    """

    probabilities: Floats
    outside: Floats | None
    places: Floats | None = None

    def outside_of(self, row: int) -> float | None:
        """Return how strange a picture looks, or None where that is not known."""
        return None if self.outside is None else float(self.outside[row])


class Answering(Protocol):
    """A model in memory, in whatever form. Threads may share it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the probabilities."""

    @property
    def doubt(self) -> Doubt | None:
        """When the model abstains; None where it answers always."""

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture as the model takes it, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.prepare`.
        """

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return what the model says of one or more prepared pictures, in order.

        Raises:
            DataError: The answer is not finite.
        """

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, computed by one thread a processor."""


def row_of(model: Answering, name: str, *, answer: Answer, place: int, remarks: Sequence[str] = ()) -> Prediction:
    """Return one picture's row of a model's answer, with what the model doubts about it.

    Args:
        model: That answered.
        name: Of the picture.
        answer: To a batch.
        place: Of the picture in the batch.
        remarks: What is odd about it.
    """
    shares, outside, doubt = answer.probabilities[place], answer.outside_of(place), model.doubt
    return Prediction.ranked(
        name,
        shares,
        class_names=model.class_names,
        remarks=remarks,
        outside=outside,
        doubt=doubt.about(float(shares.max()), outside) if doubt else None,
    )
