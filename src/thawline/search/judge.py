"""Strategies' held-out answers in -> trials with intervals, the leader, its ties (`search.ties`) and the winner out.

One idea: a choice is scored as a strategy is. `rank` says who wins on all rows; `score_choosing` lets the rows outside
each fold choose and scores that choice on the fold, which removes most of the optimism of having been picked.

A strategy that takes minutes to train may have answered some folds only. Three rules keep an easy fold from winning:

1. The leader is the best of the complete strategies. A partial one takes its place only where a paired test, on the
   rows that both answered, says that it is better; of several such ones, that which is furthest ahead.
2. Every difference from the leader, its interval, its p-value and the tie are taken on the rows that both answered.
3. The cheapest tied strategy wins. A partial one wins only as the leader, or where none but partial ones may win.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thawline.core.intervals import accuracy_interval, group_bootstrap, paired_sign_flip
from thawline.core.metrics import confusion_matrix, macro_f1
from thawline.core.types import Floats, Ints
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.search.answers import Answers, Bools, Rows, right_shares
from thawline.search.leaderboard import Trial
from thawline.search.ties import SIGNIFICANCE, is_tie

__all__ = ["rank", "score_choosing"]

NUM_RESAMPLES = 2000


def rank(
    scored: Sequence[Answers],
    rows: Rows,
    *,
    full_pass_ms: float,
    seed: int,
    eligible: Sequence[bool] | None = None,
) -> tuple[tuple[Trial, ...], int, list[int]]:
    """Return the trials, best first, the index of the winner among them, and their places in `scored`.

    The leader comes first, then the others by how they compare with it on the rows that both answered. A trial's own
    scores are over the rows that it answered.

    Args:
        scored: One entry a strategy; one is complete at least, and some row was answered by all.
        rows: What they answered.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        seed: Of resampling.
        eligible: Which of `scored` may win; None: all. Where none of them is tied with the leader, the one that
            compares best with it wins.

    Raises:
        ValueError: No strategy is complete, no row was answered by all, or none may win.
    """
    contest = _contest(scored, rows, _allowed(scored, eligible), seed)
    verdict, costs = _judge(contest), contest.costs
    own = _own_intervals(contest.scores, rows, seed)
    trials = [
        _trial(entry, rows, own[i], verdict.duel.against(i), full_pass_ms=full_pass_ms)
        for i, entry in enumerate(scored)
    ]
    order = sorted(range(len(scored)), key=lambda i: (i != verdict.leader, -verdict.duel.standing[i], costs[i]))
    return tuple(trials[index] for index in order), order.index(verdict.winner), order


def score_choosing(
    scored: Sequence[Answers], rows: Rows, *, winner: Trial, seed: int, eligible: Sequence[bool] | None = None
) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the whole procedure: each fold scored by what the rows outside it would choose.

    Most of the optimism of having been picked is removed, not all: the answers for the rows outside a fold come from
    heads that were trained on that fold. What is left is measured in `docs/decisions/0005-what-a-tie-is.md`. Where one
    fold holds all scored rows (the validation folder) no row is outside it, and nothing is removed; nor is anything
    where the winner is partial: then its own mean and interval are returned, over the rows that it answered.

    Args:
        scored: As in `rank`; only the complete strategies take part.
        rows: What they answered.
        winner: The winner's trial.
        seed: Of resampling.
        eligible: As in `rank`.
    """
    if winner.num_pictures < len(rows.scored):
        return winner.mean, winner.low, winner.high
    complete = np.array([entry.is_complete for entry in scored])
    allowed = _allowed(scored, eligible)[complete]
    scored = [entry for entry in scored if entry.is_complete]
    contest = _contest(scored, rows, allowed, seed)
    right = np.zeros((int(rows.repeat.max()) + 1, len(rows.scored)))
    for fold, held_out in enumerate(rows.held_out):
        places = np.searchsorted(rows.scored, held_out)
        outside = np.setdiff1d(np.arange(len(rows.scored)), places)
        if not len(outside):
            outside = places
        chosen = scored[_judge(contest.on(outside)).winner]
        predicted = chosen.predicted[rows.repeat[fold], places]
        hits = (predicted == rows.labels[held_out]) * rows.weight[held_out]
        right[rows.repeat[fold], places] = np.where(predicted >= 0, hits, chosen.scores[places])  # else other repeats'
    by_row = right.mean(axis=0)
    if (rows.weight == 1).all():
        return float(by_row.mean()), *accuracy_interval(by_row, contest.groups)
    low, high = group_bootstrap(by_row, contest.groups, seed=seed)
    return float(by_row.mean()), float(low), min(1.0, float(high))


@dataclass(frozen=True)
class _Contest:
    """What S strategies are judged by.

    Attributes:
        scores: (n, S), NaN where a row was not answered.
        groups: (n,) groups of copies.
        weight: (n,) what a right answer counts.
        costs: (S,) of a prediction.
        allowed: (S,) who may win.
        seed: Of resampling.
        num_resamples: Of tests and intervals.
    """

    scores: Floats
    groups: Ints
    weight: Floats
    costs: Floats
    allowed: Bools
    seed: int
    num_resamples: int

    def on(self, rows: Ints) -> _Contest:
        """Return the same contest on some rows only, with a quarter of the resamples: one is judged for every fold."""
        return replace(
            self,
            scores=self.scores[rows],
            groups=self.groups[rows],
            weight=self.weight[rows],
            num_resamples=self.num_resamples // 4,
        )


