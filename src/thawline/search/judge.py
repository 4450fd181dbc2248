"""Strategies' held-out answers in -> trials with intervals, the leader, its ties and the winner out.

One idea: a choice is scored as a strategy is. `rank` says who wins on all rows; `score_choosing` lets the rows outside
each fold choose and scores that choice on the fold, which removes most of the optimism of having been picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thawline.core.metrics import accuracy_interval, confusion_matrix, group_bootstrap, macro_f1, paired_sign_flip
from thawline.core.types import Floats, Ints
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.search.leaderboard import Trial
from thawline.search.strategy import Strategy

__all__ = ["MARGIN", "Answers", "Rows", "rank", "score_choosing"]

SIGNIFICANCE = 0.05
MARGIN = 0.05


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
        scored: Positions that some fold scores, sorted.
        weight: (N,) what a right answer counts: 1 for accuracy, N / (K · class size) for balanced accuracy.
    """

    samples: Ints
    labels: Ints
    groups: Ints
    train: Floats
    held_out: tuple[Ints, ...]
    repeat: Ints
    scored: Ints
    weight: Floats


@dataclass(frozen=True)
class Answers:
    """One strategy's held-out answers.

    Attributes:
        strategy: Which.
        scores: (n,) weighted share of the repeats in which each scored row was right.
        predicted: (R, n) predicted classes.
        logits: (n, K) of the first repeat.
        fold_scores: One a fold.
        choice: Index of the strength or k for the final fit.
        seconds: Its share of the time.
    """

    strategy: Strategy
    scores: Floats
    predicted: Ints
    logits: Floats
    fold_scores: tuple[float, ...]
    choice: int
    seconds: float


def rank(
    scored: Sequence[Answers], rows: Rows, full_pass_ms: float, seed: int
) -> tuple[tuple[Trial, ...], int, list[int]]:
    """Return the trials, best first, the index of the winner among them, and their places in `scored`.

    Args:
        scored: One entry a strategy.
        rows: What they answered.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        seed: Of resampling.
    """
    scores = np.stack([entry.scores for entry in scored], axis=1)
    groups, labels = rows.groups[rows.scored], rows.labels[rows.scored]
    costs = np.array([entry.strategy.cost for entry in scored])
    verdict = _judge(scores, groups, costs, seed, 2000)
    low, high = group_bootstrap(scores, groups, seed=seed)
    plain = bool((rows.weight == 1).all())
    trials = []
    for index, entry in enumerate(scored):
        mean = float(scores[:, index].mean())
        right = (entry.predicted == labels).mean(axis=0)
        interval = accuracy_interval(right, groups) if plain else (float(low[index]), float(high[index]))
        confusion = sum(confusion_matrix(labels, p, int(rows.labels.max()) + 1) for p in entry.predicted)
        head = entry.strategy.head
        trials.append(
            Trial(
                strategy=entry.strategy,
                fold_scores=entry.fold_scores,
                mean=mean,
                low=min(mean, interval[0]),
                high=min(1.0, max(mean, interval[1])),
                accuracy=float(right.mean()),
                macro_f1=macro_f1(np.asarray(confusion)),
                difference=mean - float(scores[:, verdict.leader].mean()),
                difference_low=float(verdict.gap_low[index]),
                difference_high=float(verdict.gap_high[index]),
                p_value=float(verdict.p_values[index]),
                tied=bool(verdict.tied[index]),
                l2=L2_STRENGTHS[entry.choice] if head == "linear" else None,
                neighbours=NEIGHBOURS[entry.choice] if head == "k-NN" else None,
                fit_s=entry.seconds,
                predict_ms=entry.strategy.cost * full_pass_ms,
                num_pictures=len(entry.scores),
            )
        )
    order = sorted(range(len(trials)), key=lambda index: (-trials[index].mean, costs[index]))
    return tuple(trials[index] for index in order), order.index(verdict.winner), order


def score_choosing(scored: Sequence[Answers], rows: Rows, seed: int) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the whole procedure: each fold scored by what the rows outside it would choose.

    Most of the optimism of having been picked is removed, not all: the answers for the rows outside a fold come from
    heads that were trained on that fold. What is left is measured in `docs/decisions/0005-what-a-tie-is.md`. Where one
    fold holds all scored rows (the validation folder) no row is outside it, and nothing is removed.
    """
    scores = np.stack([entry.scores for entry in scored], axis=1)
    groups = rows.groups[rows.scored]
    costs = np.array([entry.strategy.cost for entry in scored])
    right = np.zeros((int(rows.repeat.max()) + 1, len(rows.scored)))
    for fold, held in enumerate(rows.held_out):
        places = np.searchsorted(rows.scored, held)
        outside = np.setdiff1d(np.arange(len(rows.scored)), places)
        if not len(outside):
            outside = places
        winner = _judge(scores[outside], groups[outside], costs, seed, 500).winner
        answers = scored[winner].predicted[rows.repeat[fold], places]
        right[rows.repeat[fold], places] = (answers == rows.labels[held]) * rows.weight[held]
    by_row = right.mean(axis=0)
    if (rows.weight == 1).all():
        return float(by_row.mean()), *accuracy_interval(by_row, groups)
    low, high = group_bootstrap(by_row, groups, seed=seed)
    return float(by_row.mean()), float(low), min(1.0, float(high))


@dataclass(frozen=True)
class _Verdict:
    """Who leads, who ties, who wins; arrays are (S,)."""

    leader: int
    winner: int
    tied: npt.NDArray[np.bool_]
    p_values: Floats
    gap_low: Floats
    gap_high: Floats


def _judge(scores: Floats, groups: Ints, costs: Floats, seed: int, num_resamples: int) -> _Verdict:
    """Return the verdict on (n, S) scores: the cheapest strategy tied with the leader wins.

    A tie needs two things: the paired test does not tell the two apart, and the paired interval rules out a loss of
    more than `MARGIN`. With few pictures a test alone would call almost anything a tie. Costs are compared in
    hundredths of the backbone, finer than any clock could tell; among equally cheap ones the better wins.
    """
    means = scores.mean(axis=0)
    leader = int(np.lexsort((costs, -means))[0])
    gaps = scores - scores[:, [leader]]
    p_values = paired_sign_flip(gaps, groups, num_resamples=num_resamples, seed=seed)
    gap_low, gap_high = group_bootstrap(gaps, groups, num_resamples=num_resamples, seed=seed)
    tied = (p_values > SIGNIFICANCE) & (gap_low >= -MARGIN)
    places = np.flatnonzero(tied)
    order = np.lexsort((costs[places], -means[places], np.round(costs[places], 2)))
    return _Verdict(leader, int(places[order[0]]), tied, p_values, gap_low, gap_high)
