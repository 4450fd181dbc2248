"""A run's frozen comparison -> its learning curve: what more pictures should bring to the strategy that is kept.

One idea: the curve is of the strategy that is kept where it reads the frozen network, else of the best that does, since
a network that is trained costs minutes a point. Pictures of the test are neither learnt from nor asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from thawline.features.bank import Block
from thawline.heads.rotation import Table
from thawline.search.held_out import BankTable
from thawline.search.leaderboard import Trial
from thawline.vet.more_pictures import MorePictures, more_pictures
from thawline.vet.thinning import Head, answer_thinned, can_thin, cheaper_heads, heads_of, plan_for
from thawline.work.rows import Outcome
from thawline.work.session import Compared

__all__ = ["what_more_brings"]

MANY = "Pictures or classes are very many: fewer heads were fitted than usual, on one fold."
BY_MEANS = " They are class means on the same features, which learn less from more pictures than a solved head does."


def what_more_brings(compared: Compared, outcome: Outcome) -> MorePictures:
    """Return what more pictures should bring; without points, and with a note that says why, where it is not known."""
    dataset, frozen = compared.dataset, compared.comparison.frozen
    rows, (trial, heads) = frozen.rows, _kept(compared, outcome)
    facts = (frozen.metric, trial.name, len(rows.labels))
    if not heads:
        return MorePictures(*facts, note="No strategy was solved on frozen features, so there is no learning curve.")
    if not can_thin(rows):
        return MorePictures(*facts, note="There are too few pictures to leave some out, so there is no learning curve.")
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]

    def table_of(blocks: Sequence[Block]) -> Table:
        return BankTable((compared.bank,), hashes, blocks)

    plan, asked = plan_for(rows, num_heads=len(heads)), cheaper_heads(heads, rows)
    thinned = answer_thinned(asked, table_of, rows=rows, plan=plan)
    note = "" if plan.folds is None else MANY
    if asked != heads:
        note += BY_MEANS
    return more_pictures(
        thinned, rows, class_names=dataset.class_names, metric=frozen.metric, strategy=trial.name, note=note
    )


def _kept(compared: Compared, outcome: Outcome) -> tuple[Trial, tuple[Head, ...]]:
    """Return the trial whose curve is asked, and its heads: the kept one, the winner, or the next that is solved."""
    board = compared.leaderboard
    named = [trial for trial in board.trials if trial.name == outcome.strategy]
    for trial in (*named, board.trials[board.winner], *board.trials):
        if heads := heads_of(trial):
            return trial, heads
    return board.trials[board.winner], ()
