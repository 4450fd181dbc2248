"""A strategy and rows -> its head, fitted on all of them: in memory, or of too many in passes over the bank.

One idea: which of the two it is changes how long it takes and hardly what it answers; only k-NN, which would remember
every row in the model file, remembers those of the sample that it was ranked on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thawline.core.remembered import recalled
from thawline.core.types import Floats, Ints
from thawline.features.bank import Block
from thawline.features.joined_bank import Bank
from thawline.heads.adjust import adjusted
from thawline.heads.head import Head
from thawline.heads.linear import LinearHead, fit_linear
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.heads.streamed import class_mean_streamed, fit_streamed, logits_in_parts
from thawline.heads.together import Member, TogetherHead, fit_together
from thawline.search.frozen import class_row_weights, stacked_views
from thawline.search.heads_together import columns_read
from thawline.search.held_out import BankTable
from thawline.search.leaderboard import Trial
from thawline.search.room import holds
from thawline.search.strategy import Strategy
from thawline.work.session import Compared

__all__ = ["banks_of", "fit_head", "logits_of"]


def banks_of(compared: Compared, strategy: Strategy) -> tuple[Bank, ...]:
    """Return the banks that a strategy learns from, the plain one first."""
    return (compared.bank, *(compared.view_banks if strategy.augment != "none" else ()))


def fit_head(compared: Compared, trial: Trial, *, rows: Ints) -> Head:
    """Return the head of a frozen strategy, with the setting that was chosen for it, fitted on some rows.

    Args:
        compared: The comparison.
        trial: Of the strategy.
        rows: (n,) indices of samples, ascending.
    """
    strategy, dataset = trial.strategy, compared.dataset
    is_held = _is_held(compared, len(banks_of(compared, strategy)) * len(rows), strategy.blocks)
    settings = [strategy, trial.l2, trial.neighbours, trial.members, is_held, len(dataset.class_names)]
    facts = [compared.key, settings, _hashes(compared, rows), dataset.labels[rows]]
    return recalled("head", facts, make=lambda: _fitted(compared, trial, rows=rows, is_held=is_held))


def _fitted(compared: Compared, trial: Trial, *, rows: Ints, is_held: bool) -> Head:
    """Return what `fit_head` does, computed."""
    dataset, strategy, num_classes = compared.dataset, trial.strategy, len(compared.dataset.class_names)
    banks = banks_of(compared, strategy)
    if not is_held and strategy.head == "k-NN":
        rows = np.intersect1d(rows, compared.ranked.pool)
    labels = np.tile(dataset.labels[rows], len(banks))
    adjusts = compared.comparison.frozen.rows.adjusts
    weights = class_row_weights(labels) if compared.comparison.balanced and not adjusts else None
    if not is_held and strategy.head != "k-NN":
        return _fit_in_passes(compared, trial, rows=rows, labels=labels, weights=weights)
    features = stacked_views(banks, _hashes(compared, rows), blocks=strategy.blocks)
    if strategy.members:
        return fit_together(
            features,
            labels,
            reads=columns_read(strategy, compared.bank.spec.widths),
            strengths=[member.l2 for member in trial.members],
            temperatures=[member.temperature for member in trial.members],
            num_classes=num_classes,
            row_weights=weights,
            adjusts=adjusts,
        )
    if strategy.head == "linear":
        head = fit_linear(features, labels, l2=trial.l2 or 0.0, num_classes=num_classes, row_weights=weights)
        return adjusted(head, labels, part=adjusts)
    if strategy.head == "class mean":
        return fit_class_mean(features, labels, num_classes=num_classes)
    return fit_neighbours(features, labels, k=trial.neighbours or 1, num_classes=num_classes)


def _fit_in_passes(compared: Compared, trial: Trial, *, rows: Ints, labels: Ints, weights: Floats | None) -> Head:
    """Return a head that is linear, or several, fitted in passes over the banks."""
    strategy, num_classes = trial.strategy, len(compared.dataset.class_names)
    hashes, banks = _hashes(compared, rows), banks_of(compared, strategy)
    if strategy.head == "class mean":
        table = BankTable(banks, hashes, strategy.blocks)
        return class_mean_streamed(table, labels, num_classes=num_classes)

    def solved(blocks: Sequence[Block], l2: float) -> LinearHead:
        table = BankTable(banks, hashes, blocks)
        head = fit_streamed(table, labels, l2=l2, num_classes=num_classes, row_weights=weights)
        return adjusted(head, labels, part=compared.comparison.frozen.rows.adjusts)

    if not strategy.members:
        return solved(strategy.blocks, trial.l2 or 0.0)
    members = []
    reads = columns_read(strategy, compared.bank.spec.widths)
    for mask, member, own in zip(reads, trial.members, strategy.members, strict=True):
        blocks = [block for block in strategy.blocks if block in own.blocks]  # in the order of the mask
        members.append(Member(mask, solved(blocks, member.l2), member.temperature))
    return TogetherHead(tuple(members))


def logits_of(head: Head, compared: Compared, *, rows: Ints, blocks: Sequence[Block]) -> Floats:
    """Return (n, K) float32 logits of some samples by the plain bank, read in parts where they are too many.

    Args:
        head: Reads `blocks`.
        compared: The comparison.
        rows: (n,) indices of samples, at least one.
        blocks: (cut, pooling) pairs.
    """
    hashes = _hashes(compared, rows)
    if _is_held(compared, len(rows), blocks):
        return head.logits(compared.bank.read(hashes, blocks))
    return logits_in_parts(head, BankTable((compared.bank,), hashes, blocks))


def _is_held(compared: Compared, num_rows: int, blocks: Sequence[Block]) -> bool:
    widths = compared.bank.spec.widths
    return holds(compared.room, num_rows=num_rows, num_columns=sum(widths[block] for block in blocks))


def _hashes(compared: Compared, rows: Ints) -> list[str]:
    return [compared.dataset.samples[row].sha256 for row in rows.tolist()]
