"""What a model said of pictures that it never saw, as one table: out of fold and on the test, frozen and trained alike.

One idea: everything on this floor asks the same question of the same rows, so they are put together once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from thawline.core.types import Bools, Floats, Ints
from thawline.data.dataset import Dataset

__all__ = ["TEST", "Answered"]

TEST = -1
"""The `fold` of a test picture."""


@dataclass(frozen=True)
class Answered:
    """N pictures of a data set, each with the answer of a model that never saw it.

    Attributes:
        dataset: All pictures, those without an answer too.
        rows: (N,) int64 places in `dataset.samples`, ascending.
        probabilities: (N, K) float32 in [0, 1], rows sum to 1; with the temperature of the model that is kept.
        fold: (N,) int64; which fold of the first drawing held the picture out, or `TEST`.
    """

    dataset: Dataset
    rows: Ints
    probabilities: Floats
    fold: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Answered: {len(self):,} of {len(self.dataset):,} pictures, {int(self.is_test.sum()):,} of the test>"

    @cached_property
    def labels(self) -> Ints:
        """(N,) int64 true classes."""
        return self.dataset.labels[self.rows]

    @cached_property
    def groups(self) -> Ints:
        """(N,) int64 groups, of copies and of the person's own."""
        return self.dataset.groups[self.rows]

    @cached_property
    def predicted(self) -> Ints:
        """(N,) int64 most probable classes; of equally probable ones the first."""
        most_probable: Ints = self.probabilities.argmax(axis=1)
        return most_probable

    @cached_property
    def confidence(self) -> Floats:
        """(N,) probability of the most probable class."""
        highest: Floats = self.probabilities.max(axis=1)
        return highest

    @cached_property
    def is_right(self) -> Bools:
        """(N,) bool; whether the most probable class is the true one."""
        right: Bools = self.predicted == self.labels
        return right

    @property
    def is_test(self) -> Bools:
        """(N,) bool; whether the picture is of the test."""
        test: Bools = self.fold == TEST
        return test

    @property
    def paths(self) -> tuple[str, ...]:
        """N names as shown to people."""
        return tuple(self.dataset.samples[row].path for row in self.rows.tolist())
