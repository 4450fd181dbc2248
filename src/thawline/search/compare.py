"""Cached features, labels and a Split in, a Leaderboard out: every frozen strategy, cross-validated in seconds.

One idea: each picture is scored only by heads that never saw it. Whatever is picked inside a
strategy (the L2 strength, k) is picked for a fold by the pictures outside that fold; the same is done once more for the
choice of the strategy itself (`judge`), so the leaderboard can say what the whole procedure is worth with most of the
optimism of having been picked removed. Test rows never enter.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Curve, Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.backbones import Backbone
from thawline.features.bank import FeatureBank
from thawline.features.extract import in_streams
from thawline.heads.linear import L2_STRENGTHS, Rotated, fit_folds, rotate, train_epochs
from thawline.heads.nearest import NEIGHBOURS, class_mean_folds, neighbour_folds
from thawline.search.judge import Answers, Rows, rank, score_choosing
from thawline.search.leaderboard import Leaderboard, MetricName
from thawline.search.strategy import HEADS, Features, Strategy, candidate_features, default_pooling, strategies_for

__all__ = ["CompareOptions", "Comparison", "class_row_weights", "compare", "imbalance", "with_curves"]

IMBALANCED = 3.0
NUM_CURVES = 4


@dataclass(frozen=True)
class CompareOptions:
    """How strategies are compared.

    Attributes:
        metric: `accuracy`, `balanced_accuracy` (mean recall of the classes), or `auto`: balanced where the largest
            class has at least three times the pictures of the smallest.
        class_weights: `balanced` gives every class the same weight in training, `none` every picture; `auto` follows
            the metric.
        seed: Of resampling.
    """

    metric: MetricName | Literal["auto"] = "auto"
    class_weights: Literal["auto", "balanced", "none"] = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Comparison:
    """A leaderboard with what the final fit of its winner needs.

    Attributes:
        leaderboard: All trials.
        held_out_logits: (N, K) logits of the winner for the rows of `rows`, each by a head that never saw the row.
        rows: (N,) indices of samples, sorted.
        balanced: Whether classes are weighted equally in training.
    """

    leaderboard: Leaderboard
    held_out_logits: Floats
    rows: Ints
    balanced: bool


def imbalance(labels: Ints) -> float:
    """Return the size of the largest class over that of the smallest."""
    counts = np.bincount(labels)
    return float(counts.max() / max(1, counts[counts > 0].min()))


def class_row_weights(labels: Ints) -> Floats:
    """Return (N,) float32 weights with mean 1 that give every class the same total."""
    counts = np.bincount(labels)
    present = np.count_nonzero(counts)
    weights: Floats = (len(labels) / (present * counts[labels])).astype(np.float32)
    return weights


def compare(
    bank: FeatureBank,
    backbone: Backbone,
    dataset: Dataset,
    split: Split,
    options: CompareOptions | None = None,
    *,
    full_pass_ms: float = 0.0,
    progress: Progress | None = None,
) -> Comparison:
    """Return the leaderboard of every candidate feature set under every head.

    Args:
        bank: Holds all pictures of the split.
        backbone: Its cut points and costs.
        dataset: Labels and groups; labels of test rows are not read.
        split: Folds of the rows of choosing.
        options: Metric, weights, curves, seed.
        full_pass_ms: Milliseconds that a picture takes through the whole backbone here, for `Trial.predict_ms`.
        progress: Where to report to.
    """
    start = time.perf_counter()
    options = options or CompareOptions()
    progress = progress or SilentProgress()
    rows, metric, balanced = _rows(dataset, split, options)
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]
    candidates = candidate_features(bank.spec)
    scored: list[Answers] = []
    with progress.stage("compare", len(candidates), "feature sets") as advance:
        for entries in in_streams(lambda f: _score_features(f, hashes, rows, backbone, bank), candidates):
            scored.extend(entries)
            advance(1)
        trials, winner, order = rank(scored, rows, full_pass_ms, options.seed)
        chosen = score_choosing(scored, rows, options.seed)
    num_fits = len(candidates) * len(rows.held_out) * (len(L2_STRENGTHS) + len(NEIGHBOURS) + 1)
    board = Leaderboard(
        metric=metric,
        rule=split.rule,
        trials=trials,
        winner=winner,
        chosen_mean=chosen[0],
        chosen_low=chosen[1],
        chosen_high=chosen[2],
        num_pictures=len(rows.scored),
        num_fits=num_fits,
        seconds=time.perf_counter() - start,
    )
    return Comparison(board, scored[order[winner]].logits, rows.samples[rows.scored], balanced)


def _rows(dataset: Dataset, split: Split, options: CompareOptions) -> tuple[Rows, MetricName, bool]:
    """Return the rows of choosing, the metric, and whether classes are weighted equally in training."""
    samples = split.pool
    labels, groups = dataset.labels[samples], dataset.groups[samples]
    metric: MetricName = options.metric if options.metric != "auto" else "accuracy"
    if options.metric == "auto" and imbalance(labels) >= IMBALANCED:
        metric = "balanced_accuracy"
    balanced = options.class_weights == "balanced" or (
        options.class_weights == "auto" and metric == "balanced_accuracy"
    )
    train = np.zeros((len(samples), len(split.folds)), dtype=np.float32)
    held_out = []
    for fold, (training, validation) in enumerate(split.folds):
        inside = np.searchsorted(samples, training)
        train[inside, fold] = class_row_weights(labels[inside]) if balanced else 1.0
        held_out.append(np.searchsorted(samples, validation))
    scored = np.unique(np.concatenate(held_out))
    weight = np.ones(len(samples))
    if metric == "balanced_accuracy":
        weight[scored] = class_row_weights(labels[scored])
    repeat = np.arange(len(split.folds)) // split.num_folds
    return Rows(samples, labels, groups, train, tuple(held_out), repeat, scored, weight), metric, balanced


def _score_features(
    features: Features, hashes: Sequence[str], rows: Rows, backbone: Backbone, bank: FeatureBank
) -> list[Answers]:
    """Return the held-out answers of every head on one set of features."""
    num_classes = int(rows.labels.max()) + 1
    start = time.perf_counter()
    rotated = rotate(bank.read(hashes, features.blocks))
    shared_s = (time.perf_counter() - start) / len(HEADS)
    scored = []
    for strategy in strategies_for(
        features, backbone, num_classes=num_classes, num_rows=len(hashes), plain_pooling=default_pooling(bank.spec)
    ):
        start = time.perf_counter()
        logits = _held_out_logits(strategy, rotated, rows, num_classes)
        scored.append(_choose_within(strategy, logits, rows, shared_s + time.perf_counter() - start))
    return scored


def _held_out_logits(strategy: Strategy, rotated: Rotated, rows: Rows, num_classes: int) -> Floats:
    """Return (F, S, N, K) logits of a head under S settings; only the held-out rows of a fold matter."""
    if strategy.head == "linear":
        return fit_folds(rotated, rows.labels, rows.train, L2_STRENGTHS, num_classes=num_classes)[0]
    if strategy.head == "class mean":
        return class_mean_folds(rotated, rows.labels, rows.train, num_classes=num_classes)[:, None]
    return neighbour_folds(rotated, rows.labels, rows.train, num_classes=num_classes)


def _choose_within(strategy: Strategy, logits: Floats, rows: Rows, seconds: float) -> Answers:
    """Return the strategy's answers, its setting chosen for each fold by the rows outside that fold."""
    num_repeats, n = int(rows.repeat.max()) + 1, len(rows.labels)
    right = np.full((num_repeats, logits.shape[1], n), np.nan)
    for fold, held in enumerate(rows.held_out):
        answers = logits[fold][:, held].argmax(axis=2)
        right[rows.repeat[fold]][:, held] = (answers == rows.labels[held]) * rows.weight[held]
    by_row = right.mean(axis=0)[:, rows.scored]  # (S, n)
    totals = by_row.sum(axis=1)
    predicted = np.zeros((num_repeats, n), dtype=np.int64)
    kept = np.zeros((n, logits.shape[3]), dtype=np.float32)
    fold_scores = []
    for fold, held in enumerate(rows.held_out):
        outside = totals - by_row[:, np.searchsorted(rows.scored, held)].sum(axis=1)
        setting = _largest(outside if len(held) < len(rows.scored) else totals)
        out = logits[fold, setting, held]
        predicted[rows.repeat[fold], held] = out.argmax(axis=1)
        fold_scores.append(float(np.average(out.argmax(axis=1) == rows.labels[held], weights=rows.weight[held])))
        if rows.repeat[fold] == 0:
            kept[held] = out
    predicted = predicted[:, rows.scored]
    scores = (predicted == rows.labels[rows.scored]).mean(axis=0) * rows.weight[rows.scored]
    return Answers(strategy, scores, predicted, kept[rows.scored], tuple(fold_scores), _largest(totals), seconds)


def _largest(totals: Floats) -> int:
    """Return the last setting whose total is largest: the strongest penalty, the most neighbours."""
    return int(len(totals) - 1 - np.argmax(totals[::-1] >= totals.max() - 1e-9))


def with_curves(board: Leaderboard, bank: FeatureBank, dataset: Dataset, split: Split, *, seed: int = 0) -> Leaderboard:
    """Return the leaderboard with epoch-wise training drawn for linear heads on the last four cuts and the best cut.

    Trained by Adam on the first fold, as tutorials do; for looking at, no choice depends on it.
    """
    alone = [
        index
        for index, trial in enumerate(board.trials)
        if trial.strategy.head == "linear" and not trial.strategy.is_fused
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
            np.arange(len(train)),
            np.arange(len(train), len(samples)),
            num_classes=len(dataset.class_names),
            seed=seed,
        )

    drawn = sorted({*alone[:1], *last})
    curves = list(in_streams(draw, drawn))
    for index, curve in zip(drawn, curves, strict=True):
        trials[index] = replace(trials[index], curve=curve)
    return replace(board, trials=tuple(trials))
