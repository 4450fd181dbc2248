"""What a model that gives other numbers is chosen and measured by: pictures that it learnt from, and others.

One idea: what is chosen is chosen on pictures that the model learnt from; what is held out says at the end whether it
passes, and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from thawline.core.types import Floats
from thawline.data.dataset import Sample

__all__ = ["Yardstick", "clearness", "drawn", "spread_over_classes"]


@dataclass(frozen=True)
class Yardstick:
    """Pictures whose bytes were found, each with its class among those of the model.

    Attributes:
        training: Pictures that the model learnt from; one or more.
        held_out: Pictures that the run's choosing never saw; one or more.
        clear: (N,) float32: how clear answers are on pictures that were held out of the training, as `clearness` has
            it; None where no run says so.
        learnt: SHA-256 digests of all pictures that the delivered model learnt from: of held-out ones too, where it
            learnt again once they had been read for its scores.
    """

    training: Sequence[Sample] = field(repr=False)
    held_out: Sequence[Sample] = field(repr=False)
    clear: Floats | None = field(default=None, repr=False)
    learnt: frozenset[str] = field(default=frozenset(), repr=False)


def clearness(probabilities: Floats) -> Floats:
    """Return (N,) how clear answers are: the logarithm of how often the first class is as probable as the second.

    >>> [f"{clear:.2f}" for clear in clearness(np.array([[0.5, 0.5], [0.8, 0.2]]))]
    ['0.00', '1.39']
    """
    two = np.sort(np.log(np.maximum(probabilities, 1e-9)), axis=1)[:, -2:]
    clear: Floats = (two[:, 1] - two[:, 0]).astype(np.float32)
    return clear


def drawn(samples: Sequence[Sample], count: int, *, seed: int = 0) -> list[Sample]:
    """Return at most `count` pictures drawn at random, whatever their classes; all of them where there are no more.

    Args:
        samples: In any order; the draw depends on their digests, not on it.
        count: Most to return.
        seed: Of the draw.
    """
    known = sorted(samples, key=lambda one: one.sha256)
    if len(known) <= count:
        return known
    places = np.random.default_rng(seed).choice(len(known), count, replace=False)
    return [known[place] for place in sorted(places.tolist())]


def spread_over_classes(samples: Sequence[Sample], count: int, *, seed: int = 0) -> list[Sample]:
    """Return at most `count` pictures, drawn at random, from each class in turn as long as it has some.

    Args:
        samples: In any order; the draw depends on their digests, not on it.
        count: Most to return.
        seed: Of the draw.
    """
    draw = np.random.default_rng(seed)
    by_class: dict[int, list[Sample]] = {}
    for sample in sorted(samples, key=lambda one: one.sha256):
        by_class.setdefault(sample.label, []).append(sample)
    queues = [
        [pictures[place] for place in draw.permutation(len(pictures))] for _, pictures in sorted(by_class.items())
    ]
    return [sample for sample, _ in zip(_in_turn(queues), range(count), strict=False)]


def _in_turn(queues: list[list[Sample]]) -> Iterator[Sample]:
    for place in range(max(map(len, queues), default=0)):
        for queue in queues:
            if place < len(queue):
                yield queue[place]
