"""Strategies' held-out answers in -> what the choosing is worth, and what it gains over the usual choice, out.

One idea: a choice is scored as a strategy is. The rows outside each fold choose, by the rules of `search.contest`, and
that choice is scored on the fold: a winner that was merely lucky there has no luck left. What is stated is a forecast
of the head that will learn from all rows; what they add to those of the folds comes from a learning curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thawline.core.intervals import copies_factor, interval_of
from thawline.core.types import Floats
from thawline.search.answers import Answers, Rows
from thawline.search.contest import ERRORS_OF_95, Contest, contest_of
from thawline.search.growth import Growth
from thawline.search.leaderboard import Gain, Trial
from thawline.search.spread import MEANS_FACTOR, PAIRS_FACTOR

__all__ = ["Choosing", "score_choosing"]


@dataclass(frozen=True)
class Choosing:
    """What the whole procedure is worth.

    Attributes:
        mean: Forecast of the score of the chosen strategy once it has learnt from all rows.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        growth: What of the mean comes from learning from all rows rather than those of the folds.
        gain: What choosing gains over the usual choice; None where there is none.
    """

    mean: float
    low: float
    high: float
    growth: float = 0.0
    gain: Gain | None = None


def score_choosing(
    scored: Sequence[Answers],
    rows: Rows,
    *,
    winner: Trial,
    eligible: Sequence[bool] | None = None,
    growth: Growth | None = None,
    usual: Answers | None = None,
) -> Choosing:
    """Return what the choosing is worth: each fold scored by what the rows outside it would choose.

    Most of the optimism of having been picked is removed, not all: the answers for the rows outside a fold come from
    heads that were trained on that fold. What is left is measured in `docs/decisions/0005-what-a-tie-is.md`. Where one
    fold holds all scored rows (the validation folder) no row is outside it, and nothing is removed; nor is anything
    where the winner is partial: then its own mean and interval are returned, over the rows that it answered.

    Args:
        scored: As in `rank`; only the complete strategies take part.
        rows: What they answered.
        winner: The winner's trial.
        eligible: As in `rank`.
        growth: The learning curve; None: nothing is added.
        usual: Answers of the usual choice, complete; None: no gain is stated.
    """
    if winner.num_pictures < len(rows.scored):
        return Choosing(winner.mean, winner.low, winner.high)
    allowed = np.ones(len(scored), dtype=np.bool_) if eligible is None else np.array(eligible)
    kept = [place for place, entry in enumerate(scored) if entry.is_complete]
    contest = contest_of([scored[place] for place in kept], rows, eligible=allowed[kept].tolist())
    chosen = _chosen_scores([scored[place] for place in kept], rows, contest)
    added = np.zeros_like(chosen) if growth is None else growth.added * rows.scored_weight
    spread = contest.spread(np.stack([chosen, chosen + added], axis=1))
    mean = float(np.clip(spread.means[1], 0, 1))
    most = len(contest.groups) / copies_factor(contest.groups) / MEANS_FACTOR
    bare, grown = spread.variances.tolist()
    variance = max(MEANS_FACTOR * bare + max(grown - bare, 0.0), 0.8 * mean * (1 - mean) / most)
    low, high = interval_of(mean, variance, most=most)
    gain = None if usual is None else _gain(contest, chosen, usual)
    return Choosing(mean, low, high, float(spread.means[1] - spread.means[0]), gain)


def _chosen_scores(scored: Sequence[Answers], rows: Rows, contest: Contest) -> Floats:
    """Return (n,) weighted scores of what the rows outside each row's folds would choose, the mean over the repeats."""
    right = np.zeros((int(rows.repeat.max()) + 1, len(rows.scored)))
    for fold, held_out in enumerate(rows.held_out):
        places = np.searchsorted(rows.scored, held_out)
        outside = np.setdiff1d(np.arange(len(rows.scored)), places)
        chosen = scored[contest.on(outside if len(outside) else places).verdict().winner]
        predicted = chosen.predicted[rows.repeat[fold], places]
        hits = (predicted == rows.labels[held_out]) * rows.weight[held_out]
        right[rows.repeat[fold], places] = np.where(predicted >= 0, hits, chosen.scores[places])  # else other repeats'
    by_row: Floats = right.mean(axis=0)
    return by_row


def _gain(contest: Contest, chosen: Floats, usual: Answers) -> Gain:
    """Return the paired difference of the choosing from the usual choice."""
    spread = contest.spread(np.stack([chosen, usual.scores], axis=1))
    mean = float(spread.means[0] - spread.means[1])
    error = ERRORS_OF_95 * float(np.sqrt(PAIRS_FACTOR * spread.hit_variances_from(1)[0]))
    return Gain(usual.strategy.name, mean, mean - error, mean + error)
