"""Strategies' scores and credit on the same pictures in -> who leads, who wins, and how each compares out.

One idea: credit chooses, the score is what people read. The leader has the most held-out credit (`search.credit`); a
cheaper one wins where the pictures show it as good (`search.ties`). Differences in score are taken from the leader,
which was not picked for its score, so no luck of the picking is in them to speak of.

A strategy that takes minutes to train may have answered some folds only. Three rules keep an easy fold from winning:

1. The leader is the best of the complete strategies. A partial one takes its place only where a paired test, on the
   rows that both answered, says that it scores better; of several such ones, that which is furthest ahead. (Credit
   would be too kind to a fold in which all was right: nothing bounds how sure that is.)
2. Every comparison with the leader is made on the rows that both answered.
3. A partial strategy wins only as the leader, or where none but partial ones may win.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import erfc
from typing import Literal

import numpy as np

from thawline.core.types import Bools, Floats, Ints
from thawline.search.answers import Answers, Rows
from thawline.search.spread import PAIRS_FACTOR, Spread, spread_of
from thawline.search.ties import SAVING, SIGNIFICANCE, is_as_good, is_tie

__all__ = ["Contest", "Duel", "Verdict", "alike", "contest_of"]

ERRORS_OF_95 = 1.96


@dataclass(frozen=True)
class Contest:
    """What S strategies are judged by.

    Attributes:
        scores: (n, S) weighted; NaN where a row was not answered.
        credit: (n, S) weighted; NaN where a row was not answered.
        labels: (n,) classes.
        groups: (n,) groups of copies.
        weight: (n,) what a right answer counts.
        costs: (S,) of a prediction.
        allowed: (S,) who may win.
        settled: (S,) who was answered in full, not sketched because it cannot win.
        factor: By which variances of differences are raised, since another training set would give other heads.
    """

    scores: Floats
    credit: Floats
    labels: Ints
    groups: Ints
    weight: Floats
    costs: Floats
    allowed: Bools
    settled: Bools
    factor: float = PAIRS_FACTOR

    def on(self, rows: Ints) -> Contest:
        """Return the same contest on some rows only."""
        parts = {name: getattr(self, name)[rows] for name in ("scores", "credit", "labels", "groups", "weight")}
        return replace(self, **parts)

    @property
    def answered(self) -> Bools:
        """(n, S) who answered which row."""
        answered: Bools = ~np.isnan(self.scores + self.credit)
        return answered

    @property
    def complete(self) -> Bools:
        """(S,) who answered every row."""
        complete: Bools = np.logical_and.reduce(self.answered, axis=0)
        return complete

    def spread(self, values: Floats) -> Spread:
        """Return the spread of (n, s) weighted values that answered every row of this contest."""
        return spread_of(values, labels=self.labels, groups=self.groups, weight=self.weight)

    def verdict(self) -> Verdict:
        """Return who leads and who wins, by the three rules of this module."""
        complete, costs = self.complete, self.costs
        places = np.flatnonzero(complete & self.settled if (complete & self.settled).any() else complete)
        leader = int(places[np.lexsort((costs[places], -_means(self.credit[:, places])))[0]])
        duel = self._duel(leader)
        better = ~complete & (duel.difference > 0) & (duel.p_values <= SIGNIFICANCE)
        if better.any():
            leader = int(np.argmax(np.where(better, duel.difference, -np.inf)))
            duel = self._duel(leader)
        first = complete | (np.arange(len(costs)) == leader)
        allowed = self.allowed & self.settled if (self.allowed & self.settled).any() else self.allowed
        may_win = allowed & first if (allowed & complete).any() else allowed
        return Verdict(leader, _winner(duel, costs, may_win), duel)

    def _duel(self, leader: int) -> Duel:
        """Return how every strategy compares with one; those that share the same rows with it are one matrix."""
        answered = self.answered
        duel = Duel(*np.zeros((4, len(self.costs))))
        for rows, columns in alike(answered & answered[:, [leader]]):
            part, both = self.on(np.flatnonzero(rows)), np.append(columns, leader)
            score, credit = part.spread(part.scores[:, both]), part.spread(part.credit[:, both])
            duel.difference[columns] = (score.means - score.means[-1])[:-1]
            duel.error[columns] = np.sqrt(self.factor * score.hit_variances_from(-1))[:-1]
            duel.lost[columns] = (credit.means[-1] - credit.means)[:-1]
            duel.lost_error[columns] = np.sqrt(self.factor * credit.variances_from(-1))[:-1]
        return duel


def contest_of(
    scored: Sequence[Answers],
    rows: Rows,
    *,
    eligible: Sequence[bool] | None = None,
    factor: float = PAIRS_FACTOR,
    by: Literal["credit", "score"] = "credit",
) -> Contest:
    """Return the contest of strategies on all scored rows.

    Args:
        scored: One entry a strategy.
        rows: What they answered.
        eligible: Which may win; None: all.
        factor: As in `Contest`.
        by: What leads; the score where nothing is chosen, so that no luck of the picking matters.

    Raises:
        ValueError: No strategy is complete, no row was answered by all, or none may win.
    """
    scores = np.stack([entry.scores for entry in scored], axis=1)
    credit = np.stack([entry.credit for entry in scored], axis=1) * rows.scored_weight[:, None]
    return Contest(
        scores=scores,
        credit=credit if by == "credit" else scores,
        labels=rows.scored_labels,
        groups=rows.scored_groups,
        weight=rows.scored_weight,
        costs=np.array([entry.strategy.cost for entry in scored]),
        allowed=_allowed(scored, eligible),
        settled=np.array([not entry.sketched for entry in scored]),
        factor=factor,
    )


@dataclass(frozen=True)
class Duel:
    """Every strategy against the leader, on the rows that both answered; arrays are (S,), or numbers for one of them.

    Attributes:
        difference: Mean score less the leader's.
        error: Standard error of it, other training sets included.
        lost: The leader's mean credit less its own.
        lost_error: Standard error of it.
    """

    difference: Floats
    error: Floats
    lost: Floats
    lost_error: Floats

    @property
    def low(self) -> Floats:
        """Lower end of the paired 95 % interval of the difference."""
        return self.difference - ERRORS_OF_95 * self.error

    @property
    def high(self) -> Floats:
        """Upper end of it."""
        return self.difference + ERRORS_OF_95 * self.error

    @property
    def p_values(self) -> Floats:
        """Two-sided p-values that the scores differ by chance; 1 where they do not differ."""
        errors = np.abs(self.difference) / np.maximum(self.error, 1e-300)
        p_values: Floats = np.vectorize(erfc, otypes=[float])(np.minimum(errors, 40.0) / 2**0.5)  # by Gauss's curve
        return p_values

    @property
    def tied(self) -> Bools:
        """Whether each is tied with the leader."""
        return is_tie(self.low, self.high)

    @property
    def as_good(self) -> Bools:
        """Whether each is shown to be as good as the leader."""
        return is_as_good(self.lost, self.lost_error)

    def against(self, index: int) -> Duel:
        """Return the numbers of one strategy."""
        return Duel(*(values[index] for values in vars(self).values()))


@dataclass(frozen=True)
class Verdict:
    """Who leads, who wins, and how each strategy compares with the leader."""

    leader: int
    winner: int
    duel: Duel


def _winner(duel: Duel, costs: Floats, may_win: Bools) -> int:
    """Return the cheapest strategy of those that may win and are as good as the leader; where none is, the best.

    Costs are compared in steps of what counts as a saving; among equally cheap ones the better wins.
    """
    as_good = np.flatnonzero(may_win & duel.as_good)
    if len(as_good):
        best = as_good[np.lexsort((costs[as_good], duel.lost[as_good]))[0]]
        cheaper = as_good[costs[as_good] <= costs[best] - SAVING]
        order = np.lexsort((duel.lost[cheaper], np.round(costs[cheaper], 2)))
        return int(cheaper[order[0]] if len(cheaper) else best)
    places = np.flatnonzero(may_win)
    return int(places[np.lexsort((costs[places], duel.lost[places]))[0]])


def _allowed(scored: Sequence[Answers], eligible: Sequence[bool] | None) -> Bools:
    """Return (S,) who may win; refuse what cannot be judged."""
    answered = np.stack([entry.answered for entry in scored])
    if not answered.all(axis=1).any():
        raise ValueError(
            f"rank: none of {len(scored)} strategies answered all {answered.shape[1]:,} rows; at least one must. "
            "Rank them together with frozen strategies."
        )
    if not answered.all(axis=0).any():
        raise ValueError(
            f"rank: no row was answered by all {len(scored)} strategies; at least one must be. "
            "Let all strategies start with the same fold."
        )
    allowed = np.ones(len(scored), dtype=np.bool_) if eligible is None else np.array(eligible, dtype=np.bool_)
    if len(allowed) != len(scored) or not allowed.any():
        raise ValueError(
            f"rank: {int(allowed.sum())} of {len(allowed)} entries may win; at least one of {len(scored)} must. "
            "Pass one entry a strategy in `eligible`."
        )
    return allowed


def alike(answered: Bools) -> Iterator[tuple[Bools, Ints]]:
    """Yield, for (n, S) answered, each set of rows (n,) and the strategies that answered just those."""
    if answered.all():
        yield answered[:, 0], np.arange(answered.shape[1])
        return
    masks, place = np.unique(answered, axis=1, return_inverse=True)
    for index, rows in enumerate(masks.T):
        yield rows, np.flatnonzero(place.ravel() == index)


def _means(values: Floats) -> Floats:
    """Return (S,) means of (n, S) values, each column summed as if it stood alone, so that equal ones stay equal."""
    means: Floats = np.ascontiguousarray(values.T).mean(axis=1)
    return means