@dataclass(frozen=True)
class _Duel:
    """Every strategy against the leader, on the rows that both answered; arrays are (S,), or numbers for one of them.

    Attributes:
        difference: Mean less the leader's.
        standing: The leader's mean over all its rows, plus the difference.
        low: Lower end of the paired interval of the difference.
        high: Upper end of it.
        p_values: Of the paired test.
    """

    difference: Floats
    standing: Floats
    low: Floats
    high: Floats
    p_values: Floats

    @property
    def tied(self) -> Bools:
        """(S,) whether each is tied with the leader, by the rule of `search.ties`."""
        return is_tie(self.p_values, self.low)

    def against(self, index: int) -> _Duel:
        """Return the numbers of one strategy."""
        return _Duel(*(values[index] for values in vars(self).values()))


@dataclass(frozen=True)
class _Verdict:
    """Who leads, who wins, and how each strategy compares with the leader."""

    leader: int
    winner: int
    duel: _Duel


def _contest(scored: Sequence[Answers], rows: Rows, allowed: Bools, seed: int) -> _Contest:
    """Return the contest of strategies on all scored rows."""
    scores = np.stack([entry.scores for entry in scored], axis=1)
    costs = np.array([entry.strategy.cost for entry in scored])
    return _Contest(scores, rows.scored_groups, rows.scored_weight, costs, allowed, seed, NUM_RESAMPLES)


def _judge(contest: _Contest) -> _Verdict:
    """Return who leads and who wins, by the three rules of this module."""
    scores, costs, allowed = contest.scores, contest.costs, contest.allowed
    complete = ~np.isnan(scores).any(axis=0)
    places = np.flatnonzero(complete)
    leader = int(places[np.lexsort((costs[places], -_means(scores[:, places], 1.0)))[0]])
    duel = _duel(contest, leader)
    better = ~complete & (duel.difference > 0) & (duel.p_values <= SIGNIFICANCE)
    if better.any():
        leader = int(np.argmax(np.where(better, duel.difference, -np.inf)))
        duel = _duel(contest, leader)
    first = complete | (np.arange(len(costs)) == leader)
    may_win = allowed & first if (allowed & complete).any() else allowed
    return _Verdict(leader, _winner(duel, costs, may_win), duel)


def _winner(duel: _Duel, costs: Floats, may_win: Bools) -> int:
    """Return the cheapest tied strategy of those that may win; where none is tied, the one that compares best.

    Costs are compared in hundredths of the backbone, finer than any clock could tell; among equally cheap ones the
    better wins.
    """
    tied = np.flatnonzero(may_win & duel.tied)
    if len(tied):
        order = np.lexsort((costs[tied], -duel.standing[tied], np.round(costs[tied], 2)))
        return int(tied[order[0]])
    places = np.flatnonzero(may_win)
    return int(places[np.lexsort((costs[places], -duel.standing[places]))[0]])


def _duel(contest: _Contest, leader: int) -> _Duel:
    """Return how every strategy compares with the leader; those that share the same rows with it are one matrix."""
    scores, groups, weight = contest.scores, contest.groups, contest.weight
    resampling = {"num_resamples": contest.num_resamples, "seed": contest.seed}
    answered = ~np.isnan(scores)
    lead = scores[answered[:, leader], leader].mean() / _scale(weight, answered[:, leader])
    duel = _Duel(*np.zeros((5, scores.shape[1])))
    for rows, columns in _alike(answered & answered[:, [leader]]):
        scale = _scale(weight, rows)
        shared, rival = scores[np.ix_(rows, columns)], scores[rows, leader]
        gaps = (shared - rival[:, None]) / scale
        means, rival_mean = _means(shared, scale), rival.mean() / scale
        duel.difference[columns] = means - rival_mean
        duel.standing[columns] = means + (lead - rival_mean)
        duel.p_values[columns] = paired_sign_flip(gaps, groups[rows], **resampling)
        duel.low[columns], duel.high[columns] = group_bootstrap(gaps, groups[rows], **resampling)
    return duel


def _own_intervals(scores: Floats, rows: Rows, seed: int) -> Floats:
    """Return (S, 3): mean, low and high of every strategy over the rows that it answered."""
    groups, weight = rows.scored_groups, rows.scored_weight
    intervals = np.zeros((scores.shape[1], 3))
    for answered, columns in _alike(~np.isnan(scores)):
        scale = _scale(weight, answered)
        own = scores[np.ix_(answered, columns)] / scale
        intervals[columns, 0] = _means(own, 1.0)
        if (rows.weight == 1).all():
            intervals[columns, 1:] = [accuracy_interval(column, groups[answered]) for column in own.T]
        else:
            intervals[columns, 1:] = np.transpose(group_bootstrap(own, groups[answered], seed=seed))
    return intervals


def _trial(entry: Answers, rows: Rows, own: Floats, duel: _Duel, *, full_pass_ms: float) -> Trial:
    """Return the trial of a strategy whose own mean and interval are `own`, and which compares with the leader so."""
    mean, low, high = own.tolist()
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
    )


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


def _alike(answered: Bools) -> Iterator[tuple[Bools, Ints]]:
    """Yield, for (n, S) answered, each set of rows (n,) and the strategies that answered just those."""
    masks, place = np.unique(answered, axis=1, return_inverse=True)
    for index, rows in enumerate(masks.T):
        yield rows, np.flatnonzero(place.ravel() == index)


def _scale(weight: Floats, rows: Bools) -> float:
    """Return what a right answer counts on average, by which a mean over some of the rows is divided."""
    return 1.0 if rows.all() else float(weight[rows].mean())


def _means(scores: Floats, scale: float) -> Floats:
    """Return (S,) means of (n, S) scores, each column summed as if it stood alone, so that equal ones stay equal."""
    means: Floats = np.ascontiguousarray(scores.T).mean(axis=1) / scale
    return means
