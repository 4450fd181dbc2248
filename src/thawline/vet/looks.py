"""Held-out answers and the model that is kept -> where it looks, for the pictures that are worth a look.

One idea: three kinds of pictures tell most: where it was surest and right, where it was surest and wrong, and where it
was least sure. A map is of the delivered model, for the class that a model said which had never seen the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from thawline.core.errors import DataError
from thawline.core.types import Floats, Ints, Pixels
from thawline.data.load import prepare_each, read_checked
from thawline.data.square import shown_box
from thawline.vet.answered import Answered

if TYPE_CHECKING:  # reports hold what is found here, and are read without torch
    from thawline.use.classifier import Classifier

__all__ = ["Look", "LookKind", "Looks", "looks_of", "worth_a_look"]

LookKind = Literal["surest right", "surest wrong", "least sure"]
MOST_A_KIND = 8


@dataclass(frozen=True)
class Look:
    """Where a model looks on one picture.

    Attributes:
        path: As shown to people.
        kind: Why it is shown.
        label: Class index.
        predicted: Class that the map is for: what a model said that never saw the picture.
        probability: What that model gave it, in [0, 1].
        rows: Of the square that the model sees, from top to bottom: how much each cell speaks for that class, from 0 to
            255, the strongest cell of every picture at 255.
        box: Left, top, right and bottom of that square in the upright picture, in shares of its width and height; below
            0 or above 1 where the square reaches beyond the picture.
    """

    path: str
    kind: LookKind
    label: int
    predicted: int
    probability: float
    rows: tuple[tuple[int, ...], ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Looks:
    """Where a model looks.

    Attributes:
        pictures: The surest right answers first, then the surest mistakes, then the least sure answers.
        absent: Why there are none, in a sentence; empty where there are some.
    """

    pictures: tuple[Look, ...]
    absent: str = ""


def looks_of(answered: Answered, classifier: Classifier) -> Looks:
    """Return where a model looks, on the pictures that are worth a look; a picture that is gone by now is left out.

    Args:
        answered: What models said that never saw the pictures.
        classifier: The model that is delivered, of the same classes.
    """
    from thawline.vet.heat import heat_scores, shown_input, why_no_heat

    if reason := why_no_heat(classifier):
        return Looks((), reason)
    size_of = {row.path: (row.width_px, row.height_px) for row in answered.dataset.ledger}
    prepared: list[tuple[Pixels, ...]] = []
    found: list[tuple[int, LookKind]] = []
    for place, kind in worth_a_look(answered):
        sample = answered.dataset.samples[answered.rows[place]]
        try:
            prepared.append(prepare_each(read_checked(sample), classifier.inputs)[0])
        except DataError:
            continue
        found.append((place, kind))
    if not found:
        return Looks((), "No picture was answered that could be looked at.")
    classes = answered.predicted[[place for place, _ in found]]
    scores = heat_scores(classifier, *map(np.stack, zip(*prepared, strict=True)), classes=classes)
    looks = []
    for (place, kind), score in zip(found, scores, strict=True):
        path = answered.paths[place]
        looks.append(
            Look(
                path=path,
                kind=kind,
                label=int(answered.labels[place]),
                predicted=int(answered.predicted[place]),
                probability=float(answered.confidence[place]),
                rows=_rows(score),
                box=shown_box(size_of.get(path) or (1, 1), shown_input(classifier)),
            )
        )
    return Looks(tuple(looks))


def _rows(score: Floats) -> tuple[tuple[int, ...], ...]:
    """Return scores from 0 to 255: what speaks against the class is 0, the strongest cell 255."""
    positive = np.maximum(score, 0)
    highest = float(positive.max())
    scaled = np.round(255 * positive / highest) if highest > 0 else np.zeros_like(positive)
    return tuple(tuple(map(int, row)) for row in scaled.tolist())


def worth_a_look(answered: Answered) -> tuple[tuple[int, LookKind], ...]:
    """Return places among the answered pictures and why each is worth a look: up to eight of each kind, none twice.

    Of copies one is taken. Of the surest right answers the surest of every class comes first, so that one class does
    not fill the row. Equally sure ones stand in the order of the data set.
    """
    confidence, is_right = answered.confidence, np.asarray(answered.is_right, dtype=bool)
    by_sureness = np.argsort(-confidence, kind="stable")
    right, wrong = by_sureness[is_right[by_sureness]], by_sureness[~is_right[by_sureness]]
    rank = np.empty(len(right), dtype=np.int64)
    for label in np.unique(answered.labels[right]):
        own = np.flatnonzero(answered.labels[right] == label)
        rank[own] = np.arange(len(own))
    wanted: tuple[tuple[LookKind, Ints], ...] = (
        ("surest wrong", wrong),
        ("least sure", np.argsort(confidence, kind="stable")),
        ("surest right", right[np.argsort(rank, kind="stable")]),
    )
    taken: set[int] = set()
    found: dict[LookKind, list[int]] = {}
    for kind, places in wanted:
        kept: list[int] = []
        for place in places.tolist():
            group = int(answered.groups[place])
            if len(kept) < MOST_A_KIND and group not in taken:
                kept.append(place)
                taken.add(group)
        found[kind] = kept
    kinds: tuple[LookKind, ...] = ("surest right", "surest wrong", "least sure")
    return tuple((place, kind) for kind in kinds for place in found[kind])
