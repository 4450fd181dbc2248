"""Cached features, labels and a Split in, held-out answers out: every frozen strategy, cross-validated in seconds.

One idea: each picture is answered only by heads that never saw it, nor another view of it. All strategies are sketched
(`search.held_out`), those that may win are solved (`search.solving`). Test rows are not read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from thawline.core.progress import Progress, SilentProgress
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.split import Split
from thawline.features.backbone import Backbone
from thawline.features.bank import Block
from thawline.features.joined_bank import Bank, banks_in
from thawline.heads.rotation import Rotated
from thawline.search.answers import Answers, Rows
from thawline.search.growth import Growth
from thawline.search.heads_together import is_few, safest, with_together
from thawline.search.held_out import SOLVED, BankTable, Effort, answer_features
from thawline.search.leaderboard import MetricName
from thawline.search.side_by_side import strategies_of
from thawline.search.solving import is_dear, solve_all, solve_hopeful, thinned
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
HALF_WAY = 0.5
"""Part of a class's log share that is taken off where right answers are counted: accuracy and macro-F1 both gain."""
VIEWED = 3
"""Feature sets whose linear head is trained on augmented views too."""


@dataclass(frozen=True)
class CompareOptions:
    """How strategies are compared.

    Attributes:
        metric: `accuracy`, `balanced_accuracy` (mean recall of the classes), or `auto`: balanced where the largest
            class has at least three times the pictures of the smallest.
        class_weights: `balanced` gives every class the same weight in training, `none` every picture; `adjusted` as
            well, but then takes the logarithm of each class's share off its logit: all of it where the metric is
            balanced accuracy, half of it where it is accuracy. `auto`: `adjusted` where the metric is balanced or
            classes differ threefold in size, else `none`. Trained networks weigh classes by the metric alone.
        seed: Of resampling.
        only: Names of the strategies to compare, at least one; None: all that are worth trying.
        screened: Whether, of large sets, strategies are sketched before those that may win are solved.
    """

    metric: MetricName | Literal["auto"] = "auto"
    class_weights: Literal["auto", "adjusted", "balanced", "none"] = "auto"
    seed: int = 0
    only: frozenset[str] | None = None
    screened: bool = True


