"""`Answered` -> one plain row a picture: what it is by content, what it was taken for, and how sure the model was.

One idea: a picture is known by the hash of its bytes, so what two runs said of the same one can be set side by side,
whatever it is called, wherever it lies and however the classes are ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Ints, Pixels
from thawline.vet.answered import TEST, Answered

__all__ = ["AnswerTable", "answer_table", "part_words"]


@dataclass(frozen=True)
class AnswerTable:
    """N pictures, each with the answer of a model that never saw it, in the order of the data set.

    Attributes:
        paths: N names as shown to people.
        hashes: (N, 32) uint8; SHA-256 of the files' bytes.
        labels: (N,) int64 true classes.
        predicted: (N,) int64 most probable classes.
        confidence: (N,) float32 probability of the most probable class.
        true_share: (N,) float32 probability of the true class.
        groups: (N,) int64 groups, of copies and of the person's own.
        fold: (N,) int64 which fold held the picture out, from 0, or `TEST`.
    """

    paths: tuple[str, ...]
    hashes: Pixels
    labels: Ints
    predicted: Ints
    confidence: Floats
    true_share: Floats
    groups: Ints
    fold: Ints

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<AnswerTable: {len(self):,} pictures, {int((self.fold == TEST).sum()):,} of the test>"

    @property
    def keys(self) -> tuple[bytes, ...]:
        """N hashes, as what a picture is looked up by."""
        return tuple(row.tobytes() for row in self.hashes)


def answer_table(answered: Answered) -> AnswerTable:
    """Return what a run keeps of the answers: one row a picture, without the probabilities of the other classes."""
    samples = [answered.dataset.samples[row] for row in answered.rows.tolist()]
    true = np.take_along_axis(answered.probabilities, answered.labels[:, None], axis=1)[:, 0]
    return AnswerTable(
        paths=answered.paths,
        hashes=_digests([sample.sha256 for sample in samples]),
        labels=answered.labels,
        predicted=answered.predicted,
        confidence=answered.confidence.astype(np.float32),
        true_share=true.astype(np.float32),
        groups=answered.groups,
        fold=answered.fold,
    )


def _digests(hexes: Sequence[str]) -> Pixels:
    """Return (N, 32) bytes of N hashes of 64 hex digits."""
    return np.frombuffer(bytes.fromhex("".join(hexes)), dtype=np.uint8).reshape(len(hexes), -1)


def part_words(fold: int) -> str:
    """Return which part held a picture out: `test`, or `fold 1` for the first fold of the first drawing.

    >>> part_words(TEST), part_words(0)
    ('test', 'fold 1')
    """
    return "test" if fold == TEST else f"fold {fold + 1}"
