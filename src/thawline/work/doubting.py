"""What a run found -> its model with thresholds: when a picture is "none of these", and when the model is "not sure".

One idea: everything comes from answers to pictures of choosing that were held out of training, so that the test stays
what it was: a check. The score of a held-out picture comes from a fit without its fold; the delivered one is fitted on
all that the model learnt from. Decision 0032.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from thawline.core.remembered import recalled
from thawline.core.types import Floats, Ints
from thawline.features.extract import in_streams
from thawline.features.joined import own_blocks
from thawline.heads.abstention import DEFAULT_RATES, first_of_groups, promised_threshold, usual_threshold
from thawline.heads.calibrate import probabilities
from thawline.heads.outsiders import (
    Outsiders,
    Strangeness,
    combined,
    energy,
    fit_strangeness,
    num_directions,
    quantiles_of,
    standardised,
)
from thawline.search.compare import Comparison
from thawline.search.strategy import Strategy
from thawline.use.doubt import Doubt
from thawline.vet.strangest import Doubted
from thawline.work.rows import Outcome
from thawline.work.session import Compared

__all__ = ["columns_of_score", "doubting"]

MAX_COLUMNS = 4096
"""Columns that are scored: the deepest ones that the head reads."""
FEW_PICTURES, PARTS_OF_A_FOLD = 2000, 4
"""Where pictures are few, a fold less is missed, and new pictures would look less strange than held-out ones: so the
held-out pictures of a fold are scored in parts, by fits without that part alone."""
MAX_ROWS = 8192
"""Pictures that a score is fitted on, drawn by a fixed seed."""


def doubting(compared: Compared, outcome: Outcome) -> Outcome:
    """Return the outcome with a model that abstains, and with how strange the held-out pictures look.

    Where rows were answered one by one nothing was held out for it: that model answers always.

    Args:
        compared: The frozen comparison.
        outcome: What came of the rows.
    """
    chosen, classifier = outcome.chosen, outcome.classifier
    if chosen is None:
        return outcome
    facts = [compared.whole_key, outcome.strategy, outcome.final.rows, classifier.temperature]
    facts += [chosen.held_out_logits, chosen.rows]
    doubted, known = recalled("doubt", facts, make=lambda: _doubted(compared, outcome, chosen=chosen))
    final = replace(outcome.final, classifier=classifier.doubting(doubted.doubt, known))
    return replace(outcome, final=final, doubted=doubted)


def _doubted(compared: Compared, outcome: Outcome, *, chosen: Comparison) -> tuple[Doubted, Outsiders]:
    """Return how strange held-out pictures look, with the thresholds, and what tells strange pictures."""
    groups, options = compared.dataset.groups, compared.session.order.options
    strategy = next(trial.strategy for trial in chosen.leaderboard.trials if trial.name == outcome.strategy)
    if strategy.kind == "frozen":
        with threadpool_limits(1):  # many small products: one thread for each fit, instead of all for each product
            scored = _by_features(compared, outcome, strategy=strategy)
    else:
        scored = _by_answers(chosen, temperature=outcome.classifier.temperature)
    known = Outsiders(scored.strangeness, quantiles_of(scored.score, groups[scored.rows]))
    outside = known.share_below(scored.score).astype(np.float64)  # as one number is compared in `Doubt.about`
    doubt = Doubt(
        read_from="answers" if scored.strangeness is None else "features",
        false_alarms=options.false_alarms,
        num_groups=len(np.unique(groups[scored.rows])),
        error_rate=None,
        min_probability=None,
    )
    strange = scored.rows[outside > 1 - doubt.false_alarms]
    doubt, note = _promised(compared, outcome, doubt=doubt, strange=strange)
    rows = np.concatenate([scored.rows, scored.test])
    outside = np.concatenate([outside, known.share_below(scored.test_score)])
    order = np.argsort(rows, kind="stable")
    score = np.concatenate([scored.score, scored.test_score])
    return Doubted(rows[order], outside[order], score[order], doubt, note), known


@dataclass(frozen=True)
class _Scored:
    """Scores of held-out pictures, of the test pictures where they are known, and what scores others."""

    rows: Ints
    score: Floats
    test: Ints
    test_score: Floats
    strangeness: Strangeness | None


def _by_answers(chosen: Comparison, *, temperature: float) -> _Scored:
    """Return the energies of held-out answers: where a network was trained, nothing else of it is held out."""
    nothing = np.empty(0, dtype=np.int64)
    score = energy(chosen.held_out_logits / temperature)
    return _Scored(chosen.rows, score, nothing, np.empty(0, dtype=np.float32), None)


def _by_features(compared: Compared, outcome: Outcome, *, strategy: Strategy) -> _Scored:
    """Return how strange the features of held-out pictures look to fits without their folds."""
    split, labels = compared.ranked, compared.dataset.labels
    reads = columns_of_score(compared, strategy)
    folds = split.folds[: split.num_folds]
    pool = _drawn(np.union1d(split.pool, np.concatenate([held_out for _, held_out in folds])))
    parted = _parts(compared, folds, pool=pool)
    fewest = min(len(learnt) for learnt, _ in parted)
    directions = num_directions(fewest, int(reads.sum()))

    learnt_last = _drawn(outcome.final.rows)
    known = np.union1d(pool, learnt_last)  # read once for all fits
    features = _features(compared, strategy, rows=known)

    def fit(rows: Ints) -> Strangeness:
        return fit_strangeness(features[np.searchsorted(known, rows)], labels[rows], reads=reads, directions=directions)

    def score(part: tuple[Ints, Ints]) -> tuple[Ints, Floats, Floats]:
        learnt, asked = part
        return (asked, *fit(learnt).near_far(features[np.searchsorted(known, asked)]))

    rows, near, far = (np.concatenate(column) for column in zip(*in_streams(score, parted), strict=True))
    measured = standardised(fit(np.intersect1d(split.pool, pool)), near=near, far=far)
    scores = combined(measured, near=near, far=far)
    test_score = np.empty(0, dtype=np.float32)
    if len(split.test):
        parts = [split.test[start : start + MAX_ROWS] for start in range(0, len(split.test), MAX_ROWS)]
        test_score = np.concatenate([measured.score(_features(compared, strategy, rows=part)) for part in parts])
    is_measured = np.array_equal(outcome.final.rows, compared.split.pool)
    final = measured if is_measured else standardised(fit(learnt_last), near=near, far=far)
    return _Scored(rows, scores, split.test, test_score, final)


def _parts(compared: Compared, folds: Sequence[tuple[Ints, Ints]], *, pool: Ints) -> list[tuple[Ints, Ints]]:
    """Return pairs of what is learnt from and what is scored, of some rows; a group is always on one side.

    One fold is the person's own validation part, which nothing learns from.
    """
    groups, pairs = compared.dataset.groups, []
    num_parts = PARTS_OF_A_FOLD if len(pool) <= FEW_PICTURES and len(folds) > 1 else 1
    for train, held_out in folds:
        train, held_out = np.intersect1d(train, pool), np.intersect1d(held_out, pool)
        _, place = np.unique(groups[held_out], return_inverse=True)
        part = np.random.default_rng(0).permutation(place.max(initial=-1) + 1)[place] % num_parts
        for number in range(num_parts):
            asked, learnt = held_out[part == number], np.union1d(train, held_out[part != number])
            if len(asked) and len(learnt):
                pairs.append((learnt, asked))
    return pairs


def _drawn(rows: Ints) -> Ints:
    """Return at most `MAX_ROWS` of some rows, ascending."""
    if len(rows) <= MAX_ROWS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False))


def _features(compared: Compared, strategy: Strategy, *, rows: Ints) -> Floats:
    """Return (n, D) features of some samples, as the head reads them."""
    return compared.bank.read([compared.dataset.samples[row].sha256 for row in rows.tolist()], strategy.blocks)


def columns_of_score(compared: Compared, strategy: Strategy) -> npt.NDArray[np.bool_]:
    """Return (D,) bool: the columns that are scored, of every network that is read the deepest.

    Args:
        compared: The frozen comparison.
        strategy: Which; frozen.
    """
    bank = compared.bank
    parts = own_blocks(strategy.blocks, _num_cuts(compared))
    read = [part for part in parts if part]
    masks, place = [], 0
    for part in read:
        widths = [bank.spec.widths[block] for block in strategy.blocks[place : place + len(part)]]
        place += len(part)
        left, kept = MAX_COLUMNS // len(read), list[bool]()
        for width in reversed(widths):
            kept.append(not kept or (kept[-1] and width <= left))
            left -= width
        masks += [np.full(width, keep) for width, keep in zip(widths, reversed(kept), strict=True)]
    return np.concatenate(masks)


def _num_cuts(compared: Compared) -> list[int]:
    return [len(network.backbone.cuts) for network in compared.session.context.networks]


def _promised(compared: Compared, outcome: Outcome, *, doubt: Doubt, strange: Ints) -> tuple[Doubt, str]:
    """Return the thresholds with the one that keeps a promise, where one can be kept, and what is to be said of it.

    Args:
        compared: The frozen comparison.
        outcome: What came of the rows.
        doubt: Without it.
        strange: Samples that look strange, which are not answered in any case.
    """
    chosen, options = outcome.chosen, compared.session.order.options
    if chosen is None:
        return doubt, ""
    once = first_of_groups(compared.dataset.groups[chosen.rows])
    shares = probabilities(chosen.held_out_logits[once], outcome.classifier.temperature)
    is_right = shares.argmax(axis=1) == compared.dataset.labels[chosen.rows[once]]
    confidence = np.where(np.isin(chosen.rows[once], strange), 0.0, shares.max(axis=1))
    rate, threshold, note = options.error_rate, None, ""
    if rate is not None:
        threshold = promised_threshold(confidence, is_right, error_rate=rate)
        if threshold is None:
            note = (
                f"No threshold on {len(once):,} held-out pictures shows that at most {100 * rate:g} % of the answers "
                "are wrong: nothing is promised. More pictures, or a higher --error-rate, would tell."
            )
    elif (usual := usual_threshold(confidence, is_right)) is not None:
        rate, threshold = usual
    else:
        note = (
            f"On {len(once):,} held-out pictures no share of wrong answers of at most {100 * DEFAULT_RATES[-1]:g} % "
            "can be promised while half of them are answered: nothing is promised. Name one with --error-rate."
        )
    found = {"error_rate": rate if threshold is not None else None, "min_probability": threshold}
    return doubt.model_copy(update=found), note