@dataclass(frozen=True)
class FrozenAnswers:
    """The frozen strategies' held-out answers, before anything is ranked.

    Attributes:
        rows: The rows that were answered.
        rule: `Split.rule`.
        metric: How answers are scored.
        balanced: Whether classes count alike in training: in that of networks, and of heads but for `Rows.adjusts`.
        answers: One entry a strategy.
        seconds: Wall time.
        relative_costs: What a whole pass of each network costs, as a share of the first one's.
        growth: The learning curve of the best linear head; None where there is none.
        safe: Name of the one frozen strategy that may win where pictures are few, else None.
    """

    rows: Rows
    rule: str
    metric: MetricName
    balanced: bool
    answers: tuple[Answers, ...]
    seconds: float
    relative_costs: tuple[float, ...] = (1.0,)
    growth: Growth | None = None
    safe: str | None = None

    @property
    def usual(self) -> Answers | None:
        """What most would have built: a linear head on the whole (first) network; None where it was not compared."""
        for entry in self.answers:
            strategy = entry.strategy
            if strategy.head == "linear" and strategy.is_plain and not (strategy.is_fused or strategy.blocks_removed):
                return entry
        return None

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

    With V views, three linear heads learn from all of them once more, one after the other, in V times the memory.

    Args:
        bank: Holds all pictures of the split, as they are; like `backbone`, of joined networks that of all.
        backbone: Its cut points and costs.
        dataset: Labels and groups; labels of test rows are not read.
        split: Folds of the rows of choosing.
        options: Metric and weights.
        view_banks: Of the same specification and pictures, but one an augmented view.
        view_policy: Of the views.
        progress: Where to report to.

    Raises:
        ValueError: A view's bank differs from `bank` in more than the view, or has no policy.
    """
    start, options = time.perf_counter(), options or CompareOptions()
    _require_views(bank, view_banks, view_policy)
    rows, metric, balanced = rows_of(dataset, split, options=options)
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]
    candidates = _candidates(bank, backbone, rows, options)
    network, is_screened = None if options.only else backbone, options.screened and is_dear(rows)
    num_viewed = min(VIEWED, len(candidates)) if view_banks else 0
    kept: dict[tuple[Block, ...], Rotated] | None = {} if is_screened else None  # by what they are made of

    def answer(heads: Sequence[Strategy], effort: Effort, banks: Sequence[Bank] = (bank,)) -> list[Answers]:
        table = BankTable(tuple(banks), hashes, heads[0].blocks)
        return answer_features(heads, table, rows=rows, effort=effort, kept=kept if len(banks) == 1 else None)

    with (progress or SilentProgress()).stage("compare", len(candidates) + num_viewed, unit="feature sets") as advance:
        solve = solve_all
        if kept is not None:
            solve = partial(solve_hopeful, rows=rows, backbone=network, hashes=hashes, kept=kept)
        answers = solve(answer, candidates, bank=bank, advance=advance)
        answers = with_together(answers, rows, bank=bank, backbone=network)
        for strategy in _viewed(answers, view_policy, num_views=1 + len(view_banks))[:num_viewed]:
            answers += answer([strategy], SOLVED, (bank, *view_banks))
            advance(1)
    return FrozenAnswers(
        rows=rows,
        rule=split.rule,
        metric=metric,
        balanced=balanced,
        answers=tuple(answers),
        seconds=time.perf_counter() - start,
        relative_costs=backbone.relative_costs,
        safe=safest(answers) if is_few(rows) else None,
    )


def _viewed(answers: Sequence[Answers], policy: str, *, num_views: int) -> list[Strategy]:
    """Return the linear heads as they learn from views, those best without them first."""
    linear = [entry for entry in answers if entry.strategy.head == "linear"]
    best = sorted(linear, key=lambda entry: -float(entry.scores.mean()))
    return [with_views(entry.strategy, policy, num_views=num_views) for entry in best]


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
    """Return the rows of choosing, the metric, and whether classes count alike in training."""
    samples = split.pool
    labels, groups = dataset.labels[samples], dataset.groups[samples]
    metric: MetricName = options.metric if options.metric != "auto" else "accuracy"
    if options.metric == "auto" and imbalance(labels) >= IMBALANCED:
        metric = "balanced_accuracy"
    weights, is_balanced = options.class_weights, metric == "balanced_accuracy"
    adjusts = weights == "adjusted" or (weights == "auto" and (is_balanced or imbalance(labels) >= IMBALANCED))
    train = np.zeros((len(samples), len(split.folds)), dtype=np.float32)
    held_out = []
    for fold, (training, validation) in enumerate(split.folds):
        inside = np.searchsorted(samples, training)
        train[inside, fold] = class_row_weights(labels[inside]) if weights == "balanced" else 1.0
        held_out.append(np.searchsorted(samples, validation))
    scored = np.unique(np.concatenate(held_out))
    weight = np.ones(len(samples))
    if metric == "balanced_accuracy":
        weight[scored] = class_row_weights(labels[scored])
    repeat = np.arange(len(split.folds)) // split.num_folds
    part = float(adjusts) * (1.0 if is_balanced else HALF_WAY)
    rows = Rows(samples, labels, groups, train, tuple(held_out), repeat, scored, weight, part)
    return rows, metric, weights == "balanced" or (weights != "none" and is_balanced)


def _candidates(bank: Bank, backbone: Backbone, rows: Rows, options: CompareOptions) -> list[tuple[Strategy, ...]]:
    """Return the strategies to compare; those that read the same features together."""
    of_features = strategies_of(
        [one.spec for one in banks_in(bank)],
        backbone,
        num_classes=int(rows.labels.max()) + 1,
        num_rows=len(rows.samples),
    )
    only = options.only
    if only is None:
        return thinned(of_features, rows=rows, bank=bank) if options.screened else of_features
    wanted = [tuple(head for head in heads if head.name in only) for heads in of_features]
    return [heads for heads in wanted if heads]
