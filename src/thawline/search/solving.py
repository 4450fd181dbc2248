"""Candidates in -> the held-out answers of all out: of small sets all solved; of large ones sketched, the best solved.

One idea: time goes where it can change who leads or wins. A sketch tells what lies too far behind in credit; heads that
answer together are sketched together, and where they may win every one of them is solved. With very many classes fewer
candidates are answered, once and alike: a closer look would take longer than reading the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from itertools import groupby

from thawline.core.progress import Advance
from thawline.features.backbone import Backbone
from thawline.features.bank import Block
from thawline.features.extract import in_streams
from thawline.features.joined_bank import Bank, banks_in
from thawline.heads.rotation import Rotated
from thawline.search.answers import Answers, Rows
from thawline.search.heads_together import answer_together, is_few, safest, together_blocks
from thawline.search.held_out import SKETCH, SOLVED, is_vast, rotate_ahead, strengths_worth_solving
from thawline.search.screen import may_win
from thawline.search.strategy import Strategy

__all__ = ["is_dear", "solve_all", "solve_hopeful", "thinned"]

SCREENED_ROWS = 1500
SCREENED_LOGITS = 30_000
"""Rows, and rows × classes, from which on all strategies are sketched and those that may win are solved."""
THIRD = 3
"""Where classes are very many, single cuts are answered in steps of so many."""


def is_dear(rows: Rows) -> bool:
    """Return whether rows or classes are so many that strategies are sketched, and few of them solved."""
    n, num_classes = len(rows.labels), int(rows.labels.max()) + 1
    return (n >= SCREENED_ROWS or n * num_classes >= SCREENED_LOGITS) and not is_vast(n, num_classes)


def thinned(candidates: Sequence[tuple[Strategy, ...]], *, rows: Rows, bank: Bank) -> list[tuple[Strategy, ...]]:
    """Return the candidates, or those that are answered where rows × classes are very many.

    These are the end of each network and every third cut below it, under all heads, and linear heads on what is fused
    of several networks or answers together.

    Args:
        candidates: Strategies on the same features stand together.
        rows: What they are to answer.
        bank: What they read.
    """
    if not is_vast(len(rows.labels), int(rows.labels.max()) + 1):
        return list(candidates)
    joining = together_blocks([one.spec for one in banks_in(bank)])
    below = [heads for heads in candidates if len(heads[0].depths) == 1 and heads[0].blocks_removed]
    kept = {heads[0].blocks for heads in below[-2::-THIRD]}
    found = []
    for heads in candidates:
        first = heads[0]
        is_end = len(first.depths) == 1 and not first.blocks_removed
        if is_end or first.blocks in kept:
            found.append(heads)
        elif first.blocks in joining or first.num_networks > 1:
            found.append(tuple(head for head in heads if head.head == "linear"))
    return found


def solve_all(
    answer: Callable[..., list[Answers]],
    candidates: Sequence[Sequence[Strategy]],
    *,
    bank: Bank,
    advance: Advance,
) -> list[Answers]:
    """Return the solution of all candidates; arguments are those of `solve_hopeful`."""
    return _dearest_first(partial(answer, effort=SOLVED), candidates, bank, advance)


def solve_hopeful(
    answer: Callable[..., list[Answers]],
    candidates: Sequence[Sequence[Strategy]],
    *,
    bank: Bank,
    rows: Rows,
    backbone: Backbone | None,
    advance: Advance,
    hashes: Sequence[str],
    kept: MutableMapping[tuple[Block, ...], Rotated],
) -> list[Answers]:
    """Return the answers of all candidates: the sketch of those that cannot win, the solution of those that may.

    Args:
        answer: Answers with strategies on the same features, given an `Effort`.
        candidates: Strategies on the same features stand together.
        bank: What they read.
        rows: What they answer.
        backbone: As in `with_together`.
        advance: Told of every feature set that is sketched.
        hashes: N picture hashes.
        kept: As in `answer_features`.
    """
    answers = _dearest_first(partial(answer, effort=SKETCH), candidates, bank, advance)
    hopeful = _hopeful(answers, rows, bank, backbone)
    sketched = {entry.strategy.name: entry for entry in answers if entry.strategy.name in hopeful}

    def solve_closer(heads: Sequence[Strategy]) -> list[Answers]:
        strengths = strengths_worth_solving([sketched[head.name] for head in heads])
        return answer(heads, effort=SOLVED.within(strengths))

    places = [place for place, entry in enumerate(answers) if entry.strategy.name in hopeful]
    closer = _alike([answers[place].strategy for place in places])
    rotate_ahead([heads[0].blocks for heads in closer], bank=bank, hashes=hashes, rows=rows, kept=kept)
    for place, entry in zip(places, _dearest_first(solve_closer, closer, bank, lambda done: None), strict=True):
        answers[place] = entry
    return answers


def _hopeful(answers: Sequence[Answers], rows: Rows, bank: Bank, backbone: Backbone | None) -> set[str]:
    """Return the names of the single strategies to solve: those that may win, and members of what may win together."""
    joined = answer_together(answers, rows, specs=[one.spec for one in banks_in(bank)], backbone=backbone)
    entries = [*answers, *joined]
    safe = safest(entries) if is_few(rows) else None
    hopeful: set[str] = set()
    for entry, hopes in zip(entries, may_win(entries, rows), strict=True):
        if hopes or entry.strategy.name == safe:
            hopeful |= {part.name for part in entry.strategy.members or (entry.strategy,)}
    return hopeful


def _alike(strategies: Sequence[Strategy]) -> list[tuple[Strategy, ...]]:
    """Return strategies in their order, neighbours that read the same features together."""
    return [tuple(heads) for _, heads in groupby(strategies, key=lambda strategy: strategy.blocks)]


def _dearest_first(
    answer: Callable[[Sequence[Strategy]], list[Answers]],
    candidates: Sequence[Sequence[Strategy]],
    bank: Bank,
    advance: Advance,
) -> list[Answers]:
    """Return the answers of all candidates in their order; those of most columns are begun first, and end no later."""
    widths = {(cut, pooling): width for cut, pooling, width in bank.spec.blocks}
    order = sorted(range(len(candidates)), key=lambda at: -sum(widths[block] for block in candidates[at][0].blocks))
    found: dict[int, list[Answers]] = {}
    for place, entries in zip(order, in_streams(answer, [candidates[at] for at in order]), strict=True):
        found[place] = entries
        advance(1)
    return [entry for place in range(len(candidates)) for entry in found[place]]
