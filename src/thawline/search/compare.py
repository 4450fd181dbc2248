"""Held-out answers of frozen and trained strategies in, a Leaderboard out; and training curves for its linear heads.

One idea: answers are compared, whatever gave them. `answer_frozen` answers with the frozen strategies; trained networks
bring their own answers to the same rows. `judge` ranks them, and `choosing` scores the choice of a strategy as a
strategy is scored, so the leaderboard says what the whole procedure is worth.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import Literal

import numpy as np

from thawline.core.progress import Progress
from thawline.core.types import Curve, Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.backbone import Backbone
from thawline.features.extract import in_streams
from thawline.features.joined_bank import Bank
from thawline.heads.epochs import train_epochs
from thawline.heads.rotation import rotate
from thawline.search.answers import Answers
from thawline.search.choosing import score_choosing
from thawline.search.frozen import CompareOptions, FrozenAnswers, answer_frozen
from thawline.search.growth import Growth, growth_of
from thawline.search.held_out import SOLVED, BankTable, directions_of, is_vast
from thawline.search.judge import rank
from thawline.search.leaderboard import Leaderboard, Trial

__all__ = ["CompareOptions", "Comparison", "FrozenAnswers", "answer_frozen", "compare", "leaderboard_of", "with_curves"]

NUM_CURVES = 4


@dataclass(frozen=True)
class Comparison:
    """A leaderboard and what the final fit of its winner needs.

    Attributes:
        leaderboard: All trials.
        held_out_logits: (N, K) logits of the winner for the rows of `rows`, each by a head that never saw the row.
        rows: (N,) indices of the samples that the winner answered in the first repeat, sorted.
        frozen: The frozen strategies' answers, to compare with others.
    """

    leaderboard: Leaderboard
    held_out_logits: Floats
    rows: Ints
    frozen: FrozenAnswers

    def __repr__(self) -> str:
        return f"<Comparison: {self.leaderboard!r}>"

    @property
    def balanced(self) -> bool:
        """Whether classes are weighted equally in training."""
        return self.frozen.balanced


def compare(
    bank: Bank,
    backbone: Backbone,
    *,
    dataset: Dataset,
    split: Split,
    options: CompareOptions | None = None,
    view_banks: Sequence[Bank] = (),
    view_policy: str = "none",
    full_pass_ms: float = 0.0,
    further_pass_ms: Sequence[float] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Return the leaderboard of every candidate feature set under every head.

    Args:
        bank: Holds all pictures of the split.
        backbone: Its cut points and costs.
        dataset: Labels and groups; labels of test rows are not read.
        split: Folds of the rows of choosing.
        options: Metric, weights, seed.
        view_banks: As in `answer_frozen`.
        view_policy: As in `answer_frozen`.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        further_pass_ms: The same of each further network.
        progress: Where to report to.
    """
    options = options or CompareOptions()
    frozen = answer_frozen(
        bank,
        backbone,
        dataset=dataset,
        split=split,
        options=options,
        view_banks=view_banks,
        view_policy=view_policy,
        progress=progress,
    )
    start = time.perf_counter()
    frozen = replace(frozen, growth=_growth(frozen, bank, dataset))
    frozen = replace(frozen, seconds=frozen.seconds + time.perf_counter() - start)
    return leaderboard_of(frozen, full_pass_ms=full_pass_ms, further_pass_ms=further_pass_ms)


def _growth(frozen: FrozenAnswers, bank: Bank, dataset: Dataset) -> Growth | None:
    """Return the learning curve of the best linear head on plain features; None where there is none, or no folds."""
    linear = [entry for entry in frozen.answers if entry.strategy.head == "linear" and entry.strategy.is_plain]
    rows = frozen.rows
    if not linear or len(rows.held_out) == 1:
        return None
    best = max(linear, key=lambda entry: float((entry.credit * rows.scored_weight).sum()))
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]
    table, num_classes = BankTable((bank,), hashes, best.strategy.blocks), int(rows.labels.max()) + 1
    size = {"num_rows": len(hashes), "num_classes": num_classes}
    effort = SOLVED.for_size(**size)
    rotated = rotate(table, max_directions=directions_of(effort, **size))
    halves = 1 if is_vast(**size) else 2
    return growth_of(rotated, best, rows=rows, num_classes=num_classes, tolerance=effort.tolerance, num_halves=halves)


