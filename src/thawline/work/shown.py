"""A comparison and an evaluation -> the small pictures that a report shows: of each class, of each scene, mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from thawline.core.types import Ints
from thawline.data.dataset import Dataset
from thawline.use.evaluation import Evaluation
from thawline.view.report_data import ALIKE, Mistake, Picture
from thawline.work.model import thumbnail
from thawline.work.session import Compared

__all__ = ["alike_pictures", "sample_grid", "surest_mistakes"]

PICTURES_A_CLASS, SHOWN_CLASSES, SHOWN_MISTAKES = 8, 40, 24
THUMBNAIL_PX = 110


def sample_grid(compared: Compared, roles: Mapping[str, Ints]) -> Iterator[Picture]:
    """Yield the first few pictures of each class: of the training part, and where rows are set side by side, of all."""
    dataset = compared.dataset
    for role, rows in roles.items():
        if role != "train" and compared.session.order.protocol == "choose":
            continue
        for label, name in enumerate(dataset.class_names[:SHOWN_CLASSES]):
            for row in rows[dataset.labels[rows] == label][:PICTURES_A_CLASS]:
                yield Picture(name, role, dataset.samples[row].path, thumbnail(dataset, int(row), max_px=THUMBNAIL_PX))


def alike_pictures(compared: Compared) -> Iterator[Picture]:
    """Yield the first few pictures of each scene that makes much of a class."""
    dataset, scenes = compared.dataset, compared.session.report.scenes[:SHOWN_CLASSES]
    row_of = _row_of(dataset)
    for scene in scenes:
        for path in scene.pictures[:PICTURES_A_CLASS]:
            row = row_of[path]
            name = dataset.class_names[dataset.labels[row]]
            yield Picture(name, ALIKE, path, thumbnail(dataset, row, max_px=THUMBNAIL_PX))


def surest_mistakes(dataset: Dataset, evaluation: Evaluation) -> tuple[Mistake, ...]:
    """Return the surest mistakes on held-out pictures, surest first."""
    predicted = evaluation.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != evaluation.labels)
    surest = wrong[np.argsort(-evaluation.probabilities[wrong, predicted[wrong]], kind="stable")][:SHOWN_MISTAKES]
    row_of = _row_of(dataset)
    return tuple(
        Mistake(
            evaluation.paths[at],
            thumbnail(dataset, row_of[evaluation.paths[at]], max_px=THUMBNAIL_PX),
            dataset.class_names[evaluation.labels[at]],
            dataset.class_names[predicted[at]],
            float(evaluation.probabilities[at, predicted[at]]),
        )
        for at in surest
    )


def _row_of(dataset: Dataset) -> dict[str, int]:
    """Return path → row."""
    return {sample.path: row for row, sample in enumerate(dataset.samples)}
