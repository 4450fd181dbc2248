"""Where pictures lie -> a map of them on paper: two places a picture, so that near means alike.

One idea: a map shows neighbourhoods and nothing else. Distances between far groups, and the axes, mean nothing.

Source: van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 2008; started from the two first principal
components, which keeps groups where they lie from run to run (Kobak & Linderman, Nature Biotechnology 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.vet.answered import Answered
from thawline.vet.space import Space

__all__ = ["MapPoint", "PictureMap", "picture_map", "places_of"]

MOST_PICTURES = 5_000
DIRECTIONS = 50
PERPLEXITY = 30
NUM_STEPS = 500
ANGLE = 0.8
"""How coarsely far pictures are taken together: twice as fast as 0.5, with the same neighbours."""
FEWEST_FOR_TSNE = 8
FLAT = 1e-6
"""Spread below which all pictures lie in one place."""


@dataclass(frozen=True)
class MapPoint:
    """One picture on the map.

    Attributes:
        path: As shown to people.
        x: From left to right, in [0, 1].
        y: From bottom to top, in [0, 1].
        label: Class index.
        predicted: Class that a model said which never saw the picture; None where none was asked.
    """

    path: str
    x: float
    y: float
    label: int
    predicted: int | None


@dataclass(frozen=True)
class PictureMap:
    """Pictures on paper, near where alike.

    Attributes:
        points: In the order of the data set.
        num_left_out: Pictures that are not on the map: of large sets a part of every class is shown.
    """

    points: tuple[MapPoint, ...]
    num_left_out: int


def picture_map(space: Space, dataset: Dataset, *, answered: Answered | None = None) -> PictureMap:
    """Return the map of a data set's pictures; labels decide nothing but who is shown where there are very many.

    Of more than 5,000 pictures a part of every class is drawn by a fixed seed, as large as its share, after all that
    were answered wrongly (half of the map at most). One thread and fixed seeds: the same pictures give the same map.

    Args:
        space: Where the N pictures lie.
        dataset: The same N pictures.
        answered: What models said of some of them, that never saw them.
    """
    predicted: dict[int, int] = {}
    wrong = np.empty(0, dtype=np.int64)
    if answered is not None:
        predicted = dict(zip(answered.rows.tolist(), answered.predicted.tolist(), strict=True))
        wrong = answered.rows[~answered.is_right]
    rows = _drawn(dataset.labels, wrong)
    places = places_of(space.x[rows])
    points = tuple(
        MapPoint(dataset.samples[row].path, x, y, dataset.samples[row].label, predicted.get(row))
        for row, (x, y) in zip(rows.tolist(), places.tolist(), strict=True)
    )
    return PictureMap(points, len(dataset) - len(points))


def places_of(x: Floats) -> Floats:
    """Return (N, 2) places in [0, 1], four decimals, of (N, d) rows of unit length, both sides to one scale.

    Up to seven pictures lie where their first two principal components put them.
    """
    if not x.shape[1]:  # one picture, or all alike: there is no direction in which they differ
        return np.full((len(x), 2), 0.5)
    start = _components(x, 2)
    if np.ptp(start, axis=0).max() < FLAT:
        return np.full((len(x), 2), 0.5)
    return _framed(start if len(x) < FEWEST_FOR_TSNE else _neighbourly(x, start))


def _components(x: Floats, num: int) -> Floats:
    """Return (N, num) principal components, largest first, the signs fixed; zeros where there are fewer."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    kept = directions[:, ::-1][:, :num]
    kept = kept * np.where(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])] < 0, -1, 1)
    found: Floats = centred @ kept
    return np.pad(found, ((0, 0), (0, num - found.shape[1])))


def _neighbourly(x: Floats, start: Floats) -> Floats:
    """Return (N, 2) places by t-SNE, from a start."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(
        init=(start / start[:, 0].std() * 1e-4).astype(np.float32),
        perplexity=min(PERPLEXITY, (len(x) - 1) / 3),
        max_iter=NUM_STEPS,
        angle=ANGLE,
        random_state=0,
    )
    with threadpool_limits(1):  # sums of several threads differ in their last bits; and they spin on a busy machine
        places: Floats = tsne.fit_transform(_components(x, min(DIRECTIONS, x.shape[1])).astype(np.float32))
    return places if np.isfinite(places).all() else start


def _framed(places: Floats) -> Floats:
    """Return places moved and scaled into [0, 1], the longer side filled and the shorter one in the middle."""
    low, high = places.min(axis=0), places.max(axis=0)
    scaled: Floats = (places - (low + high) / 2) / (high - low).max() + 0.5
    return np.clip(scaled, 0, 1).round(4)


def _drawn(labels: Ints, first: Ints) -> Ints:
    """Return the rows that are shown, ascending: all, or of very many some of `first` and a part of every class."""
    if len(labels) <= MOST_PICTURES:
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    kept = rng.permutation(first)[: MOST_PICTURES // 2]
    others = rng.permutation(np.setdiff1d(np.arange(len(labels)), kept))
    place_in_class = np.empty(len(others), dtype=np.float64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels[others] == label)
        place_in_class[own] = np.arange(len(own)) / len(own)  # so every class is halved, quartered, … alike
    order = np.argsort(place_in_class, kind="stable")
    return np.sort(np.concatenate([kept, others[order[: MOST_PICTURES - len(kept)]]]))
