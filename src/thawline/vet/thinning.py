"""Features and labels in -> held-out hits of heads that learnt from fewer pictures: of all classes, or of some.

One idea: features are read already, so that a head costs a fraction of a second, and what pictures are worth can be
asked by leaving some out. For the curve every class is thinned alike. For a class's own pictures, half of the classes
are thinned at a time, then the other half: its recall with its own pictures whole less that with half of them is what
they bring, whatever the others bring. Groups of copies stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import log_softmax

from thawline.core.types import Bools, Floats, Ints
from thawline.features.bank import Block
from thawline.heads.adjust import class_shifts
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS
from thawline.heads.rotation import Rotated, Table, rotate
from thawline.search.answers import Rows
from thawline.search.held_out import SOLVED, Effort, directions_of, fold_logits
from thawline.search.leaderboard import Trial
from thawline.search.strategy import HEADS, Strategy

__all__ = ["Head", "Plan", "Thinned", "answer_thinned", "can_thin", "cheaper_heads", "heads_of", "plan_for"]

DIRECTIONS = 512
"""Directions in which heads are fitted here at most: what the rest adds, it adds to every point of the curve."""
TOLERANCE = 0.05
MOST_WORK = 1_500_000_000
"""Heads × rows × classes × directions that are fitted at most, where fewer draws can keep it."""
FLOATS = 8_000_000
"""Logits that are held at once: rows × classes × heads."""
LEAST_A_CLASS = 2
"""Training pictures a class, on average, below which there is nothing to leave out."""
LONGEST = 4
"""Times that work beyond which heads are not solved at all."""
MOST_HELD_OUT = 10_000
"""Held-out pictures that are answered at most, of a set that one fold is asked about."""


@dataclass(frozen=True)
class Head:
    """One solved head of a strategy, as it was chosen.

    Attributes:
        strategy: What it reads, and its kind.
        setting: Place of its strength or of its k; 0 where there is none.
        temperature: Divides its logits before heads are averaged.
    """

    strategy: Strategy
    setting: int = 0
    temperature: float = 1.0


def heads_of(trial: Trial) -> tuple[Head, ...]:
    """Return the heads that a trial's strategy answers by; none where it is not solved on frozen features."""
    strategy = trial.strategy
    if trial.members:
        of_each = zip(trial.members, strategy.members, strict=True)
        return tuple(Head(member, L2_STRENGTHS.index(one.l2), one.temperature) for one, member in of_each)
    if strategy.kind != "frozen" or strategy.tune or strategy.head not in HEADS:
        return ()
    if strategy.head == "linear":
        return (Head(strategy, L2_STRENGTHS.index(trial.l2)),) if trial.l2 in L2_STRENGTHS else ()
    return (Head(strategy, NEIGHBOURS.index(trial.neighbours) if trial.neighbours in NEIGHBOURS else 0),)


@dataclass(frozen=True)
class Plan:
    """How many heads are fitted.

    Attributes:
        draws: (share of the training pictures, drawings of so many) of each size, small to whole.
        pairs: Times that half of the classes are thinned, and then the others.
        folds: Folds of the first drawing that are answered; None: all.
    """

    draws: tuple[tuple[float, int], ...]
    pairs: int
    folds: int | None = None

    def num_heads(self, num_folds: int) -> int:
        """Return how many heads it takes, of so many folds."""
        of_each = sum(draws for _, draws in self.draws) + 2 * self.pairs
        return of_each * (num_folds if self.folds is None else min(num_folds, self.folds))


WHOLE = Plan(((1 / 8, 4), (1 / 4, 4), (1 / 2, 2), (3 / 4, 2), (1.0, 1)), pairs=4)
HALF = Plan(((1 / 8, 2), (1 / 4, 2), (1 / 2, 2), (1.0, 1)), pairs=2)
SOME = Plan(((1 / 8, 2), (1 / 4, 2), (1 / 2, 1), (1.0, 1)), pairs=2, folds=1)
FEWEST = Plan(((1 / 8, 1), (1 / 4, 1), (1 / 2, 1), (1.0, 1)), pairs=0, folds=1)


def can_thin(rows: Rows) -> bool:
    """Return whether there is something to leave out: two classes, and training rows enough to leave half out."""
    fewest = np.count_nonzero(rows.train[:, rows.repeat == 0], axis=0).min()
    present = len(np.unique(rows.labels))
    return present > 1 and bool(fewest >= LEAST_A_CLASS * present)


