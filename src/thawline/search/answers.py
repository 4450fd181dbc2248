"""Predictions of held-out rows in -> `Answers` with their scores out: what a strategy brings to the comparison.

One idea: frozen and trained strategies are judged by the same record. A frozen strategy answers every row in
every repeat; a trained one costs minutes, so it may answer one repeat only, or some of its folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Bools, Curve, Floats, Ints
from thawline.heads.adjust import class_shifts
from thawline.search.credit import held_out_credit
from thawline.search.leaderboard import Member
from thawline.search.strategy import Strategy

__all__ = ["Answers", "Bools", "Rows", "answers_from", "right_shares"]


@dataclass(frozen=True)
class Rows:
    """The rows of choosing, as positions 0…N-1.

    Attributes:
        samples: (N,) indices of samples.
        labels: (N,) classes.
        groups: (N,) groups of copies.
        train: (N, F) float32; weight of a row in the training of a fold, 0 where it is held out.
        held_out: For each fold, the positions that it scores.
        repeat: For each fold, its repeat.
        scored: (n,) positions that some fold scores, sorted.
        weight: (N,) what a right answer counts: 1 for accuracy, N / (K · class size) for balanced accuracy.
        adjusts: Which part of each class's log share in training is taken off the logits of linear heads.
    """

    samples: Ints
    labels: Ints
    groups: Ints
    train: Floats
    held_out: tuple[Ints, ...]
    repeat: Ints
    scored: Ints
    weight: Floats
    adjusts: float = 0.0

    def __repr__(self) -> str:
        return f"<Rows: {len(self.scored):,} of {len(self.samples):,} pictures scored in {len(self.held_out)} folds>"

    @property
    def shifts(self) -> Floats | None:
        """(F, K) what is added to the logits of linear heads in each fold, if anything."""
        if not self.adjusts:
            return None
        return class_shifts(self.labels, self.train, part=self.adjusts, num_classes=int(self.labels.max()) + 1)

    @property
    def scored_labels(self) -> Ints:
        """(n,) classes of the scored rows."""
        return self.labels[self.scored]

    @property
    def scored_groups(self) -> Ints:
        """(n,) groups of copies of the scored rows."""
        return self.groups[self.scored]

    @property
    def scored_weight(self) -> Floats:
        """(n,) what a right answer to each scored row counts; 1 on average."""
        return self.weight[self.scored]

    @property
    def fold(self) -> Ints:
        """(R, n) which fold held each scored row out in each repeat; -1 where none did."""
        fold = np.full((int(self.repeat.max()) + 1, len(self.samples)), -1, dtype=np.int64)
        for number, held_out in enumerate(self.held_out):
            fold[self.repeat[number], held_out] = number
        return fold[:, self.scored]


@dataclass(frozen=True)
class Answers:
    """One strategy's held-out answers to the n scored rows, or to those of some folds.

    Attributes:
        strategy: Which.
        scores: (n,) weighted share of the repeats in which each scored row was right, of those that answered it; NaN
            where none did.
        predicted: (R, n) int64 predicted classes; -1 where a repeat has no answer.
        logits: (n, K) of the first repeat; NaN where it has no answer.
        credit: (n,) how clearly each scored row was right, in [0, 1] (`search.credit`); the mean of the repeats whose
            logits are known, NaN where there is none. A strategy is chosen by it.
        fold_scores: One a fold that was run, in the order of `Split.folds`.
        choice: Index of the strength or k for the final fit, or None where there is none to choose.
        seconds: Its share of the wall time.
        num_fits: Heads or networks trained for them.
        curve: Its loss and accuracy by epoch, where it was trained by epochs.
        merits: One a setting, the mean over the rows of what it is chosen by, higher is better; -inf where a fold was
            not solved for it; empty where there are no settings.
        sketched: Whether it was answered in the first repeat alone, by looser fits, since it cannot win.
        members: As in `Trial`.
        every: (r, n, K) logits of the r repeats that were answered, of a head that others may join; else None.
    """

    strategy: Strategy
    scores: Floats
    predicted: Ints
    logits: Floats
    credit: Floats
    fold_scores: tuple[float, ...]
    choice: int | None
    seconds: float
    num_fits: int
    curve: Curve | None = None
    merits: tuple[float, ...] = ()
    sketched: bool = False
    members: tuple[Member, ...] = ()
    every: Floats | None = None

    def __repr__(self) -> str:
        return f"<Answers {self.strategy.name}: {int(self.answered.sum()):,} of {len(self.scores):,} rows>"

    @property
    def answered(self) -> Bools:
        """(n,) whether some repeat answered the row."""
        return ~np.isnan(self.scores)

    @property
    def is_complete(self) -> bool:
        """Whether every scored row was answered, in one repeat at least."""
        return bool(self.answered.all())


def answers_from(
    strategy: Strategy,
    predicted: Ints,
    *,
    logits: Floats,
    rows: Rows,
    seconds: float,
    choice: int | None = None,
    num_fits: int | None = None,
    curve: Curve | None = None,
    members: tuple[Member, ...] = (),
    every: Floats | None = None,
) -> Answers:
    """Return a strategy's answers with the scores of every row and of every fold that was run.

    Args:
        strategy: Which.
        predicted: (R, n) int64 predicted classes of `rows.scored`; -1 where a repeat has no answer. A fold was run
            where all its rows have one.
        logits: (n, K) of the first repeat, or (r, n, K) of the first r; NaN where there is no answer.
        rows: What was answered.
        seconds: Wall time that it took.
        choice: As in `Answers`.
        num_fits: As in `Answers`; None: one a fold that was run.
        curve: As in `Answers`.
        members: As in `Answers`.
        every: As in `Answers`.
    """
    right = predicted == rows.scored_labels
    fold_scores = []
    for held_out, repeat in zip(rows.held_out, rows.repeat, strict=True):
        places = np.searchsorted(rows.scored, held_out)
        if (predicted[repeat, places] >= 0).all():
            fold_scores.append(float(np.average(right[repeat, places], weights=rows.weight[held_out])))
    scores = right_shares(predicted, rows.scored_labels) * rows.scored_weight
    fits = len(fold_scores) if num_fits is None else num_fits
    logits = logits if logits.ndim == 3 else logits[None]
    credit = held_out_credit(logits, rows.scored_labels, weight=rows.scored_weight, fold=rows.fold[: len(logits)])
    return Answers(
        strategy=strategy,
        scores=scores,
        predicted=predicted,
        logits=logits[0],
        credit=credit,
        fold_scores=tuple(fold_scores),
        choice=choice,
        seconds=seconds,
        num_fits=fits,
        curve=curve,
        members=members,
        every=every,
    )


def right_shares(predicted: Ints, labels: Ints) -> Floats:
    """Return (n,) the share of the repeats that answered each row in which it was right; NaN where none answered.

    Args:
        predicted: (R, n) predicted classes; -1 where a repeat has no answer.
        labels: (n,) true classes.
    """
    counts = (predicted >= 0).sum(axis=0)
    right = (predicted == labels).sum(axis=0)
    shares: Floats = np.divide(right, counts, out=np.full(len(labels), np.nan), where=counts > 0)
    return shares
