"""Cached features, labels and a Split in, held-out answers out: every frozen strategy, cross-validated in seconds.

One idea: each picture is answered only by heads that never saw it, nor another view of it. What is chosen inside a
strategy (the L2 strength, k) is chosen for a fold by the pictures outside that fold. Test rows are not read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import log_softmax

from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.backbone import Backbone
from thawline.features.bank import Block
from thawline.features.extract import in_streams
from thawline.features.joined_bank import Bank, banks_in
from thawline.heads.linear import L2_STRENGTHS, fit_folds
from thawline.heads.nearest import class_mean_folds, neighbour_folds
from thawline.heads.rotation import Rotated, rotate
from thawline.search.answers import Answers, Rows, answers_from
from thawline.search.leaderboard import MetricName
from thawline.search.side_by_side import strategies_of
from thawline.search.strategy import Strategy, with_views

__all__ = [
    "CompareOptions",
    "FrozenAnswers",
    "answer_frozen",
    "class_row_weights",
    "imbalance",
    "rows_of",
    "stacked_views",
]

IMBALANCED = 3.0
VIEWED = 3
"""Feature sets whose linear head is trained on augmented views too."""


@dataclass(frozen=True)
class CompareOptions:
    """How strategies are compared.

    Attributes:
        metric: `accuracy`, `balanced_accuracy` (mean recall of the classes), or `auto`: balanced where the largest
            class has at least three times the pictures of the smallest.
        class_weights: `balanced` gives every class the same weight in training, `none` every picture; `auto` follows
            the metric.
        seed: Of resampling.
        only: Names of the strategies to compare, at least one; None: all that are worth trying.
    """

    metric: MetricName | Literal["auto"] = "auto"
    class_weights: Literal["auto", "balanced", "none"] = "auto"
    seed: int = 0
    only: frozenset[str] | None = None


@dataclass(frozen=True)
class FrozenAnswers:
    """The frozen strategies' held-out answers, before anything is ranked.

    Attributes:
        rows: The rows that were answered.
        rule: `Split.rule`.
        metric: How answers are scored.
        balanced: Whether classes are weighted equally in training.
        answers: One entry a strategy.
        seconds: Wall time.
        relative_costs: What a whole pass of each network costs, as a share of the first one's.
    """

    rows: Rows
    rule: str
    metric: MetricName
    balanced: bool
    answers: tuple[Answers, ...]
    seconds: float
    relative_costs: tuple[float, ...] = (1.0,)

    @property
    def num_fits(self) -> int:
        """Heads trained."""
        return sum(entry.num_fits for entry in self.answers)

    def __repr__(self) -> str:
        return f"<FrozenAnswers: {len(self.answers)} strategies, {self.num_fits:,} heads trained, {self.rows!r}>"


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


def answer_frozen(
    bank: Bank,
    backbone: Backbone,
    *,
    dataset: Dataset,
    split: Split,
    options: CompareOptions | None = None,
    view_banks: Sequence[Bank] = (),
    view_policy: str = "none",
    progress: Progress | None = None,
) -> FrozenAnswers:
    """Return the held-out answers of every candidate feature set under every head.

    With views, the linear heads of the best three feature sets are trained once more, on all views of the training
    rows of a fold; held-out rows are answered as they are. These are fitted one after the other, since V views take V
    times the memory.

    Args:
        bank: Holds all pictures of the split, as they are; of joined networks, the banks of all.
        backbone: Its cut points and costs; of several networks, joined.
        dataset: Labels and groups; labels of test rows are not read.
        split: Folds of the rows of choosing.
        options: Metric and weights.
        view_banks: Banks of the same specification but for the view, one an augmented view, with the same pictures.
        view_policy: Name of the augmentation policy that the views come from.
        progress: Where to report to.

    Raises:
        ValueError: A bank of a view differs from `bank` in more than the view, or the policy of the views is missing.
    """
    start = time.perf_counter()
    options = options or CompareOptions()
    rows, metric, balanced = rows_of(dataset, split, options=options)
    _require_views(bank, view_banks, view_policy)
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]
    candidates = _candidates(bank, backbone, rows, options.only)
    num_viewed = min(VIEWED, len(candidates)) if view_banks else 0
    answers: list[Answers] = []
    with (progress or SilentProgress()).stage("compare", len(candidates) + num_viewed, unit="feature sets") as advance:
        for entries in in_streams(lambda heads: _score_features(heads, hashes, rows, bank), candidates):
            answers.extend(entries)
            advance(1)
        linear = [entry for entry in answers if entry.strategy.head == "linear"]
        for best in sorted(linear, key=lambda entry: -float(entry.scores.mean()))[:num_viewed]:
            viewed = with_views(best.strategy, view_policy, num_views=1 + len(view_banks))
            answers.append(_score_views(viewed, hashes, rows, (bank, *view_banks)))
            advance(1)
    return FrozenAnswers(
        rows=rows,
        rule=split.rule,
        metric=metric,
        balanced=balanced,
        answers=tuple(answers),
        seconds=time.perf_counter() - start,
        relative_costs=backbone.relative_costs,
    )


def stacked_views(banks: Sequence[Bank], hashes: Sequence[str], *, blocks: Sequence[Block]) -> Floats:
    """Return (V·N, D) float32 features: those of all N pictures in the first of V banks, then in the next, and so on.

    Args:
        banks: One a view.
        hashes: N picture hashes.
        blocks: (cut, pooling) pairs, as in `FeatureBank.read`.
    """
    first = banks[0].read(hashes, blocks)
    if len(banks) == 1:
        return first
    stacked = np.empty((len(banks), *first.shape), dtype=np.float32)
    stacked[0] = first
    for view, bank in enumerate(banks[1:], start=1):
        stacked[view] = bank.read(hashes, blocks)
    return stacked.reshape(-1, first.shape[1])


def _require_views(bank: Bank, view_banks: Sequence[Bank], policy: str) -> None:
    """Refuse views of another network or reading, and views without a policy."""
    for other in view_banks:
        if replace(other.spec, views=bank.spec.views) != bank.spec or other.spec.views == bank.spec.views:
            raise ValueError(
                f"compare: the bank of view {', '.join(other.spec.views)} was read by {other.spec.backbone_name}; the "
                f"specification of {bank.spec.backbone_name}'s bank with another view is required. Extract the views "
                "with the options of the plain one."
            )
    if bool(view_banks) != (policy != "none"):
        raise ValueError(
            f"compare: {len(view_banks)} banks of views under the policy {policy!r}; views need a policy and a policy "
            "needs views. Pass both or neither."
        )


def rows_of(dataset: Dataset, split: Split, *, options: CompareOptions) -> tuple[Rows, MetricName, bool]:
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


def _candidates(bank: Bank, backbone: Backbone, rows: Rows, only: frozenset[str] | None) -> list[tuple[Strategy, ...]]:
    """Return the strategies to compare; those that read the same features together."""
    of_features = strategies_of(
        [one.spec for one in banks_in(bank)],
        backbone,
        num_classes=int(rows.labels.max()) + 1,
        num_rows=len(rows.samples),
    )
    wanted = [tuple(head for head in heads if only is None or head.name in only) for heads in of_features]
    return [heads for heads in wanted if heads]


def _score_features(heads: Sequence[Strategy], hashes: Sequence[str], rows: Rows, bank: Bank) -> list[Answers]:
    """Return the held-out answers of every head on one set of features."""
    num_classes = int(rows.labels.max()) + 1
    start = time.perf_counter()
    rotated = rotate(bank.read(hashes, heads[0].blocks))
    shared_s = (time.perf_counter() - start) / len(heads)
    scored = []
    for strategy in heads:
        start = time.perf_counter()
        logits = _held_out_logits(strategy, rotated, rows, num_classes)
        scored.append(_choose_within(strategy, logits, rows, shared_s + time.perf_counter() - start))
    return scored


def _held_out_logits(strategy: Strategy, rotated: Rotated, rows: Rows, num_classes: int) -> Floats:
    """Return (F, S, N, K) logits of a head under S settings; only the held-out rows of a fold matter."""
    if strategy.head == "linear":
        return fit_folds(rotated, rows.labels, row_weights=rows.train, strengths=L2_STRENGTHS, num_classes=num_classes)
    if strategy.head == "class mean":
        return class_mean_folds(rotated, rows.labels, row_weights=rows.train, num_classes=num_classes)[:, None]
    return neighbour_folds(rotated, rows.labels, row_weights=rows.train, num_classes=num_classes)


def _score_views(viewed: Strategy, hashes: Sequence[str], rows: Rows, banks: Sequence[Bank]) -> Answers:
    """Return the held-out answers of a linear head that learns from every view, the plain one first.

    A held-out row has weight 0 in all its views: another view of it would give its label away.
    """
    start = time.perf_counter()
    logits = fit_folds(
        rotate(stacked_views(banks, hashes, blocks=viewed.blocks)),
        np.tile(rows.labels, len(banks)),
        row_weights=np.tile(rows.train / np.float32(len(banks)), (len(banks), 1)),
        strengths=L2_STRENGTHS,
        num_classes=int(rows.labels.max()) + 1,
        num_answers=len(hashes),
    )
    return _choose_within(viewed, logits, rows, time.perf_counter() - start)


def _choose_within(strategy: Strategy, logits: Floats, rows: Rows, seconds: float) -> Answers:
    """Return the strategy's answers, its setting chosen for each fold by the rows outside that fold.

    A strength is chosen by log-loss, which tells fits apart that answer alike; the others by right answers. A setting
    that some fold was not solved for is never chosen.
    """
    num_repeats, n = int(rows.repeat.max()) + 1, len(rows.labels)
    merit = np.full((num_repeats, logits.shape[1], n), np.nan)
    for fold, held_out in enumerate(rows.held_out):
        merit[rows.repeat[fold]][:, held_out] = _merit(strategy, logits[fold][:, held_out], rows.labels[held_out])
    by_row = (merit * rows.weight).mean(axis=0)[:, rows.scored]  # (S, n)
    by_row[np.isnan(by_row).any(axis=1)] = -np.inf
    totals = by_row.sum(axis=1)
    predicted = np.zeros((num_repeats, n), dtype=np.int64)
    kept = np.zeros((n, logits.shape[3]), dtype=np.float32)
    for fold, held_out in enumerate(rows.held_out):
        outside = np.delete(by_row, np.searchsorted(rows.scored, held_out), axis=1).sum(axis=1)
        setting = _largest(outside if len(held_out) < len(rows.scored) else totals)
        answers = logits[fold, setting, held_out]
        predicted[rows.repeat[fold], held_out] = answers.argmax(axis=1)
        if rows.repeat[fold] == 0:
            kept[held_out] = answers
    return answers_from(
        strategy,
        predicted[:, rows.scored],
        logits=kept[rows.scored],
        rows=rows,
        seconds=seconds,
        choice=_largest(totals),
        num_fits=int((~np.isnan(logits[:, :, 0, 0])).sum()),
    )


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
