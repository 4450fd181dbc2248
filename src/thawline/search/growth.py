"""Features and answers of a linear head in -> its learning curve out: what all rows add to what the folds' rows give.

One idea: the folds' heads learn from four fifths of the rows, the delivered one from all. Heads that learn from half of
each fold's rows show how steep the curve is: along the logarithm of the rows it is nearly straight (Mukherjee et al.,
"Estimating dataset size requirements for classifying DNA microarray data", J. Comput. Biol. 2003, fit such curves).
What it adds is known for each row, so its uncertainty adds to that of the score, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.types import Floats, Ints
from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.rotation import Rotated
from thawline.heads.softmax_path import TOLERANCE
from thawline.search.answers import Answers, Rows

__all__ = ["Growth", "growth_of"]

NUM_HALVES = 2


@dataclass(frozen=True)
class Growth:
    """What learning from all rows, rather than from those of the folds, adds.

    Attributes:
        added: (n,) so much to the score of each scored row, in [-1, 1], before it is weighted: far too rough for one
            row, of use in the mean.
    """

    added: Floats

    def __repr__(self) -> str:
        return f"<Growth of {100 * float(self.added.mean()):+.1f} points>"


def growth_of(
    rotated: Rotated,
    entry: Answers,
    *,
    rows: Rows,
    num_classes: int,
    tolerance: float = TOLERANCE,
    num_halves: int = NUM_HALVES,
) -> Growth:
    """Return the growth of a linear head, by the folds of the first repeat.

    Args:
        rotated: Features of the N rows that the head reads.
        entry: Its held-out answers and the strength that was chosen for it.
        rows: What was answered.
        num_classes: K.
        tolerance: As in `fit_folds`.
        num_halves: Halves of the rows that are learnt from, one or both.
    """
    first = np.flatnonzero(rows.repeat == 0)
    half = _halves(rows.labels, rows.groups)
    weights = np.concatenate([rows.train[:, first] * (half == part)[:, None] for part in range(num_halves)], axis=1)
    logits = fit_folds(
        rotated,
        rows.labels,
        row_weights=weights,
        strengths=L2_STRENGTHS[entry.choice or 0 :][:1],
        num_classes=num_classes,
        tolerance=tolerance,
    )[:, 0]
    right = entry.predicted[0] == rows.scored_labels
    added = np.zeros(len(rows.scored))
    for place, fold in enumerate(first):
        held_out = rows.held_out[fold]
        halved = logits[place :: len(first)][:, held_out].argmax(axis=2) == rows.labels[held_out]
        steps = np.log2(len(rows.labels) / np.count_nonzero(rows.train[:, fold]))
        places = np.searchsorted(rows.scored, held_out)
        added[places] = steps * (right[places] - halved.mean(axis=0))
    return Growth(added)


def _halves(labels: Ints, groups: Ints) -> Ints:
    """Return (N,) 0 or 1: the half of each row, groups whole, the halves of each class alike to one group."""
    _, place = np.unique(groups, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(int(place.max()) + 1)[place]
    pairs, member = np.unique(np.stack([labels, shuffled], axis=1), axis=0, return_inverse=True)
    starts = np.searchsorted(pairs[:, 0], pairs[:, 0])
    rank: Ints = np.arange(len(pairs)) - starts
    return (rank % NUM_HALVES)[member.ravel()]
