"""Labels and probabilities of the test rows in, an Evaluation out: the single reading of the test.

Every choice is made before this is called; nothing here chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.intervals import accuracy_interval
from thawline.core.metrics import per_class
from thawline.core.scores import ScoreInput, compute_scores
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.use.evaluation import ClassScore, Evaluation

__all__ = ["evaluate", "evaluate_rows"]


def evaluate(
    labels: Ints,
    probabilities: Floats,
    *,
    strategy: str,
    class_names: Sequence[str],
    paths: Sequence[str],
    groups: Ints,
    leaked: Ints,
    has_named_groups: bool = False,
) -> Evaluation:
    """Return every score of one model on the test rows.

    Args:
        labels: (N,) true classes.
        probabilities: (N, K), rows summing to 1.
        strategy: Name of the strategy.
        class_names: K names.
        paths: N names of pictures.
        groups: (N,) groups, of copies and of the person's own; each counts as one picture in the intervals.
        leaked: (N,) 1 where a copy, or a picture of the same group, was used for choosing or training.
        has_named_groups: Whether some of the groups are the person's own.

    Raises:
        DataError: There is no picture to evaluate.
    """
    if not len(labels):
        raise DataError("evaluate: there is no test picture. Add a `test` folder, or let a fifth be held out.")
    inputs = ScoreInput(labels, probabilities, groups, leaked)
    precision, recall, f1 = per_class(inputs.confusion)
    hits = (inputs.predicted == labels).astype(np.float64)
    rows = []
    for k, name in enumerate(class_names):
        own = np.flatnonzero(labels == k)
        low, high = accuracy_interval(hits[own], groups[own]) if len(own) else (0.0, 1.0)
        support = len(own)
        rows.append(ClassScore(name, float(precision[k]), float(recall[k]), float(f1[k]), low, high, support))
    return Evaluation(
        strategy=strategy,
        class_names=tuple(class_names),
        scores=compute_scores(inputs),
        per_class=tuple(rows),
        confusion=inputs.confusion,
        paths=tuple(paths),
        labels=labels,
        probabilities=probabilities.astype(np.float32),
        leaked=leaked.astype(np.int64),
        num_groups=len(np.unique(groups)) if has_named_groups else None,
    )


def evaluate_rows(dataset: Dataset, rows: Ints, *, shares: Floats, strategy: str, leaked: Ints) -> Evaluation:
    """Return every score of one model on some rows of a data set.

    Args:
        dataset: Labels, groups and names.
        rows: (N,) indices of samples.
        shares: (N, K) probabilities, rows summing to 1.
        strategy: As in `evaluate`.
        leaked: As in `evaluate`.
    """
    return evaluate(
        dataset.labels[rows],
        shares,
        strategy=strategy,
        class_names=dataset.class_names,
        paths=[dataset.samples[row].path for row in rows],
        groups=dataset.groups[rows],
        leaked=leaked,
        has_named_groups=dataset.has_named_groups,
    )
