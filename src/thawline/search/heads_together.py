"""Answers of linear heads that read the same pass in -> what they answer together out.

One idea: nothing is chosen here but how sure each head is. Which heads answer together is fixed beforehand
(`together_features`), their strengths were chosen for each fold by the rows outside it, and so are their temperatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import log_softmax, logsumexp

from thawline.core.types import Bools, Floats, Ints
from thawline.features.backbone import Backbone
from thawline.features.bank import BankSpec, Block
from thawline.features.joined_bank import Bank, banks_in
from thawline.heads.linear import L2_STRENGTHS
from thawline.search.answers import Answers, Rows, answers_from
from thawline.search.leaderboard import Member
from thawline.search.strategy import Strategy, together, together_features
from thawline.search.ties import FEW

__all__ = ["TEMPERATURES", "answer_together", "columns_read", "is_few", "safest", "together_blocks", "with_together"]

TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Tried for each head: strengths are chosen by log-loss, so that a head is hardly ever further off."""


def with_together(answers: Sequence[Answers], rows: Rows, *, bank: Bank, backbone: Backbone | None) -> list[Answers]:
    """Return the answers, those of heads together after them, and no more than the first repeat's logits of any.

    Args:
        answers: Of single heads.
        rows: What they answered.
        bank: What they read.
        backbone: Its cut points and costs; None where the strategies to compare were named: then none is added.
    """
    specs = [one.spec for one in banks_in(bank)]
    joined = answer_together(answers, rows, specs=specs, backbone=backbone)
    return [replace(entry, every=None) for entry in (*answers, *joined)]


def answer_together(
    answers: Sequence[Answers], rows: Rows, *, specs: Sequence[BankSpec], backbone: Backbone | None
) -> list[Answers]:
    """Return the held-out answers of every set of heads that can answer together: of each network, and of all.

    A head that was not compared is left out of its set, and a set of one head is none. A set of which one head was
    sketched only, since none of its strategies can win, is a sketch.

    Args:
        answers: Of the heads alone; those with `Answers.every` can take part.
        rows: What they answered.
        specs: What the bank of each network holds.
        backbone: As in `with_together`.
    """
    if backbone is None:
        return []
    by_blocks = {
        entry.strategy.blocks: entry
        for entry in answers
        if entry.strategy.head == "linear" and entry.strategy.is_plain and entry.every is not None
    }
    found: list[Answers] = []
    seen: set[tuple[str, ...]] = set()
    for name, blocks in _sets(specs):
        members = [by_blocks[part] for part in blocks if part in by_blocks]
        which = tuple(entry.strategy.name for entry in members)
        if len(members) > 1 and which not in seen:
            seen.add(which)
            found.append(_answer(_words(name, len(members)), members, rows, backbone))
    return found


def together_blocks(specs: Sequence[BankSpec]) -> set[tuple[Block, ...]]:
    """Return the blocks of every head that may answer together with others.

    Args:
        specs: What the bank of each network holds.
    """
    return {part for _, blocks in _sets(specs) for part in blocks}


def _sets(specs: Sequence[BankSpec]) -> Iterator[tuple[str, list[tuple[Block, ...]]]]:
    """Yield the name and the blocks of every set: those of each network, with its cuts numbered on; then of all."""
    of_networks, start = [], 0
    for spec in specs:
        own = together_features(spec).items()
        of_networks.append({name: [_from(start, part.blocks) for part in parts] for name, parts in own})
        start += len(spec.cuts)
    for sets in of_networks:
        for name, blocks in sets.items():
            yield name, blocks
    if len(specs) > 1:
        for name in of_networks[0]:
            blocks = [part for sets in of_networks for part in sets.get(name, ())]
            yield name, blocks


def _words(name: str, num_heads: int) -> str:
    return "middle and end together" if name == "middle" else f"{num_heads} heads together"


def _from(start: int, blocks: Sequence[Block]) -> tuple[Block, ...]:
    return tuple((start + cut, pooling) for cut, pooling in blocks)


