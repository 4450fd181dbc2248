"""A model and labelled pictures, grouped as those were that it learnt from -> its Evaluation on them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.options import CheckOptions
from thawline.core.progress import Progress
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.sources.group_columns import GroupError
from thawline.data.sources.places import Place
from thawline.use.bundle import Bundle
from thawline.use.classify import classify_samples
from thawline.use.evaluate import evaluate
from thawline.use.evaluation import Evaluation

__all__ = ["check_for", "evaluate_model"]


def check_for(
    bundle: Bundle,
    photos: str | Path | Place,
    *,
    options: CheckOptions | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Return checked pictures to score a model on: one class or one picture of a class will do.

    Where the options say nothing of groups and copies, those of the model's run are taken, if these pictures have them.

    Args:
        bundle: The model.
        photos: As in `check`.
        options: As in `check`.
        progress: Where progress is reported.

    Raises:
        DataError: As in `check`.
    """
    options = options or CheckOptions()
    trained = bundle.manifest.provenance.get("options")
    if options.copies == "keep" and isinstance(trained, dict) and trained.get("copies") in ("exact", "ignore"):
        options = replace(options, copies=trained["copies"])
    if options.group_from is None and options.group_column is None and isinstance(trained, dict):
        try:
            own = replace(options, group_from=trained.get("group_from"), group_column=trained.get("group_column"))
            return check(photos, own, for_training=False, progress=progress)[0]
        except (GroupError, ValidationError, UsageError):
            pass  # these pictures have other names, or the manifest says what no option can be
    return check(photos, options, for_training=False, progress=progress)[0]


def evaluate_model(bundle: Bundle, dataset: Dataset, *, progress: Progress | None = None) -> Evaluation:
    """Return the scores of a model on labelled pictures: their test part where they have one, else all of them.

    Pictures that the model was trained on, and copies of them, count as leaked.

    Args:
        bundle: The model.
        dataset: Checked pictures, each of a class that the model knows by name.
        progress: Where progress is reported.

    Raises:
        DataError: A class that the model does not know.
    """
    numbers = {unicodedata.normalize("NFC", name): number for number, name in enumerate(bundle.class_names)}
    index = np.array([numbers.get(unicodedata.normalize("NFC", name), -1) for name in dataset.class_names])
    unknown = sorted(name for name, number in zip(dataset.class_names, index, strict=True) if number < 0)
    if unknown:
        raise DataError(
            f"evaluate: {first_few(unknown)}: not among the model's classes ({first_few(bundle.class_names)}). "
            "Rename the folders, or leave them out."
        )
    parts = np.array([sample.split or "" for sample in dataset.samples])
    rows = np.flatnonzero(parts == "test") if (parts == "test").any() else np.arange(len(dataset))
    trained_on = np.array([sample.sha256 in bundle.training_digests for sample in dataset.samples])
    shares = classify_samples(bundle.classifier, [dataset.samples[row] for row in rows], progress=progress)
    return evaluate(
        index[dataset.labels[rows]],
        shares,
        strategy=bundle.manifest.strategy,
        class_names=bundle.class_names,
        paths=[dataset.samples[row].path for row in rows],
        groups=dataset.groups[rows],
        leaked=np.isin(dataset.groups[rows], dataset.groups[trained_on]).astype(np.int64),
        has_named_groups=dataset.has_named_groups,
    )
