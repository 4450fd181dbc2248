"""Labels and probabilities of the test rows in, an Evaluation out: the single reading of the test.

Whoever calls this has made every choice before; nothing here chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thawline.core.errors import DataError
from thawline.core.metrics import (
    accuracy_interval,
    balanced_accuracy,
    confusion_bootstrap,
    confusion_matrix,
    macro_f1,
    per_class,
    wilson,
)
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.use.evaluation import ClassScore, Evaluation, Score

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
        strategy: Name of what is evaluated.
        class_names: K names.
        paths: N names of pictures.
        groups: (N,) groups of copies; copies among the test pictures count as one in the intervals.
        leaked: (N,) 1 where a copy was used for choosing or training.

    Raises:
        DataError: There is no picture to evaluate.
    """
    if not len(labels):
        raise DataError("evaluate: there is no test picture. Add a `test` folder, or let a fifth be held out.")
    predicted = probabilities.argmax(axis=1)
    right = (predicted == labels).astype(np.float64)
    num_classes = len(class_names)
    confusion = confusion_matrix(labels, predicted, num_classes)
    precision, recall, f1 = per_class(confusion)
    support = confusion.sum(axis=1)
    clean = leaked == 0
    rows = []
    for k, name in enumerate(class_names):
        low, high = wilson(float(confusion[k, k]), float(support[k]))
        rows.append(ClassScore(name, float(precision[k]), float(recall[k]), float(f1[k]), low, high, int(support[k])))
    present = support > 0
    return Evaluation(
        strategy=strategy,
        class_names=tuple(class_names),
        accuracy=_accuracy(right, groups),
        accuracy_without_leaks=_accuracy(right[clean], groups[clean]) if clean.any() and not clean.all() else None,
        top5=_accuracy(_within_top(labels, probabilities, 5), groups) if num_classes > 5 else None,
        balanced_accuracy=_of_confusion(balanced_accuracy, labels, predicted, groups, num_classes),
        macro_precision=float(precision[present].mean()),
        macro_recall=float(recall[present].mean()),
        macro_f1=_of_confusion(macro_f1, labels, predicted, groups, num_classes),
        per_class=tuple(rows),
        confusion=confusion,
        paths=tuple(paths),
        labels=labels,
        probabilities=probabilities.astype(np.float32),
        leaked=leaked.astype(np.int64),
    )


def evaluate_rows(dataset: Dataset, rows: Ints, shares: Floats, *, strategy: str, leaked: Ints) -> Evaluation:
    """Return every score of one model on some rows of a data set.

    Args:
        dataset: Labels, groups and names.
        rows: (N,) indices of samples.
        shares: (N, K) probabilities.
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


def _accuracy(right: Floats, groups: Ints) -> Score:
    return Score(float(right.mean()), *accuracy_interval(right, groups), len(right))


def _within_top(labels: Ints, probabilities: Floats, k: int) -> Floats:
    """Return (N,) 1.0 where the true class is among the k most probable; of equal ones the first, as in `argmax`."""
    most_probable = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    within: Floats = (most_probable == labels[:, None]).any(axis=1).astype(np.float64)
    return within


def _of_confusion(
    statistic: Callable[[Ints], float], labels: Ints, predicted: Ints, groups: Ints, num_classes: int
) -> Score:
    low, high = confusion_bootstrap(labels, predicted, groups, num_classes, statistic)
    return Score(statistic(confusion_matrix(labels, predicted, num_classes)), low, high, len(labels))
