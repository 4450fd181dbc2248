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
from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.rotation import rotate
from thawline.search.answers import Rows
from thawline.search.frozen import stacked_views
from thawline.search.strategy import Strategy

__all__ = ["settled_logits"]


def settled_logits(
    banks: Sequence[Bank], hashes: Sequence[str], *, rows: Rows, strategy: Strategy, l2: float
) -> tuple[Floats, Ints]:
    """Return (M, K) float32 held-out logits of all repeats under one strength, and the (M,) classes of their rows.

    The folds are solved again along the same path of strengths, a fraction of a second where the whole comparison
    takes seconds. Rows of folds that this strength was not solved for are left out; M may be 0.

    Args:
        banks: Those that the strategy learnt from, the plain one first, one a view.
        hashes: N picture hashes, those of `rows`.
        rows: The rows of choosing.
        strategy: With a linear head.
        l2: The strength, one of `L2_STRENGTHS`.
    """
    strengths = [strength for strength in L2_STRENGTHS if strength >= l2]
    logits = fit_folds(
        rotate(stacked_views(banks, hashes, blocks=strategy.blocks)),
        np.tile(rows.labels, len(banks)),
        row_weights=np.tile(rows.train / np.float32(len(banks)), (len(banks), 1)),
        strengths=strengths,
        num_classes=int(rows.labels.max()) + 1,
        num_answers=len(hashes),
    )[:, strengths.index(l2)]
    answers = np.concatenate([logits[fold, held_out] for fold, held_out in enumerate(rows.held_out)])
    labels = rows.labels[np.concatenate(rows.held_out)]
    solved = ~np.isnan(answers).any(axis=1)
    return answers[solved], labels[solved]
