"""Labels and probabilities of the test rows in, an Evaluation out: the single reading of the test.

Every choice is made before this is called; nothing here chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.intervals import wilson
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
) -> Evaluation:
    """Return every score of one model on the test rows.

    Args:
        labels: (N,) true classes.
        probabilities: (N, K), rows summing to 1.
        strategy: Name of the strategy.
        class_names: K names.
        paths: N names of pictures.
        groups: (N,) groups of copies; copies among the test pictures count as one in the intervals.
        leaked: (N,) 1 where a copy was used for choosing or training.

    Raises:
        DataError: There is no picture to evaluate.
    """
    if not len(labels):
        raise DataError("evaluate: there is no test picture. Add a `test` folder, or let a fifth be held out.")
    inputs = ScoreInput(labels, probabilities, groups, leaked)
    precision, recall, f1 = per_class(inputs.confusion)
    rows = []
    for k, name in enumerate(class_names):
        hits, support = int(inputs.confusion[k, k]), int(inputs.confusion[k].sum())
        low, high = wilson(hits, support)
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
    )
