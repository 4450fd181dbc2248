"""A float graph, ranges and pictures -> the layers that go into 8 bits; those that hurt stay float.

One idea: what counts is whether answers turn. How far 8 bits move an answer is measured on pictures that the model
learnt from; how little it takes to turn one, on answers to pictures that it had not learnt from. Both together say how
many answers will turn, without a held-out picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

from thawline.core.progress import Progress
from thawline.core.types import Floats
from thawline.use.answer import Prepared
from thawline.use.exports.graph_session import GraphSession
from thawline.use.exports.qdq import InInt8
from thawline.use.exports.yardstick import clearness

__all__ = ["TURNED", "Choice", "choose_layers", "expected_turned", "groups_of", "moved"]

TURNED = 0.0075
"""Share of further answers that may turn by estimate: three quarters of what the gate allows."""

MAX_GROUPS = 16
"""Groups whose damage is measured, one graph each: what bounds the time."""

LEAST_GROUP = 3
"""Layers of a group: a lone float layer between two values in 8 bits would be rounded by onnxruntime as it loads the
file, with one scale for all of its channels."""

UNSEEN = 0.5
"""How much less clear answers are taken to be on unseen pictures, where no run says."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        layers: Names of the layers in 8 bits.
        turned: Share of further answers that turn, by estimate.
    """

    layers: tuple[str, ...]
    turned: float


def groups_of(layers: Sequence[str]) -> list[tuple[str, ...]]:
    """Return layers in groups of neighbours, about equally many in each.

    >>> groups_of(["a", "b", "c", "d", "e", "f", "g"])
    [('a', 'b', 'c', 'd'), ('e', 'f', 'g')]
    """
    count = max(1, min(MAX_GROUPS, len(layers) // LEAST_GROUP))
    size, longer = divmod(len(layers), count)
    ends = np.cumsum([0, *[size + 1] * longer, *[size] * (count - longer)]).tolist()
    return [tuple(layers[start:end]) for start, end in pairwise(ends)]


def moved(before: Floats, after: Floats) -> Floats:
    """Return (N,) by how much the first class of an answer has lost against the best other one; as `clearness`.

    Args:
        before: (N, K) probabilities.
        after: The same pictures' from another graph.
    """
    first = before.argmax(axis=1)[:, None]
    logs = np.log(np.maximum(after, 1e-9))
    own = np.take_along_axis(logs, first, axis=1)[:, 0]
    np.put_along_axis(logs, first, -np.inf, axis=1)
    lost: Floats = clearness(before) - (own - logs.max(axis=1))
    return lost


def expected_turned(lost: Floats, clear: Floats) -> float:
    """Return the share of answers of some clearness that turn where answers lose so much of it, in [0, 1].

    >>> expected_turned(np.array([0.0, 1.0]), np.array([0.5, 2.0]))
    0.25
    """
    return float((np.searchsorted(np.sort(clear), lost, side="left") / len(clear)).mean())


def choose_layers(model: InInt8, *, pictures: Sequence[Prepared], clear: Floats | None, progress: Progress) -> Choice:
    """Return the most layers with which few answers turn.

    All layers are tried first. Where that turns too many answers, groups stay float one after another, those whose
    rounding costs most first, until few enough turn or half of them are float; then the gate decides. That are
    `MAX_GROUPS` graphs at most, and three more to find how many.

    Args:
        model: A graph from prepared pictures to answers, and its layers.
        pictures: That the model learnt from, as the graph takes them.
        clear: As in `Yardstick`.
        progress: Where to report to.
    """
    layers = [layer.name for layer in model.layers]
    before = GraphSession(model.graph).answers(pictures)
    known = UNSEEN * clearness(before) if clear is None else clear

    def lost_with(chosen: Sequence[str], among: Sequence[Prepared]) -> Floats:
        after = GraphSession(model.graph_with(chosen)).answers(among)
        return moved(before[: len(among)], after)

    def turned_with(chosen: Sequence[str]) -> float:
        return expected_turned(lost_with(chosen, pictures), known)

    turned = turned_with(layers)
    if turned <= TURNED:
        return Choice(tuple(layers), turned)
    groups, few = groups_of(layers), pictures[: ceil(len(pictures) / 4)]
    left = []
    with progress.stage("layers", len(groups), unit="groups") as advance:
        for group in groups:
            left.append(float(np.square(lost_with(_without(layers, [group]), few)).mean()))
            advance(1)
    order = [groups[place] for place in np.argsort(left, kind="stable")]
    return _fewest(order, layers, turned_with=turned_with)


def _fewest(
    order: Sequence[tuple[str, ...]], layers: Sequence[str], *, turned_with: Callable[[Sequence[str]], float]
) -> Choice:
    """Return the choice with the fewest of the first groups left float that turns few enough answers, by bisection.

    Where none of them does, with half of the groups left float.
    """
    low, high, best = 1, max(1, len(order) // 2), None
    while low <= high:
        middle = (low + high) // 2
        chosen = _without(layers, order[:middle])
        turned = turned_with(chosen)
        if best is None or turned <= TURNED or best.turned > TURNED:
            best = Choice(chosen, turned)
        low, high = (low, middle - 1) if turned <= TURNED else (middle + 1, high)
    assert best is not None
    return best


def _without(layers: Sequence[str], groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    left = {name for group in groups for name in group}
    return tuple(name for name in layers if name not in left)
