"""A run's comparison and outcome -> `Answered`, `Space`, and the `Advice` made of them.

One idea: it is asked after the test has been read once, by the model of the run; nothing here chooses anything, so
scrambled test labels change the advice and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thawline.core.remembered import facts_key, recalled
from thawline.core.types import Bools, Ints
from thawline.data.split import Split
from thawline.heads.calibrate import probabilities
from thawline.search.strategy import Strategy
from thawline.vet.abstaining import abstaining
from thawline.vet.advice import Advice
from thawline.vet.answered import TEST, Answered
from thawline.vet.lookalikes import lookalikes
from thawline.vet.looks import looks_of
from thawline.vet.picture_map import picture_map
from thawline.vet.slices import find_slices
from thawline.vet.space import Space, space_of
from thawline.vet.strangest import strangest
from thawline.vet.suspects import Suspect, find_suspects, suspects_of
from thawline.work.growing import what_more_brings
from thawline.work.rows import Outcome
from thawline.work.session import Compared

__all__ = ["Basis", "advise", "answered_of", "basis_of", "space_read"]


@dataclass(frozen=True)
class Basis:
    """What advice stands on, and the tables of a run's folder with it.

    Attributes:
        answered: Answers of models that never saw the picture.
        space: Where all pictures lie.
        suspects: Every picture whose label is doubtful, surest first; advice has the first of them.
        abstained: (N,) bool; whether the model would rather not have answered.
        key: Of everything that determines them, in 32 hex digits; empty where a network was trained.
    """

    answered: Answered
    space: Space
    suspects: tuple[Suspect, ...]
    abstained: Bools
    key: str = ""


def basis_of(compared: Compared, outcome: Outcome) -> Basis:
    """Return what advice stands on."""
    answered, space = answered_of(compared, outcome), space_read(compared, outcome)
    corrections = compared.session.report.corrections
    settled = {row.sha256 for row in corrections.rows} if corrections else set()
    known = [compared.whole_key, answered.rows, answered.probabilities, answered.fold]
    facts = [*known, _frozen_strategy(compared, outcome), settled]
    suspects = recalled("suspects", facts, make=lambda: find_suspects(answered, space, settled=settled))
    key = "" if outcome.tried or outcome.rows else facts_key([facts, outcome.classifier.head, outcome.doubted])
    return Basis(answered, space, suspects, _abstained(outcome, answered), key)


def _abstained(outcome: Outcome, answered: Answered) -> Bools:
    """Return (N,) bool: whether the model says "none of these" or "not sure" of each picture."""
    if outcome.doubted is None:
        return np.zeros(len(answered), dtype=np.bool_)
    least = outcome.doubted.doubt.min_probability or 0.0
    return np.isin(answered.rows, outcome.doubted.strange) | (answered.confidence.astype(np.float64) < least)


def advise(compared: Compared, outcome: Outcome, *, basis: Basis | None = None) -> Advice:
    """Return what a person can act on.

    Args:
        compared: The frozen comparison.
        outcome: What came of the rows.
        basis: What `basis_of` returns of the two, where that is known already.
    """
    basis = basis or basis_of(compared, outcome)
    if not basis.key:
        return _advice(compared, outcome, basis=basis)
    return recalled("advice", basis.key, make=lambda: _advice(compared, outcome, basis=basis))


def _advice(compared: Compared, outcome: Outcome, *, basis: Basis) -> Advice:
    """Return what `advise` does, computed."""
    return Advice(
        num_answered=len(basis.answered),
        suspects=suspects_of(basis.suspects, basis.answered),
        looks=looks_of(basis.answered, outcome.classifier),
        picture_map=picture_map(basis.space, compared.dataset, answered=basis.answered),
        more_pictures=what_more_brings(compared, outcome),
        confused=lookalikes(basis.answered, basis.space),
        slices=find_slices(basis.answered),
        **_doubts(compared, outcome, answered=basis.answered),
    )


def _doubts(compared: Compared, outcome: Outcome, *, answered: Answered) -> dict[str, Any]:
    """Return the parts on abstaining and on strange pictures; none where the model answers always."""
    doubted = outcome.doubted
    if doubted is None:
        return {}
    kept = abstaining(
        answered,
        is_outside=np.isin(answered.rows, doubted.strange),
        error_rate=doubted.doubt.error_rate,
        min_probability=doubted.doubt.min_probability,
        note=doubted.note,
    )
    return {"abstaining": kept, "strangest": strangest(doubted, compared.dataset, test=compared.split.test)}


def answered_of(compared: Compared, outcome: Outcome) -> Answered:
    """Return the answers of the model that is kept, and of its like in the folds, to pictures that they never saw.

    Under `choose` these are the rows of choosing, out of fold, and the test; where rows were answered one by one, the
    pictures that they were scored on.
    """
    dataset, evaluation = compared.dataset, outcome.evaluation
    rows = np.array([dataset.row_of[path] for path in evaluation.paths], dtype=np.int64)
    shares, folds = evaluation.probabilities, _fold_of(compared.split, len(dataset))[rows]
    if outcome.chosen is not None:
        inside = outcome.chosen.rows
        known = ~np.isin(inside, rows)
        own = probabilities(outcome.chosen.held_out_logits, outcome.classifier.temperature)
        rows = np.concatenate([inside[known], rows])
        shares = np.concatenate([own[known], shares])
        folds = np.concatenate([_fold_of(compared.split, len(dataset))[inside[known]], folds])
    order = np.argsort(rows, kind="stable")
    return Answered(dataset, rows[order], shares[order].astype(np.float32), folds[order])


def _fold_of(split: Split, num_samples: int) -> Ints:
    """Return (N,) the fold of the first drawing that held each picture out; `TEST` where none did."""
    fold = np.full(num_samples, TEST, dtype=np.int64)
    for number, (_, held_out) in enumerate(split.folds[: split.num_folds]):
        fold[held_out] = number
    return fold


def space_read(compared: Compared, outcome: Outcome) -> Space:
    """Return where all pictures of the data set lie in what the frozen network sees.

    It is read at the depths of the winner, or of the best frozen strategy where a trained network won.
    """
    strategy = _frozen_strategy(compared, outcome)
    hashes = [sample.sha256 for sample in compared.dataset.samples]
    is_held = compared.sample is None

    def computed() -> Space:
        return space_of(compared.bank, hashes, blocks=strategy.blocks, is_held=is_held)

    return recalled("space", [compared.whole_key, strategy.blocks], make=computed) if is_held else computed()


def _frozen_strategy(compared: Compared, outcome: Outcome) -> Strategy:
    """Return the strategy that is kept, where it reads the frozen network, else the best that does."""
    trials = compared.leaderboard.trials
    kept = (trial.strategy for trial in trials if trial.name == outcome.strategy)
    return next(kept, trials[compared.leaderboard.winner].strategy)