def columns_read(strategy: Strategy, widths: Mapping[Block, int]) -> list[Bools]:
    """Return, for each head of several, (D,) which of the columns of `strategy.blocks` it reads.

    Args:
        strategy: With members.
        widths: (cut, pooling) → how many columns it has.
    """
    block_of_column = np.repeat(np.arange(len(strategy.blocks)), [widths[block] for block in strategy.blocks])
    places = [[strategy.blocks.index(block) for block in member.blocks] for member in strategy.members]
    return [np.isin(block_of_column, place) for place in places]


def is_few(rows: Rows) -> bool:
    """Return whether so few pictures are compared that nothing should be chosen: see `FEW`."""
    return len(rows.labels) < FEW * len(np.unique(rows.labels))


def safest(answers: Sequence[Answers]) -> str | None:
    """Return the name of the strategy that is best on average where pictures are few, known beforehand.

    That is the heads together that read the whole network, or where there are none, one linear head at its end; None
    where neither was compared.

    Args:
        answers: Of all frozen strategies, the heads together in the order of `together_features`.
    """
    strategies = [entry.strategy for entry in answers]
    plain = [strategy for strategy in strategies if strategy.head == "linear" and strategy.is_plain]
    at_the_end = [strategy for strategy in plain if not strategy.is_fused and not strategy.blocks_removed]
    first = [strategy for strategy in strategies if strategy.members] + at_the_end
    return first[0].name if first else None


def _answer(words: str, members: Sequence[Answers], rows: Rows, backbone: Backbone) -> Answers:
    """Return what heads answer together, each fold at the temperatures that suit the rows outside it."""
    answered = [entry.every for entry in members if entry.every is not None]
    num_repeats = min(map(len, answered))
    fold = _fold_of(rows)[:num_repeats]
    shares, chosen = [], []
    for entry, every in zip(members, answered, strict=True):
        logits = every[:num_repeats].astype(np.float64)
        by_fold, final = _temperatures(logits, rows, fold)
        shares.append(log_softmax(logits / by_fold[fold][..., None], axis=2))
        chosen.append(Member(entry.strategy.name, L2_STRENGTHS[entry.choice or 0], final))
    logits = (logsumexp(shares, axis=0) - np.log(len(shares))).astype(np.float32)
    predicted = np.full((int(rows.repeat.max()) + 1, len(rows.scored)), -1, dtype=np.int64)
    predicted[:num_repeats] = logits.argmax(axis=2)
    found = answers_from(
        together(words, [entry.strategy for entry in members], backbone=backbone),
        predicted,
        logits=logits,
        rows=rows,
        seconds=sum(entry.seconds for entry in members),
        num_fits=0,
        members=tuple(chosen),
    )
    return replace(found, sketched=any(entry.sketched for entry in members))


def _fold_of(rows: Rows) -> Ints:
    """Return (R, n) which fold held each scored row out in each repeat."""
    fold = np.zeros((int(rows.repeat.max()) + 1, len(rows.scored)), dtype=np.int64)
    for number, held_out in enumerate(rows.held_out):
        fold[rows.repeat[number], np.searchsorted(rows.scored, held_out)] = number
    return fold


def _temperatures(logits: Floats, rows: Rows, fold: Ints) -> tuple[Floats, float]:
    """Return (F,) the temperature that suits the rows outside each fold best, and that which suits all rows.

    Args:
        logits: (R, n, K) of held-out rows.
        rows: What was answered.
        fold: (R, n) as from `_fold_of`.
    """
    losses = np.stack([_losses(logits / temperature, rows.scored_labels) for temperature in TEMPERATURES])
    by_row = losses.mean(axis=1) * rows.scored_weight  # (T, n)
    known, totals, best = np.array(TEMPERATURES), by_row.sum(axis=1), []
    for held_out in rows.held_out:
        inside = by_row[:, np.searchsorted(rows.scored, held_out)].sum(axis=1)
        best.append((totals - inside if len(held_out) < len(rows.scored) else totals).argmin())
    return known[best], float(known[totals.argmin()])


def _losses(logits: Floats, labels: Ints) -> Floats:
    """Return (R, n) log-losses of (R, n, K) logits."""
    shares = log_softmax(logits, axis=2)
    losses: Floats = -np.take_along_axis(shares, np.broadcast_to(labels[:, None], (*shares.shape[:2], 1)), axis=2)[
        ..., 0
    ]
    return losses