def leaderboard_of(
    frozen: FrozenAnswers,
    extra: Sequence[Answers] = (),
    *,
    full_pass_ms: float = 0.0,
    further_pass_ms: Sequence[float] = (),
    eligible: Sequence[bool] | None = None,
    is_forecast: bool = True,
    by: Literal["credit", "score"] = "credit",
) -> Comparison:
    """Return the leaderboard of the frozen strategies and others that answered the same rows.

    Args:
        frozen: From `answer_frozen`.
        extra: Answers of other strategies to `frozen.rows`, to all folds or some.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        further_pass_ms: The same of each further network.
        eligible: Which may win, one entry for each of `frozen.answers` and then of `extra`; None: all.
        is_forecast: Whether intervals speak of models that are yet to learn from all rows of choosing; else of the very
            models that answered, as on held-out pictures.
        by: What leads: `score` where the best is named and nothing chosen.
    """
    start = time.perf_counter()
    scored = (*frozen.answers, *extra)
    is_named = eligible is not None and not all(eligible)
    is_safe = not is_named and any(entry.strategy.name == frozen.safe for entry in frozen.answers)
    if is_safe:
        eligible = [entry.strategy.kind != "frozen" or entry.strategy.name == frozen.safe for entry in scored]
    growth = frozen.growth if is_forecast else None
    trials, place, order = rank(
        scored,
        frozen.rows,
        full_pass_ms=full_pass_ms,
        eligible=eligible,
        growth=0.0 if growth is None else float(np.average(growth.added, weights=frozen.rows.scored_weight)),
        is_forecast=is_forecast,
        by=by,
    )
    chosen = score_choosing(
        scored, frozen.rows, winner=trials[place], eligible=eligible, growth=growth, usual=frozen.usual
    )
    board = Leaderboard(
        metric=frozen.metric,
        rule=frozen.rule,
        trials=tuple(_timed(trial, (full_pass_ms, *further_pass_ms), frozen.relative_costs) for trial in trials),
        winner=place,
        chosen_mean=chosen.mean,
        chosen_low=chosen.low,
        chosen_high=chosen.high,
        num_pictures=len(frozen.rows.scored),
        num_fits=sum(entry.num_fits for entry in scored),
        seconds=frozen.seconds + sum(entry.seconds for entry in extra) + time.perf_counter() - start,
        is_named=is_named,
        is_safe=is_safe,
        chosen_growth=chosen.growth,
        gain=chosen.gain,
    )
    logits = scored[order[place]].logits
    known = ~np.isnan(logits).any(axis=1)
    return Comparison(board, logits[known], frozen.rows.samples[frozen.rows.scored[known]], frozen)


def _timed(trial: Trial, pass_ms: Sequence[float], relative_costs: Sequence[float]) -> Trial:
    """Return a trial whose milliseconds come from the measured pass of each network that it reads."""
    passes = trial.strategy.passes
    if not passes:
        return trial
    head = trial.strategy.cost - sum(map(mul, passes, relative_costs))
    return replace(trial, predict_ms=sum(map(mul, passes, pass_ms)) + head * pass_ms[0])


def with_curves(board: Leaderboard, bank: Bank, *, dataset: Dataset, split: Split, seed: int = 0) -> Leaderboard:
    """Return the leaderboard with epoch-wise training drawn for linear heads on the last four cuts and the best cut.

    Trained by Adam on the first fold, as tutorials do; no choice depends on it. Heads trained on views, and trained
    networks, which have curves of their own, stay as they are.
    """
    alone = [
        index
        for index, trial in enumerate(board.trials)
        if trial.strategy.head == "linear" and trial.strategy.is_plain and not trial.strategy.is_fused
    ]
    last = sorted(alone, key=lambda index: board.trials[index].strategy.blocks_removed)[:NUM_CURVES]
    train, validation = split.folds[0]
    samples = np.concatenate([train, validation])
    hashes = [dataset.samples[sample].sha256 for sample in samples]
    trials = list(board.trials)

    def draw(index: int) -> Curve:
        return train_epochs(
            bank.read(hashes, trials[index].strategy.blocks),
            dataset.labels[samples],
            train=np.arange(len(train)),
            validation=np.arange(len(train), len(samples)),
            num_classes=len(dataset.class_names),
            seed=seed,
        )

    drawn = sorted({*alone[:1], *last})
    curves = list(in_streams(draw, drawn))
    for index, curve in zip(drawn, curves, strict=True):
        trials[index] = replace(trials[index], curve=curve)
    return replace(board, trials=tuple(trials))
