"""Strategies that read the same features in -> their held-out `Answers` out, as thoroughly as an `Effort` says.

One idea: a strategy that cannot win need not be answered to the last digit. A sketch answers every row once, within
fewer directions and with looser fits; a strategy that may win is solved. Both answer each row by heads that never saw
it, and what is chosen inside a strategy (the L2 strength, k) is chosen for a fold by the rows outside that fold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import log_softmax

from thawline.core.types import Floats, Ints
from thawline.features.bank import Block
from thawline.features.joined_bank import Bank
from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.nearest import class_mean_folds, neighbour_folds
from thawline.heads.overlap import rotate_sets
from thawline.heads.rotation import MAX_DIRECTIONS, Rotated, Table, rotate
from thawline.heads.softmax_path import TOLERANCE
from thawline.search.answers import Answers, Rows, answers_from
from thawline.search.strategy import Strategy

__all__ = [
    "EVERY_STRENGTH",
    "SKETCH",
    "SOLVED",
    "BankTable",
    "Effort",
    "answer_features",
    "directions_of",
    "fold_logits",
    "is_vast",
    "rotate_ahead",
    "strengths_worth_solving",
]

MAX_FLOATS = 8_000_000
"""Logits of one setting that are held at once: rows × classes × folds."""
MOST_WORK = 1_200_000_000
"""Rows × classes × directions of a fold beyond which fewer directions are taken, down to the fewest."""
FEWEST_DIRECTIONS = 256
MANY_LOGITS, MANY_CLASSES = 1_000_000, 200
"""Rows × classes, or classes, beyond which all strategies are answered alike: one drawing of folds, by looser fits."""
LOOSE = 0.2
CLEARLY_WORSE = 0.03
"""Share of its log-loss by which a strength is worse than the best one in a sketch, and not solved again."""
MOST_AHEAD = 160_000_000
"""Floats of sets that are rotated at once: sets × rows × directions."""
EVERY_STRENGTH = tuple(range(len(L2_STRENGTHS)))


@dataclass(frozen=True)
class Effort:
    """How thoroughly strategies are answered.

    Attributes:
        directions: Within which heads are compared, at most.
        tolerance: At which a fit is solved, as in `solve_path`.
        keys: Rows that k-NN searches at most; None: all.
        repeats: Drawings of folds that are answered at most; None: all.
        strengths: Places of the strengths in `L2_STRENGTHS` that are solved, ascending.
        is_sketch: Whether what is answered so can neither lead nor win.
    """

    directions: int
    tolerance: float
    keys: int | None = None
    repeats: int | None = None
    strengths: tuple[int, ...] = EVERY_STRENGTH
    is_sketch: bool = False

    def for_size(self, *, num_rows: int, num_classes: int) -> Effort:
        """Return the effort for so many rows and classes: less where they are very many."""
        if not is_vast(num_rows, num_classes):
            return self
        strengths = EVERY_STRENGTH[::2] if self.strengths == EVERY_STRENGTH else self.strengths
        return replace(self, tolerance=LOOSE, directions=FEWEST_DIRECTIONS, repeats=1, strengths=strengths)

    def within(self, strengths: tuple[int, ...]) -> Effort:
        """Return the effort for some strengths only."""
        return replace(self, strengths=strengths)

    def folds(self, rows: Rows) -> list[int]:
        """Return the folds that are answered."""
        return [fold for fold, repeat in enumerate(rows.repeat) if self.repeats is None or repeat < self.repeats]


SKETCH = Effort(directions=1024, tolerance=0.05, keys=2048, repeats=1, is_sketch=True)
SOLVED = Effort(directions=MAX_DIRECTIONS, tolerance=TOLERANCE)


def is_vast(num_rows: int, num_classes: int) -> bool:
    """Return whether rows and classes are so very many that even what may win is answered as in a sketch."""
    return num_rows * num_classes > MANY_LOGITS or num_classes > MANY_CLASSES


@dataclass(frozen=True)
class BankTable:
    """Features of N pictures, read from banks as they are asked for: those of the first bank, then of the next.

    Attributes:
        banks: One a view.
        hashes: N picture hashes.
        blocks: (cut, pooling) pairs, as in `FeatureBank.read`.
    """

    banks: tuple[Bank, ...]
    hashes: Sequence[str]
    blocks: Sequence[Block]

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(V·N, D)."""
        return len(self.banks) * len(self.hashes), self.banks[0].read(self.hashes[:1], self.blocks).shape[1]

    def __getitem__(self, rows: slice | Ints, /) -> Floats:
        """Return (n, D) float32 features of some rows."""
        wanted = np.arange(self.shape[0])[rows]
        view, place = np.divmod(wanted, len(self.hashes))
        found = np.empty((len(wanted), self.shape[1]), dtype=np.float32)
        for number in np.unique(view).tolist():
            of_view = view == number
            hashes = [self.hashes[row] for row in place[of_view].tolist()]
            found[of_view] = self.banks[number].read(hashes, self.blocks)
        return found

    def parts(self, rows_at_once: int) -> Iterator[tuple[Ints, Floats]]:
        """Yield (rows, features) until each row was read once, in the order that they lie on the disk."""
        for number, bank in enumerate(self.banks):
            for places, features in bank.iter_rows(self.hashes, self.blocks, rows_at_once=rows_at_once):
                yield places + number * len(self.hashes), features


