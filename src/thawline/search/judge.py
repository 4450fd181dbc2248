"""Strategies' held-out answers in -> trials with intervals, the leader, its ties and the winner out.

One idea: a trial's score is what its held-out answers scored; its interval is a forecast for the head that will learn
from all pictures of choosing, and so allows for other pictures, for another training set, and for what more pictures
teach (`search.growth`). Who leads and wins: `search.contest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from thawline.core.intervals import copies_factor, interval_of
from thawline.core.metrics import confusion_matrix, macro_f1
from thawline.core.types import Floats
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.search.answers import Answers, Rows, right_shares
from thawline.search.contest import Contest, Duel, alike, contest_of
from thawline.search.leaderboard import Trial
from thawline.search.spread import MEANS_FACTOR, PAIRS_FACTOR

__all__ = ["rank"]


def rank(
    scored: Sequence[Answers],
    rows: Rows,
    *,
    full_pass_ms: float,
    eligible: Sequence[bool] | None = None,
    growth: float = 0.0,
    is_forecast: bool = True,
    by: Literal["credit", "score"] = "credit",
) -> tuple[tuple[Trial, ...], int, list[int]]:
    """Return the trials, best first, the index of the winner among them, and their places in `scored`.

    The leader comes first, then the others by how their scores compare with its on the rows that both answered. A
    trial's own scores are over the rows that it answered.

    Args:
        scored: One entry a strategy; one is complete at least, and some row was answered by all.
        rows: What they answered.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        eligible: Which of `scored` may win; None: all. Where none of them is as good as the leader, the one that
            compares best with it wins.
        growth: What learning from all rows, not from those of the folds, adds to a score.
        is_forecast: Whether intervals speak of heads that are yet to learn from all rows; else of those that answered.
        by: What leads: `score` where nothing is chosen.

    Raises:
        ValueError: No strategy is complete, no row was answered by all, or none may win.
    """
    contest = contest_of(scored, rows, eligible=eligible, factor=PAIRS_FACTOR if is_forecast else 1.0, by=by)
    verdict, costs = contest.verdict(), contest.costs
    own = _own_intervals(contest, growth, MEANS_FACTOR if is_forecast else 1.0)
    trials = [
        _trial(entry, rows, own[i], verdict.duel.against(i), full_pass_ms=full_pass_ms)
        for i, entry in enumerate(scored)
    ]
    order = sorted(range(len(scored)), key=lambda i: (i != verdict.leader, -verdict.duel.difference[i], costs[i]))
    return tuple(trials[index] for index in order), order.index(verdict.winner), order


def _own_intervals(contest: Contest, growth: float, factor: float) -> Floats:
    """Return (S, 4): mean, low and high of every strategy's score, and its mean credit, over its rows."""
    intervals = np.zeros((contest.scores.shape[1], 4))
    for answered, columns in alike(~np.isnan(contest.scores)):
        part = contest.on(np.flatnonzero(answered))
        spread = part.spread(part.scores[:, columns])
        most = len(part.groups) / copies_factor(part.groups) / factor
        intervals[columns, 0] = spread.means
        intervals[columns, 1:3] = [
            interval_of(mean + growth, max(factor * variance, 0.8 * mean * (1 - mean) / most), most=most)
            for mean, variance in zip(spread.means.tolist(), spread.variances.tolist(), strict=True)
        ]
        intervals[columns, 3] = part.spread(part.credit[:, columns]).means
    return intervals


def _trial(entry: Answers, rows: Rows, own: Floats, duel: Duel, *, full_pass_ms: float) -> Trial:
    """Return the trial of a strategy whose own mean and interval are `own`, and which compares with the leader so."""
    mean, low, high, credit = own.tolist()
    known = entry.predicted >= 0
    truth = np.broadcast_to(rows.scored_labels, known.shape)
    confusion = confusion_matrix(truth[known], entry.predicted[known], num_classes=int(rows.labels.max()) + 1)
    head, choice = entry.strategy.head, entry.choice
    return Trial(
        strategy=entry.strategy,
        fold_scores=entry.fold_scores,
        mean=mean,
        low=min(mean, low),
        high=min(1.0, max(mean, high)),
        accuracy=float(right_shares(entry.predicted, rows.scored_labels)[entry.answered].mean()),
        macro_f1=macro_f1(confusion),
        difference=float(duel.difference),
        difference_low=float(duel.low),
        difference_high=float(duel.high),
        p_value=float(duel.p_values),
        tied=bool(duel.tied),
        l2=L2_STRENGTHS[choice] if head == "linear" and choice is not None else None,
        neighbours=NEIGHBOURS[choice] if head == "k-NN" and choice is not None else None,
        fit_s=entry.seconds,
        predict_ms=entry.strategy.cost * full_pass_ms,
        num_pictures=int(entry.answered.sum()),
        curve=entry.curve,
        sketched=entry.sketched,
        credit=credit,
        members=entry.members,
    )