def plan_for(rows: Rows, *, num_heads: int = 1) -> Plan:
    """Return how many heads are worth their time: fewer where rows, classes and directions are many."""
    num_rows, num_classes = len(rows.labels), int(rows.labels.max()) + 1
    num_folds = int((rows.repeat == 0).sum())
    of_one = num_heads * num_rows * num_classes * _directions(_effort(num_rows, num_classes), num_rows, num_classes)
    for plan in (WHOLE, HALF, SOME):
        if plan.num_heads(num_folds) * of_one <= MOST_WORK:
            return plan
    return FEWEST


def cheaper_heads(heads: Sequence[Head], rows: Rows) -> tuple[Head, ...]:
    """Return the heads, or where pictures and classes are so many that a few take long, one of class means instead."""
    num_rows, num_classes = len(rows.labels), int(rows.labels.max()) + 1
    directions = _directions(_effort(num_rows, num_classes), num_rows, num_classes)
    of_one = len(heads) * num_rows * num_classes * directions
    if FEWEST.num_heads(1) * of_one <= LONGEST * MOST_WORK:
        return tuple(heads)
    return (Head(replace(heads[0].strategy, head="class mean")),)


@dataclass(frozen=True)
class Thinned:
    """What heads that learnt from fewer pictures said of n held-out rows.

    Attributes:
        places: (n,) positions of the rows in `Rows`, ascending.
        shares: (S,) of the training pictures, ascending.
        draws: (S,) drawings of each size.
        pictures: (S,) training pictures of each size, the mean over its fits.
        hits: (S, n) share of the drawings in which each row was right.
        between: (S,) variance of each size's mean score by which pictures were drawn, of the mean over its drawings.
        whole: (n,) share of the fits in which the row was right, its class being whole and half of the others not.
        halved: (n,) the same with half of its class. Both are NaN where a class cannot be halved, or none was.
        num_fits: Heads fitted.
    """

    places: Ints
    shares: Floats
    draws: Ints
    pictures: Floats
    hits: Floats
    between: Floats
    whole: Floats
    halved: Floats
    num_fits: int

    def __repr__(self) -> str:
        return f"<Thinned: {len(self.places):,} rows by {len(self.pictures)} sizes, {self.num_fits:,} heads>"


def answer_thinned(
    heads: Sequence[Head], table_of: Callable[[Sequence[Block]], Table], *, rows: Rows, plan: Plan
) -> Thinned:
    """Return the held-out hits of heads that learnt from parts of the training rows of each fold.

    Args:
        heads: Whose mean probabilities answer; one or more.
        table_of: (cut, pooling) pairs → (N, D) raw features of the rows.
        rows: The rows of choosing; folds of the first drawing are used.
        plan: How many heads.
    """
    folds = np.flatnonzero(rows.repeat == 0)[: plan.folds]
    held_out = [_some(rows.held_out[fold]) if plan.folds == 1 else rows.held_out[fold] for fold in folds]
    places = np.unique(np.concatenate(held_out))
    fits = [_thin(rows, fold, share=share, draw=draw, of=draws)
            for share, draws in plan.draws for draw in range(draws) for fold in folds]  # fmt: skip
    size_of_fit = np.repeat(np.arange(len(plan.draws)), [draws * len(folds) for _, draws in plan.draws])
    halves = [_halve(rows, fold, pair=pair, side=side)
              for pair in range(plan.pairs) for side in (0, 1) for fold in folds]  # fmt: skip
    weights = np.stack([*fits, *(fit for fit, _ in halves)], axis=1)
    turn = np.arange(weights.shape[1]) % len(folds)
    of_fit = [held_out[number] for number in turn.tolist()]
    num_classes = int(rows.labels.max()) + 1
    shifts = class_shifts(rows.labels, rows.train[:, folds], part=rows.adjusts, num_classes=num_classes)
    right = _right(heads, table_of, rows, _Fits(weights, of_fit, shifts[turn]))
    hits, between, pictures = _by_size(right, of_fit, (rows, places), (weights, size_of_fit, len(folds)))
    asked = slice(len(fits), None)
    whole, halved = _by_class(right[asked], of_fit[asked], (rows, places), [which for _, which in halves])
    shares, draws = (np.array(values) for values in zip(*plan.draws, strict=True))
    return Thinned(places, shares, draws, pictures, hits, between, whole, halved, weights.shape[1] * len(heads))


