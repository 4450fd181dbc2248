"""Labels and probabilities of the test rows in, an Evaluation out: the single reading of the test.

Every choice is made before this is called; nothing here chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.intervals import accuracy_interval, mean_interval
from thawline.core.metrics import gaps_by_bin, per_class
from thawline.core.scores import ScoreInput, compute_scores
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.use.evaluation import ClassScore, Evaluation, ReliabilityBin

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
    return Evaluation(
        strategy=strategy,
        class_names=tuple(class_names),
        scores=compute_scores(inputs),
        per_class=tuple(_class_scores(inputs, class_names)),
        confusion=inputs.confusion,
        paths=tuple(paths),
        labels=labels,
        probabilities=probabilities.astype(np.float32),
        leaked=leaked.astype(np.int64),
        num_groups=len(np.unique(groups)) if has_named_groups else None,
        reliability=tuple(_reliability(inputs)),
    )


def _class_scores(inputs: ScoreInput, class_names: Sequence[str]) -> Iterator[ClassScore]:
    """Yield the scores of each class."""
    groups, ranking = inputs.groups, inputs.ranking
    precision, recall, f1 = per_class(inputs.confusion)
    hits = (inputs.predicted == inputs.labels).astype(np.float64)
    own_rows, called_rows = (_rows_of(classes, len(class_names)) for classes in (inputs.labels, inputs.predicted))
    for k, name in enumerate(class_names):
        own, called = own_rows[k], called_rows[k]
        recall_ends, precision_ends = (
            accuracy_interval(hits[rows], groups[rows]) if len(rows) else (0.0, 1.0) for rows in (own, called)
        )
        f1_ends = _f1_interval(float(f1[k]), hits, own=own, called=called, groups=groups)
        is_asked = bool(ranking.is_asked[k])
        yield ClassScore(
            name,
            float(precision[k]),
            float(recall[k]),
            float(f1[k]),
            *recall_ends,
            len(own),
            *precision_ends,
            *f1_ends,
            roc_auc=float(ranking.roc_auc[k]) if is_asked else None,
            average_precision=float(ranking.average_precision[k]) if is_asked else None,
        )


def _rows_of(classes: Ints, num_classes: int) -> list[Ints]:
    """Return the rows of each class, ascending."""
    counts = np.bincount(classes, minlength=num_classes)
    return np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])


def _f1_interval(f1: float, hits: Floats, *, own: Ints, called: Ints, groups: Ints) -> tuple[float, float]:
    """Return the 95 % interval of the F1 of one class, 2 · hits / (pictures + calls), by what each picture adds to it.

    Args:
        f1: Of the class.
        hits: (N,) 1.0 where a picture is right.
        own: Its pictures.
        called: Pictures that were taken for it.
        groups: (N,) groups of copies.
    """
    rows, times = np.unique(np.concatenate([own, called]), return_counts=True)
    if not len(rows):
        return 0.0, 1.0
    is_own = np.isin(rows, own, assume_unique=True)
    added = (2 * hits[rows] * is_own - f1 * times) / (len(own) + len(called))
    return mean_interval(f1 + len(rows) * added, groups[rows])


def _reliability(inputs: ScoreInput) -> Iterator[ReliabilityBin]:
    """Yield the pictures by how sure the model was, in the bins of the calibration error."""
    index, confidence, right = gaps_by_bin(inputs.labels, inputs.probabilities)
    for number in np.unique(index):
        rows = np.flatnonzero(index == number)
        ends = accuracy_interval(right[rows], inputs.groups[rows])
        yield ReliabilityBin(float(confidence[rows].mean()), float(right[rows].mean()), *ends, len(rows))


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
