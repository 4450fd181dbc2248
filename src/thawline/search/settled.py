"""A linear strategy and the strength that was chosen for it -> the held-out logits of every fold under that strength.

One idea: a temperature belongs to one strength. In the comparison each fold has the strength that the rows outside it
choose; where two strengths are nearly as good their answers are a mixture, and what is fitted on a mixture makes a
model of the weaker strength too sure, one of the stronger too unsure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.types import Floats, Ints
from thawline.features.joined_bank import Bank
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.rotation import rotate
from thawline.search.answers import Rows
from thawline.search.held_out import EVERY_STRENGTH, SOLVED, BankTable, directions_of, fold_logits
from thawline.search.strategy import Strategy

__all__ = ["settled_logits"]


def settled_logits(
    banks: Sequence[Bank], hashes: Sequence[str], *, rows: Rows, strategy: Strategy, l2: float
) -> tuple[Floats, Ints]:
    """Return (M, K) float32 held-out logits of all repeats under one strength, and the (M,) classes of their rows.

    The folds are solved again along the same path of strengths as for the comparison, a small part of its time.
    Rows of folds that this strength was not solved for are left out; M may be 0.

    Args:
        banks: Those that the strategy learnt from, the plain one first, one a view.
        hashes: N picture hashes, those of `rows`.
        rows: The rows of choosing.
        strategy: With a linear head.
        l2: The strength, one of `L2_STRENGTHS`.
    """
    table, place, num_classes = (
        BankTable(tuple(banks), hashes, strategy.blocks),
        L2_STRENGTHS.index(l2),
        int(rows.labels.max()) + 1,
    )
    effort = SOLVED.within(EVERY_STRENGTH[place:]).for_size(num_rows=table.shape[0], num_classes=num_classes)
    directions = directions_of(effort, num_rows=table.shape[0], num_classes=num_classes)
    of_folds = fold_logits(strategy, rotate(table, max_directions=directions), rows=rows, effort=effort)
    answers = np.concatenate([of_settings[place] for of_settings in of_folds.values()])
    labels = rows.labels[np.concatenate([rows.held_out[fold] for fold in of_folds])]
    solved = ~np.isnan(answers).any(axis=1)
    return answers[solved], labels[solved]
