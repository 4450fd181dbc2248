"""Sketched answers of strategies in -> which of them may lead or win: the others need no closer look.

One idea: who leads is a matter of credit (`search.credit`), and who wins loses hardly any against the leader
(`search.ties`). A closer look answers the same pictures, so it turns an order only where that is close: within what
a sketch may cost, and a part of the noise of the paired difference, where copies count once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.types import Bools, Floats, Ints
from thawline.search.answers import Answers, Rows

__all__ = ["may_win"]

ERRORS = 0.25
"""Standard errors of the difference by which a sketch's credit may lie below the best one's."""
SLACK = 0.003
"""Credit that a sketch may lack, besides: no less than a cheaper winner may lose."""


def may_win(answers: Sequence[Answers], rows: Rows) -> Bools:
    """Return (S,) whether each strategy may lead or win, for all that its sketch can tell.

    Args:
        answers: Of S strategies to all scored rows, in the first repeat at least.
        rows: What they answered.
    """
    credit = np.stack([entry.credit for entry in answers], axis=1) * rows.scored_weight[:, None]
    lost, error = _behind(credit, rows.scored_groups)
    may: Bools = lost <= ERRORS * error + SLACK
    return may


def _behind(credit: Floats, groups: Ints) -> tuple[Floats, Floats]:
    """Return (S,) by how much the mean of (n, S) credit lies below the highest, and (S,) standard errors of that."""
    means = credit.mean(axis=0)
    less = credit[:, [int(means.argmax())]] - credit
    _, place = np.unique(groups, return_inverse=True)
    num_groups, difference = int(place.max()) + 1, less.mean(axis=0)
    by_group = np.stack([np.bincount(place, column, num_groups) for column in (less - difference).T], axis=1)
    return difference, np.sqrt(np.square(by_group).sum(axis=0)) / len(credit)
