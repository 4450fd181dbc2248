"""Sketched answers of strategies in -> which of them may win out: the others need no closer look.

One idea: whether a strategy can still win is a question of noise. It is compared with the best picture by picture, and
copies count once: where the difference is several times its own standard error, a closer fit will not turn it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

from thawline.core.types import Floats, Ints
from thawline.search.answers import Answers, Bools, Rows

__all__ = ["may_win"]

ERRORS_OF_LOSS = 2.0
"""Standard errors by which a log-loss may lie above the best one."""
SLACK_OF_LOSS = 0.01
"""What a sketch may add to a log-loss, as a share of the best one."""
ERRORS_OF_SCORE = {"linear": 0.25, "class mean": 1.0, "k-NN": 1.0}
"""Standard errors by which a score may lie below the best one: a linear head is told by its log-loss first."""


def may_win(answers: Sequence[Answers], rows: Rows) -> Bools:
    """Return (S,) whether each strategy may be the best by log-loss or by score, for all that its sketch can tell.

    Args:
        answers: Of S strategies to all scored rows, in the first repeat at least.
        rows: What they answered.
    """
    scores = np.stack([entry.scores for entry in answers], axis=1)
    losses = np.stack([_losses(entry.logits, rows) for entry in answers], axis=1)
    best = losses.mean(axis=0).min()
    more, error = _behind(losses, rows.scored_groups)
    by_loss = more <= ERRORS_OF_LOSS * error + SLACK_OF_LOSS * best
    less, error = _behind(-scores, rows.scored_groups)
    by_score = less <= np.array([ERRORS_OF_SCORE[entry.strategy.head] for entry in answers]) * error
    may: Bools = by_loss | by_score
    return may


def _losses(logits: Floats, rows: Rows) -> Floats:
    """Return (n,) weighted log-losses of (n, K) logits."""
    labels = rows.scored_labels
    losses: Floats = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    return losses * rows.scored_weight


def _behind(costs: Floats, groups: Ints) -> tuple[Floats, Floats]:
    """Return (S,) by how much the mean of (n, S) costs lies above the lowest, and (S,) standard errors of that."""
    means = costs.mean(axis=0)
    more = costs - costs[:, [int(means.argmin())]]
    _, place = np.unique(groups, return_inverse=True)
    num_groups, difference = int(place.max()) + 1, more.mean(axis=0)
    by_group = np.stack([np.bincount(place, column, num_groups) for column in (more - difference).T], axis=1)
    return difference, np.sqrt(np.square(by_group).sum(axis=0)) / len(costs)