@dataclass(frozen=True)
class _Fits:
    """P fits: (N, P) weights of training rows, the held-out rows of each, and (P, K) what is added to linear logits."""

    weights: Floats
    held_out: Sequence[Ints]
    shifts: Floats


def _some(held_out: Ints) -> Ints:
    """Return as many of the rows as are answered at most, drawn by a fixed seed."""
    if len(held_out) <= MOST_HELD_OUT:
        return held_out
    return np.sort(np.random.default_rng(0).choice(held_out, MOST_HELD_OUT, replace=False))


def _order(rows: Rows, fold: int, seed: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """Return, of the training rows of a fold, their places, the rank of their group in their class, and its groups."""
    inside = np.flatnonzero(rows.train[:, fold] > 0)
    _, group = np.unique(rows.groups[inside], return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(int(group.max(initial=0)) + 1)[group]
    pairs, member = np.unique(np.stack([rows.labels[inside], shuffled], axis=1), axis=0, return_inverse=True)
    first = np.searchsorted(pairs[:, 0], pairs[:, 0])
    count = np.searchsorted(pairs[:, 0], pairs[:, 0], side="right") - first
    member = member.ravel()
    return inside, (np.arange(len(pairs)) - first)[member], count[member]


def _thin(rows: Rows, fold: int, *, share: float, draw: int, of: int) -> Floats:
    """Return (N,) weights of a fold's training rows, a share of the groups of every class kept, one at least.

    The drawings of a size overlap as little as can be: each starts at another place of one order.
    """
    inside, rank, count = _order(rows, fold, (0, fold))
    kept = np.maximum(1, np.round(share * count))
    is_kept = (rank - np.round(draw * count / of)) % count < kept
    return _weights(rows, fold, inside[is_kept])


def _halve(rows: Rows, fold: int, *, pair: int, side: int) -> tuple[Floats, Bools]:
    """Return (N,) weights of a fold's training rows, half of the classes halved, and (K,) which those are."""
    inside, rank, count = _order(rows, fold, (1, pair, fold))
    num_classes = int(rows.labels.max()) + 1
    is_asked = (np.random.default_rng((2, pair)).permutation(num_classes) % 2 == 0) == (side == 0)
    is_left_out = is_asked[rows.labels[inside]] & (rank >= np.maximum(count // 2, 1))
    is_halved = np.bincount(rows.labels[inside[is_left_out]], minlength=num_classes) > 0
    return _weights(rows, fold, inside[~is_left_out]), is_halved


def _weights(rows: Rows, fold: int, kept: Ints) -> Floats:
    """Return (N,) weights of the rows that are kept; each class weighs as much as before.

    So what is lost is what the pictures taught: that a class became rarer, and is guessed less often, is no part of it.
    """
    weights = np.zeros(len(rows.labels), dtype=np.float32)
    weights[kept] = rows.train[kept, fold]
    before, after = (np.bincount(rows.labels, weights=values) for values in (rows.train[:, fold], weights))
    return weights * (before / np.maximum(after, 1e-12))[rows.labels].astype(np.float32)


def _effort(num_rows: int, num_classes: int) -> Effort:
    loose = replace(SOLVED, tolerance=TOLERANCE, directions=DIRECTIONS)
    return loose.for_size(num_rows=num_rows, num_classes=num_classes)


def _directions(effort: Effort, num_rows: int, num_classes: int) -> int:
    return min(DIRECTIONS, num_rows, directions_of(effort, num_rows=num_rows, num_classes=num_classes))


def _right(
    heads: Sequence[Head],
    table_of: Callable[[Sequence[Block]], Table],
    rows: Rows,
    fits: _Fits,
) -> list[Ints]:
    """Return, for every fit, (h,) whether the held-out rows were answered right by the mean of all heads."""
    num_rows, num_classes = len(rows.labels), int(rows.labels.max()) + 1
    effort = _effort(num_rows, num_classes)
    total: list[Floats] = []
    for head in heads:
        rotated = rotate(table_of(head.strategy.blocks), max_directions=_directions(effort, num_rows, num_classes))
        found = _fit(head, rotated.one_way, rows, fits)
        if len(heads) > 1:
            found = [np.exp(log_softmax(logits / head.temperature, axis=1)) for logits in found]
        total = [before + more for before, more in zip(total, found, strict=True)] if total else found
    return [answers.argmax(axis=1) == rows.labels[places] for answers, places in zip(total, fits.held_out, strict=True)]


def _fit(head: Head, rotated: Rotated, rows: Rows, fits: _Fits) -> list[Floats]:
    """Return (h, K) logits of the held-out rows of every fit; rows that a part of the fits has no use for are left."""
    weights, of_fit = fits.weights, fits.held_out
    num_fits, num_rows = weights.shape[1], len(rows.labels)
    found: list[Floats] = []
    num_classes = int(rows.labels.max()) + 1
    effort, at_once = _effort(num_rows, num_classes), max(1, FLOATS // (num_rows * num_classes))
    for start in range(0, num_fits, at_once):
        part = range(start, min(start + at_once, num_fits))
        needed: Bools = np.logical_or.reduce(weights[:, part.start : part.stop] > 0, axis=1)
        needed[np.concatenate([of_fit[number] for number in part])] = True
        needed[rows.labels.argmax()] = True  # it says how many classes there are
        kept = np.flatnonzero(needed)
        some = replace(
            rows,
            samples=rows.samples[kept],
            labels=rows.labels[kept],
            groups=rows.groups[kept],
            weight=rows.weight[kept],
            train=weights[kept, part.start : part.stop],
            held_out=tuple(np.searchsorted(kept, of_fit[number]) for number in part),
            repeat=np.zeros(len(part), dtype=np.int64),
            adjusts=0.0,
        )
        z = rotated.z if len(kept) == num_rows else rotated.z[torch.from_numpy(kept)]
        table = replace(rotated, z=z, lengths=rotated.lengths * (len(kept) / num_rows))
        logits = fold_logits(head.strategy, table, rows=some, effort=effort.within((head.setting,)))
        of_each = [logits[number][head.setting if len(logits[number]) > 1 else 0] for number in range(len(part))]
        is_linear = head.strategy.head == "linear"
        found += [one + fits.shifts[start + number] * is_linear for number, one in enumerate(of_each)]
    return found


def _by_size(
    right: Sequence[Ints], of_fit: Sequence[Ints], which: tuple[Rows, Ints], fits: tuple[Floats, Ints, int]
) -> tuple[Floats, Floats, Floats]:
    """Return the hits of each size (S, n), the variances of the means by drawing (S,), and training pictures (S,)."""
    (rows, places), (weights, size_of_fit, num_folds) = which, fits
    num_sizes = int(size_of_fit[-1]) + 1
    hits, between, pictures = np.zeros((num_sizes, len(places))), np.zeros(num_sizes), np.zeros(num_sizes)
    worth = rows.weight[places] / rows.weight[places].sum()
    for size in range(num_sizes):
        numbers = np.flatnonzero(size_of_fit == size)
        by_draw = np.zeros((len(numbers) // num_folds, len(places)))
        for turn, number in enumerate(numbers.tolist()):
            by_draw[turn // num_folds, np.searchsorted(places, of_fit[number])] = right[number]
        hits[size] = by_draw.mean(axis=0)
        if len(by_draw) > 1:
            between[size] = (by_draw @ worth).var(ddof=1) / len(by_draw)
        pictures[size] = np.count_nonzero(weights[:, numbers], axis=0).mean()
    return hits, between, pictures


def _by_class(
    right: Sequence[Ints], of_fit: Sequence[Ints], which: tuple[Rows, Ints], halved: Sequence[Bools]
) -> tuple[Floats, Floats]:
    """Return (n,) hits with the row's own class whole, and with half of it; NaN where its class was never halved."""
    rows, places = which
    sums, counts = np.zeros((2, len(places))), np.zeros((2, len(places)))
    for answers, held_out, classes in zip(right, of_fit, halved, strict=True):
        side, at = classes[rows.labels[held_out]].astype(np.int64), np.searchsorted(places, held_out)
        sums[side, at] += answers
        counts[side, at] += 1
    is_known = (counts > 0).all(axis=0)
    with_whole, with_half = np.where(is_known, sums / np.maximum(counts, 1), np.nan)
    return with_whole, with_half
