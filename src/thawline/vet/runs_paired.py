"""Answer tables of several runs -> what they say of the same pictures: scores, paired differences, who changed sides.

One idea: two scores of different pictures hardly compare, and two of the same pictures compare picture by picture. So
runs are set side by side on what they share, found by content, and a picture counts for what changed on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thawline.core.intervals import (
    accuracy_interval,
    class_mean_intervals,
    copies_factor,
    mean_interval,
    paired_sign_flip,
)
from thawline.core.metrics import SMALLEST_PROBABILITY
from thawline.core.scores import Score
from thawline.core.types import Floats, Ints
from thawline.vet.answer_table import AnswerTable
from thawline.vet.answered import TEST

__all__ = ["Difference", "PairedRuns", "pair_runs"]

Z = 1.96


@dataclass(frozen=True)
class Difference:
    """One run against the first, on the pictures that all runs share.

    Attributes:
        value: Accuracy less that of the first run.
        low: Lower end of its paired 95 % interval.
        high: Upper end.
        p_value: Of the paired test that the two are equally good.
        won: (n,) places in the shared pictures that only this run has right, those that it is surest of first.
        lost: (m,) places that only the first run has right, those that this run is surest of first.
    """

    value: float
    low: float
    high: float
    p_value: float
    won: Ints
    lost: Ints


@dataclass(frozen=True)
class PairedRuns:
    """R runs on the n pictures that all of them answered without having seen them.

    Attributes:
        part: `test` where these are of the test of every run; `held out` where folds are among them.
        rows: (R, n) int64 places in each run's table.
        scores: For each run, name → score on these pictures: accuracy, balanced accuracy, macro-F1, log-loss.
        differences: R - 1, of each further run against the first.
        num_relabelled: Shared pictures that have another label in some run, and are left out.
    """

    part: Literal["test", "held out"]
    rows: Ints
    scores: tuple[dict[str, Score], ...]
    differences: tuple[Difference, ...]
    num_relabelled: int

    @property
    def num_pictures(self) -> int:
        """Pictures that are compared."""
        return int(self.rows.shape[1])


def pair_runs(tables: Sequence[AnswerTable], class_names: Sequence[Sequence[str]]) -> PairedRuns | None:
    """Return several runs on the pictures that they share, or None where there is none.

    The test pictures are compared where at least half of the smallest test is in all of them; else all pictures that
    every run answered without having seen them. Copies count once, by the groups of the first run; of a picture that is
    there several times with the same bytes, the first counts.

    The interval of a difference is that of Bonett and Price (2012), "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", at the number of pictures that are no copies; the test is
    `paired_sign_flip`.

    Args:
        tables: Two or more.
        class_names: Of each; the same names in any order.
    """
    names = {name: k for k, name in enumerate(class_names[0])}
    to_first = [np.array([names[name] for name in own], dtype=np.int64) for own in class_names]
    part, rows = _shared(tables)
    labels = np.stack([renamed[table.labels[own]] for renamed, table, own in zip(to_first, tables, rows, strict=True)])
    is_same = (labels == labels[0]).all(axis=0)
    rows, labels = rows[:, is_same], labels[0, is_same]
    if not len(labels):
        return None
    groups = tables[0].groups[rows[0]]
    predicted = [renamed[table.predicted[own]] for renamed, table, own in zip(to_first, tables, rows, strict=True)]
    sure = [table.confidence[own] for table, own in zip(tables, rows, strict=True)]
    scores = [
        _scores(labels, said, true=table.true_share[own], groups=groups, num_classes=len(names))
        for said, table, own in zip(predicted, tables, rows, strict=True)
    ]
    differences = [
        _difference(predicted[0] == labels, said == labels, confidence=confidence, groups=groups)
        for said, confidence in zip(predicted[1:], sure[1:], strict=True)
    ]
    return PairedRuns(part, rows, tuple(scores), tuple(differences), int((~is_same).sum()))


def _shared(tables: Sequence[AnswerTable]) -> tuple[Literal["test", "held out"], Ints]:
    """Return which pictures are compared, and (R, n) their places in each table, in the order of the first."""
    tests = [_places(table, only_test=True) for table in tables]
    shared = [key for key in tests[0] if all(key in other for other in tests[1:])]
    if shared and 2 * len(shared) >= min(map(len, tests)):
        return "test", _rows(tests, shared)
    everything = [_places(table, only_test=False) for table in tables]
    shared = [key for key in everything[0] if all(key in other for other in everything[1:])]
    return "held out", _rows(everything, shared)


def _places(table: AnswerTable, *, only_test: bool) -> dict[bytes, int]:
    """Return hash → the first place of a picture, in the order of the table."""
    places: dict[bytes, int] = {}
    for place, key in enumerate(table.keys):
        if not only_test or table.fold[place] == TEST:
            places.setdefault(key, place)
    return places


def _rows(places: Sequence[dict[bytes, int]], shared: Sequence[bytes]) -> Ints:
    return np.array([[own[key] for key in shared] for own in places], dtype=np.int64).reshape(len(places), len(shared))


def _scores(labels: Ints, predicted: Ints, *, true: Floats, groups: Ints, num_classes: int) -> dict[str, Score]:
    """Return the scores of one run on the shared pictures."""
    hits, n = (predicted == labels).astype(np.float64), len(labels)
    means, lows, highs = class_mean_intervals(labels, predicted, groups=groups, num_classes=num_classes)
    losses = -np.log(np.clip(true.astype(np.float64), SMALLEST_PROBABILITY, 1))
    most = -float(np.log(SMALLEST_PROBABILITY))
    return {
        "accuracy": Score(float(hits.mean()), *accuracy_interval(hits, groups), n),
        "balanced_accuracy": Score(float(means[1]), float(lows[1]), float(highs[1]), n),
        "macro_f1": Score(float(means[2]), float(lows[2]), float(highs[2]), n),
        "log_loss": Score(float(losses.mean()), *mean_interval(losses, groups, most=most), n),
    }


def _difference(first: Ints, other: Ints, *, confidence: Floats, groups: Ints) -> Difference:
    """Return one run against the first.

    Args:
        first: (n,) bool; whether the first run is right.
        other: (n,) bool; whether the other is.
        confidence: (n,) how sure the other is.
        groups: (n,) groups of copies.
    """
    won, lost = np.flatnonzero(other & ~first), np.flatnonzero(first & ~other)
    gaps = other.astype(np.float64) - first
    copies = copies_factor(groups)
    n, gained, given_up = len(gaps) / copies + 2, len(won) / copies + 1, len(lost) / copies + 1
    centre = (gained - given_up) / n
    half = Z * float(np.sqrt((gained + given_up - (gained - given_up) ** 2 / n) / n**2))
    return Difference(
        value=float(gaps.mean()),
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        p_value=float(paired_sign_flip(gaps, groups)),
        won=won[np.argsort(-confidence[won], kind="stable")],
        lost=lost[np.argsort(-confidence[lost], kind="stable")],
    )