def directions_of(effort: Effort, *, num_rows: int, num_classes: int) -> int:
    """Return the directions within which heads are compared: fewer where rows and classes are very many."""
    affordable = max(FEWEST_DIRECTIONS, MOST_WORK // (num_rows * num_classes))
    is_kept = num_rows <= MAX_DIRECTIONS and not is_vast(num_rows, num_classes)
    most = MAX_DIRECTIONS if is_kept else effort.directions  # of few rows all, once and for all
    return min(most, affordable)


def rotate_ahead(
    sets: Sequence[tuple[Block, ...]],
    *,
    bank: Bank,
    hashes: Sequence[str],
    rows: Rows,
    kept: MutableMapping[tuple[Block, ...], Rotated],
) -> None:
    """Put into `kept` the sets of blocks that are dear to rotate, where they overlap: what they share is done once.

    Args:
        sets: Blocks of each.
        bank: Holds them.
        hashes: N picture hashes.
        rows: What is answered.
        kept: As in `answer_features`; sets that are here already stay as they are.
    """
    n = len(hashes)
    directions = directions_of(SOLVED, num_rows=n, num_classes=int(rows.labels.max()) + 1)
    dear = [
        blocks
        for blocks in dict.fromkeys(sets)
        if blocks not in kept and BankTable((bank,), hashes, blocks).shape[1] > directions
    ]
    if n <= directions or len(dear) < 2 or len(dear) * n * directions > MOST_AHEAD:
        return
    members: dict[Block, tuple[int, ...]] = {
        block: tuple(number for number, blocks in enumerate(dear) if block in blocks)
        for blocks in dear
        for block in blocks
    }
    groups = list(dict.fromkeys(members.values()))  # blocks that stand in the same sets go together
    tables = [
        BankTable((bank,), hashes, [block for block, which in members.items() if which == group]) for group in groups
    ]
    parts = [[place for place, group in enumerate(groups) if number in group] for number in range(len(dear))]
    kept.update(zip(dear, rotate_sets(tables, parts, max_directions=directions), strict=True))


def answer_features(
    heads: Sequence[Strategy],
    table: Table,
    *,
    rows: Rows,
    effort: Effort,
    kept: MutableMapping[tuple[Block, ...], Rotated] | None = None,
) -> list[Answers]:
    """Return the held-out answers of strategies that read the same features.

    Args:
        heads: The strategies.
        table: (V·N, D) their features of V views of the N rows, the plain one first. A held-out row has weight 0 in all
            its views: another view of it would give its label away.
        rows: What is answered.
        effort: How thoroughly.
        kept: Rotated features by the blocks that they are of: what is here is taken out, and what is made is put here
            where it has all directions, whatever the effort.
    """
    num_classes = int(rows.labels.max()) + 1
    effort = effort.for_size(num_rows=table.shape[0], num_classes=num_classes)
    start = time.perf_counter()
    rotated = kept.pop(heads[0].blocks, None) if kept else None
    if rotated is None:
        directions = directions_of(effort, num_rows=table.shape[0], num_classes=num_classes)
        rotated = rotate(table, max_directions=directions)
        if kept is not None and table.shape[0] <= directions:
            kept[heads[0].blocks] = rotated.one_way
    shared_s = (time.perf_counter() - start) / len(heads)
    answered = []
    for strategy in heads:
        start = time.perf_counter()
        logits = fold_logits(strategy, rotated, rows=rows, effort=effort)
        answers = _choose_within(strategy, logits, rows, shared_s + time.perf_counter() - start)
        answered.append(replace(answers, sketched=effort.is_sketch))
    return answered


def strengths_worth_solving(sketched: Sequence[Answers]) -> tuple[int, ...]:
    """Return the places of all strengths but the weak ones that are clearly worse than the best in a sketch.

    Weak strengths cost most steps, and a path ends with the first that loses: the sketch knows which that is. One that
    it left out stays where the next stronger one is not clearly worse.
    """
    weakest = len(L2_STRENGTHS)
    for entry in sketched:
        if entry.strategy.head == "linear":
            merits = np.array(entry.merits)
            place = int(np.argmax(merits >= merits.max() - CLEARLY_WORSE * abs(merits.max())))
            was_left_out = place > 0 and np.isneginf(merits[place - 1])
            weakest = min(weakest, place - int(was_left_out))
    return tuple(range(weakest if weakest < len(L2_STRENGTHS) else 0, len(L2_STRENGTHS)))


def fold_logits(strategy: Strategy, rotated: Rotated, *, rows: Rows, effort: Effort) -> dict[int, Floats]:
    """Return, for every fold that is answered, (S, h, K) logits of its h held-out rows under S settings.

    Args:
        strategy: Which.
        rotated: Features of V views of the N rows, the plain one first.
        rows: What is answered.
        effort: How thoroughly.
    """
    n, num_classes = len(rows.labels), int(rows.labels.max()) + 1
    num_views = len(rotated.z) // n
    labels = np.tile(rows.labels, num_views)
    folds, logits, shifts = effort.folds(rows), {}, rows.shifts
    at_once = max(1, MAX_FLOATS // (len(labels) * num_classes))
    for start in range(0, len(folds), at_once):
        part = folds[start : start + at_once]
        weights = np.tile(rows.train[:, part] / np.float32(num_views), (num_views, 1))
        if strategy.head == "linear":
            found = fit_folds(
                rotated,
                labels,
                row_weights=weights,
                strengths=[L2_STRENGTHS[place] for place in effort.strengths],
                num_classes=num_classes,
                num_answers=n,
                shifts=None if shifts is None else shifts[part],
                tolerance=effort.tolerance,
            )
        elif strategy.head == "class mean":
            found = class_mean_folds(rotated, labels, row_weights=weights, num_classes=num_classes)[:, None]
        else:
            found = neighbour_folds(rotated, labels, row_weights=weights, num_classes=num_classes, max_keys=effort.keys)
        for answers, fold in zip(found, part, strict=True):
            of_fold = answers[:, rows.held_out[fold]]
            logits[fold] = _in_places(of_fold, effort.strengths) if strategy.head == "linear" else of_fold
    return logits


def _in_places(found: Floats, places: Sequence[int]) -> Floats:
    """Return (S, h, K) logits of all S strengths; NaN of those that are not at the places of (s, h, K)."""
    if tuple(places) == EVERY_STRENGTH:
        return found
    whole = np.full((len(L2_STRENGTHS), *found.shape[1:]), np.nan, dtype=np.float32)
    whole[list(places)] = found
    return whole


def _choose_within(strategy: Strategy, logits: Mapping[int, Floats], rows: Rows, seconds: float) -> Answers:
    """Return the strategy's answers, its setting chosen for each fold by the rows outside that fold.

    A strength is chosen by log-loss, which tells fits apart that answer alike; the others by right answers. A setting
    that some fold was not solved for is never chosen.

    Args:
        strategy: Which.
        logits: For every fold that was answered, (S, h, K) of its held-out rows.
        rows: What was answered.
        seconds: Wall time that it took.
    """
    num_repeats, n = int(rows.repeat.max()) + 1, len(rows.labels)
    num_settings, _, num_classes = next(iter(logits.values())).shape
    merit = np.full((num_repeats, num_settings, n), np.nan)
    for fold, answers in logits.items():
        held_out = rows.held_out[fold]
        merit[rows.repeat[fold]][:, held_out] = _merit(strategy, answers, rows.labels[held_out])
    repeats = sorted({int(rows.repeat[fold]) for fold in logits})
    by_row = (merit[repeats] * rows.weight).mean(axis=0)[:, rows.scored]  # (S, n)
    by_row[np.isnan(by_row).any(axis=1)] = -np.inf
    totals = by_row.sum(axis=1)
    predicted = np.full((num_repeats, n), -1, dtype=np.int64)
    kept = np.full((num_repeats, n, num_classes), np.nan, dtype=np.float32)
    for fold, of_settings in logits.items():
        held_out = rows.held_out[fold]
        outside = np.delete(by_row, np.searchsorted(rows.scored, held_out), axis=1).sum(axis=1)
        answers = of_settings[_largest(outside if len(held_out) < len(rows.scored) else totals)]
        predicted[rows.repeat[fold], held_out] = answers.argmax(axis=1)
        kept[rows.repeat[fold], held_out] = answers
    every = np.ascontiguousarray(kept[repeats][:, rows.scored])
    answered = answers_from(
        strategy,
        predicted[:, rows.scored],
        logits=every,
        rows=rows,
        seconds=seconds,
        choice=_largest(totals),
        num_fits=sum(int((~np.isnan(answers[:, 0, 0])).sum()) for answers in logits.values()),
        every=every if strategy.head == "linear" and strategy.is_plain else None,
    )
    return replace(answered, merits=tuple((totals / len(rows.scored)).tolist()))


def _merit(strategy: Strategy, logits: Floats, labels: Ints) -> Floats:
    """Return (S, h) how good (S, h, K) answers to h rows are; higher is better."""
    if strategy.head == "linear":
        merit: Floats = log_softmax(logits.astype(np.float64), axis=2)[:, np.arange(len(labels)), labels]
        return merit
    right: Floats = (logits.argmax(axis=2) == labels).astype(np.float64)
    return right


def _largest(totals: Floats) -> int:
    """Return the last setting whose total is largest: the strongest penalty, the most neighbours."""
    return int(len(totals) - 1 - np.argmax(totals[::-1] >= totals.max() - 1e-9))
