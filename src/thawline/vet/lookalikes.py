"""Answers and what the frozen network sees -> classes taken for each other, and the pictures across them most alike.

One idea: two classes are confused in both directions together, and the pairs of pictures across them that lie nearest
show what the network cannot tell apart: a person sees whether they can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thawline.core.types import Ints
from thawline.vet.answered import Answered
from thawline.vet.space import Space

__all__ = ["ConfusedClasses", "LookalikePair", "lookalikes"]

NUM_CLASSES_SHOWN = 6
"""Pairs of classes that are shown at most."""
NUM_PAIRS = 4
"""Pairs of pictures for each."""
NEIGHBOURS = 8
"""Of each picture, so many of the other class are looked at."""
MOST_PICTURES = 4_000
"""Pictures of a class that are looked through, those most like the other class by their answers first."""


@dataclass(frozen=True)
class LookalikePair:
    """Two pictures of two classes that the frozen network sees as nearly the same.

    Attributes:
        first: Path of the picture of the first class.
        second: Path of the picture of the second class.
        alike: How alike they are, in [-1, 1].
        first_right: Probability that the first picture is of the first class, by a model that never saw it.
        first_wrong: Probability that it is of the second class.
        second_right: Probability that the second picture is of the second class.
        second_wrong: Probability that it is of the first class.
    """

    first: str
    second: str
    alike: float
    first_right: float
    first_wrong: float
    second_right: float
    second_wrong: float


@dataclass(frozen=True)
class ConfusedClasses:
    """Two classes that are taken for each other.

    Attributes:
        first: Name of the class whose pictures are more often taken for the other's.
        second: Name of the other.
        first_as_second: Pictures of the first that were taken for the second.
        second_as_first: Pictures of the second that were taken for the first.
        num_first: Pictures of the first that were answered.
        num_second: Pictures of the second that were answered.
        pairs: Pictures across them that are most alike, most alike first; none of them twice.
    """

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    num_first: int
    num_second: int
    pairs: tuple[LookalikePair, ...]


def lookalikes(answered: Answered, space: Space) -> tuple[ConfusedClasses, ...]:
    """Return the pairs of classes that are most often taken for each other, most often first, with their pictures.

    All answers count, out of fold and of the test. Of pairs confused equally often the one that is confused in the
    larger share of its pictures comes first. A file that lies in both classes is no pair: it is under two labels.

    Args:
        answered: The answers.
        space: Where all pictures of its data set lie.
    """
    names = answered.dataset.class_names
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (answered.labels, answered.predicted), 1)
    sizes, both = confusion.sum(axis=1), confusion + confusion.T
    first, second = np.nonzero(np.triu(both, 1))
    counts = both[first, second]
    order = np.lexsort((second, first, -counts / (sizes[first] + sizes[second]), -counts))[:NUM_CLASSES_SHOWN]
    found = []
    for a, b in zip(first[order].tolist(), second[order].tolist(), strict=True):
        one, other = (a, b) if confusion[a, b] >= confusion[b, a] else (b, a)
        found.append(
            ConfusedClasses(
                first=names[one],
                second=names[other],
                first_as_second=int(confusion[one, other]),
                second_as_first=int(confusion[other, one]),
                num_first=int(sizes[one]),
                num_second=int(sizes[other]),
                pairs=tuple(_pairs(answered, space, one, other)),
            )
        )
    return tuple(found)


def _pairs(answered: Answered, space: Space, first: int, second: int) -> Iterator[LookalikePair]:
    """Yield the pairs of pictures across two classes that are most alike; no file twice."""
    one, other = _nearest_the_border(answered, first, second), _nearest_the_border(answered, second, first)
    near, alike = space.nearest(answered.rows[one], answered.rows[other], k=min(NEIGHBOURS, max(1, len(other))))
    place_of = dict(zip(answered.rows[other].tolist(), other.tolist(), strict=True))
    samples, used = answered.dataset.samples, set[str]()
    num_found = 0
    for flat in np.argsort(-alike, axis=None, kind="stable").tolist():
        turn, number = divmod(flat, near.shape[1])
        if near[turn, number] < 0:
            continue
        a, b = int(one[turn]), place_of[int(near[turn, number])]
        files = {samples[int(answered.rows[place])].sha256 for place in (a, b)}
        if len(files) < 2 or files & used:
            continue
        used |= files
        shares = answered.probabilities
        yield LookalikePair(
            first=samples[int(answered.rows[a])].path,
            second=samples[int(answered.rows[b])].path,
            alike=float(np.clip(alike[turn, number], -1, 1)),
            first_right=float(shares[a, first]),
            first_wrong=float(shares[a, second]),
            second_right=float(shares[b, second]),
            second_wrong=float(shares[b, first]),
        )
        num_found += 1
        if num_found == NUM_PAIRS:
            return


def _nearest_the_border(answered: Answered, own: int, other: int) -> Ints:
    """Return places of the pictures of a class, ascending; of very many, those most probably of the other class."""
    places = np.flatnonzero(answered.labels == own)
    if len(places) > MOST_PICTURES:
        places = np.sort(places[np.argsort(-answered.probabilities[places, other], kind="stable")[:MOST_PICTURES]])
    return places
