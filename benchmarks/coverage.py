"""Do intervals and choices hold? Small sets are drawn from CIFAR-10 again and again; the truth is read on all the rest.

`python benchmarks/coverage.py` records each case; `--case 200 --draws 20` makes few draws of one case. Each draw
is compared as `fit` compares, by linear and class-mean heads (k-NN is left out: its truth costs more than all else).
The truth of a strategy is the score of its final head, trained on every drawn picture, on all pictures that were not
drawn: 29,000 and more. A share of the draws has an uncertainty of its own: ± two standard errors stand behind it. Needs
the real pictures (THAWLINE_DATA, or ../shared/data next to the project) and reads them through the
network once (THAWLINE_CACHE).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np

from pictures import DATA, fewer, need
from record import is_quick, record
from thawline.core.options import Options
from thawline.core.progress import progress_for_stderr
from thawline.core.runtime import choose_runtime
from thawline.core.store import cache_root
from thawline.core.types import Floats, Ints
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.split import Split, make_split
from thawline.features.backbone import Backbone
from thawline.features.bank import Block, FeatureBank
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.heads.linear import LinearHead, fit_linear
from thawline.heads.nearest import fit_class_mean
from thawline.search.compare import Comparison, compare
from thawline.search.frozen import CompareOptions, class_row_weights
from thawline.search.leaderboard import Leaderboard, MetricName
from thawline.search.strategy import candidate_features, default_pooling, strategies_for

PICTURES_A_CLASS = fewer(2000, 24)
"""Of the training pictures; all 10,000 test pictures come with them."""
HEADS = ("linear", "class mean")
LARGE = 500
"""Pictures of a draw above which only the upper half of the network is compared, to save time."""


@dataclass(frozen=True)
class Case:
    """What is drawn.

    Attributes:
        name: Of the case.
        size: Pictures a draw.
        num_classes: 10; or 2, five of the classes against the others.
        copies: Whether half of the distinct pictures are there two to five times.
        skew: Pictures of the first class for one of the last; 1 draws all alike.
    """

    name: str
    size: int
    num_classes: int = 10
    copies: bool = False
    skew: float = 1.0

    @property
    def metric(self) -> MetricName:
        """What strategies are compared by."""
        return "accuracy" if self.skew == 1 else "balanced_accuracy"


CASES = (
    *((Case("quick", 60), Case("quick, two classes", 60, num_classes=2)) if is_quick() else ()),
    Case("200", 200),
    Case("200, two classes", 200, num_classes=2),
    Case("200, with copies", 200, copies=True),
    Case("200, skewed 8:1", 200, skew=8.0),
    Case("1,000", 1000),
    Case("1,000, two classes", 1000, num_classes=2),
    Case("1,000, skewed 8:1", 1000, skew=8.0),
)


@dataclass(frozen=True)
class Population:
    """All pictures that draws are made from, their features in one bank and in memory.

    Attributes:
        dataset: M pictures.
        bank: Holds them.
        backbone: What read them.
        features: (M, D) float32 of every block that was asked for; square roots where none is negative.
    """

    dataset: Dataset
    bank: FeatureBank
    backbone: Backbone
    features: dict[Block, tuple[Floats, bool]] = field(default_factory=dict)

    def block(self, block: Block) -> tuple[Floats, bool]:
        """Return the features of a block, and whether they are square roots already."""
        if block not in self.features:
            raw = self.bank.read([sample.sha256 for sample in self.dataset.samples], [block])
            never_negative = bool(raw.min() >= 0)
            self.features[block] = (np.sqrt(raw) if never_negative else raw), never_negative
        return self.features[block]


@dataclass(frozen=True)
class Draw:
    """A small set.

    Attributes:
        dataset: N pictures.
        split: Its folds; nothing is held out.
        rest: (M - N,) or so, rows of the population that were not drawn.
        rest_labels: Their classes.
    """

    dataset: Dataset
    split: Split
    rest: Ints
    rest_labels: Ints


def population() -> Population:
    """Return 30,000 pictures of CIFAR-10 with their features, read through the network where the cache has none."""
    need("cifar10")
    options, progress = Options(limit=PICTURES_A_CLASS), progress_for_stderr()
    dataset, _ = check(DATA / "cifar10", options, progress=progress)
    network, runtime = load_backbone(), choose_runtime(options.device, options.dtype)
    bank = extract(dataset, network, runtime=runtime, cache=cache_root(None), progress=progress).bank
    return Population(dataset, bank, network.backbone)


def draw(pictures: Population, case: Case, seed: int) -> Draw:
    """Return a small set of the population, drawn at random, and its folds."""
    rng, labels = np.random.default_rng((seed, case.size)), pictures.dataset.labels
    classes = labels if case.num_classes == 10 else (labels % 2)
    share = case.skew ** (-labels / labels.max())
    distinct = rng.choice(len(labels), case.size, replace=False, p=share / share.sum())
    rows = distinct
    if case.copies:  # half of the distinct ones alone, the others in groups of two to five
        repeats = rng.choice([1, 2, 3, 5], len(distinct), p=[0.5, 0.2, 0.2, 0.1])
        rows = np.repeat(distinct, repeats)[: case.size]
    samples = tuple(
        replace(pictures.dataset.samples[row], label=int(classes[row]), split=None, group=int(row), path=f"{place}.png")
        for place, row in enumerate(rows.tolist())
    )
    names = pictures.dataset.class_names if case.num_classes == 10 else ("even", "odd")
    dataset = replace(pictures.dataset, samples=samples, class_names=names, ledger=())
    rest = np.setdiff1d(np.arange(len(labels)), distinct)
    return Draw(dataset, make_split(dataset, seed=seed, hold_out=False), rest, classes[rest])


def true_scores(pictures: Population, drawn: Draw, comparison: Comparison) -> dict[str, float]:
    """Return the score of the final head of each strategy, by name, on the pictures that were not drawn."""
    hashes = [sample.sha256 for sample in drawn.dataset.samples]
    labels, num_classes = drawn.dataset.labels, len(drawn.dataset.class_names)
    weights = class_row_weights(labels) if comparison.balanced else None
    heads: dict[str, tuple[Sequence[Block], LinearHead]] = {}
    for trial in comparison.leaderboard.trials:
        features = pictures.bank.read(hashes, trial.strategy.blocks)
        if trial.strategy.head == "linear":
            head = fit_linear(features, labels, l2=trial.l2 or 0.0, num_classes=num_classes, row_weights=weights)
        else:
            head = fit_class_mean(features, labels, num_classes=num_classes)
        heads[trial.name] = trial.strategy.blocks, head
    worth = class_row_weights(drawn.rest_labels)
    if comparison.leaderboard.metric == "accuracy":  # in the class shares of the draw, as of a person's own pictures
        worth = worth * np.bincount(labels, minlength=num_classes)[drawn.rest_labels]
    logits = linear_logits(pictures, heads)
    return {
        name: float(np.average(values[drawn.rest].argmax(axis=1) == drawn.rest_labels, weights=worth))
        for name, values in logits.items()
    }


def linear_logits(pictures: Population, heads: Mapping[str, tuple[Sequence[Block], LinearHead]]) -> dict[str, Floats]:
    """Return (M, K) logits of heads on the whole population: one product a block for all heads that read it."""
    logits = {place: np.tile(head.bias, (len(pictures.dataset), 1)) for place, (_, head) in heads.items()}
    parts: dict[Block, list[tuple[str, LinearHead, slice]]] = {}
    for place, (blocks, head) in heads.items():
        start = 0
        for block in blocks:
            stop = start + pictures.block(block)[0].shape[1]
            parts.setdefault(block, []).append((place, head, slice(start, stop)))
            start = stop
    for block, readers in parts.items():
        features, is_rooted = pictures.block(block)
        rooted = np.flatnonzero(readers[0][1].columns.rooted[readers[0][2]]) if not is_rooted else []
        folded = [head.columns.scale[part][:, None] * head.weight[part] for _, head, part in readers]
        together = np.concatenate(folded, axis=1)
        answers = features @ together
        if len(rooted):  # never negative in the draw, but elsewhere
            some = features[:, rooted]
            answers += (np.copysign(np.sqrt(np.abs(some)), some) - some) @ together[rooted]
        for number, (place, head, part) in enumerate(readers):
            width = head.weight.shape[1]
            shift = head.columns.mean[part] @ folded[number]
            logits[place] += answers[:, number * width : (number + 1) * width] - shift
    return logits


def solved_names(pictures: Population, *, is_large: bool) -> frozenset[str]:
    """Return the names of the strategies that are compared; of large draws those that read the upper half alone."""
    spec, backbone = pictures.bank.spec, pictures.backbone
    lowest = len(spec.cuts) // 2 if is_large else 0
    return frozenset(
        strategy.name
        for features in candidate_features(spec)
        for strategy in strategies_for(
            features, backbone, num_classes=2, num_rows=2, plain_pooling=default_pooling(spec)
        )
        if strategy.head in HEADS and features.depths[0] >= lowest
    )


def measure(pictures: Population, case: Case, seed: int) -> dict[str, float]:
    """Return what one draw says of each measure: the comparison against the truth."""
    drawn = draw(pictures, case, seed)
    comparison = compare(
        pictures.bank,
        pictures.backbone,
        dataset=drawn.dataset,
        split=drawn.split,
        options=CompareOptions(case.metric, seed=seed, only=solved_names(pictures, is_large=case.size > LARGE)),
    )
    return judged(comparison.leaderboard, true_scores(pictures, drawn, comparison))


def judged(board: Leaderboard, truth: Mapping[str, float]) -> dict[str, float]:
    """Return how a leaderboard stands to the truth; shares of trials are means over the trials of this draw."""
    trials, winner = board.trials, board.trials[board.winner]
    true = np.array([truth[trial.name] for trial in trials])
    low, high, mean = (np.array([getattr(trial, name) for trial in trials]) for name in ("low", "high", "mean"))
    gap = true - true[0]
    gap_low, gap_high = (np.array([getattr(trial, f"difference_{end}") for trial in trials]) for end in ("low", "high"))
    tied = np.array([trial.tied for trial in trials])
    as_good = (gap >= 0) & (np.arange(len(trials)) > 0)
    inside = (gap_low <= gap) & (gap <= gap_high)
    best, gain = int(np.argmax(mean)), board.gain
    true_gain = truth[winner.name] - truth[gain.over] if gain else 0.0
    return {
        "strategy": float(((low <= true) & (true <= high)).mean()),
        "strategy, width": float((high - low).mean()),
        "chosen": float(board.chosen_low <= truth[winner.name] <= board.chosen_high),
        "chosen, width": board.chosen_high - board.chosen_low,
        "chosen, error": board.chosen_mean - truth[winner.name],
        "difference": float(inside[1:].mean()),
        "gain": float(gain is None or gain.low <= true_gain <= gain.high),
        "gain, error": gain.mean - true_gain if gain else 0.0,
        "as good": float(as_good.sum()),
        "as good, worse": float((as_good & ~tied).sum()),
        "tied": float(tied.sum()),
        "tied, apart": float((tied & ((gap_low > 0) | (gap_high < 0)))[1:].sum()),
        "winner": truth[winner.name],
        "winner, loss": true[0] - truth[winner.name],
        "winner, saved": trials[0].strategy.cost - winner.strategy.cost,
        "most accurate": true[best],
        "best possible": float(true.max()),
    }


MEASURES = (
    ("95 % interval of a strategy holds its true score", "strategy", "93–97"),
    ("95 % interval of the chosen one holds its true score", "chosen", "93–97"),
    ("interval of a difference from the leader holds the true one", "difference", "93–97"),
    ("interval of the gain over the last cut holds the true one", "gain", "93–97"),
    ("the gain less the true one", "gain, error", "stated"),
    ("rows marked = whose interval excludes zero", "tied, apart", "0"),
    ("what the winner loses against the leader", "winner, loss", "≤ 0.3 points"),
    ("what it saves of a pass", "winner, saved", "stated"),
    ("true score of the winner", "winner", "stated"),
    ("true score of the most accurate by the folds", "most accurate", "stated"),
    ("true score of the truly best", "best possible", "stated"),
    ("the chosen one's score less its true one", "chosen, error", "stated"),
    ("width of a strategy's interval", "strategy, width", "stated"),
    ("width of the chosen one's interval", "chosen, width", "stated"),
)


def show(case: Case, draws: Sequence[Mapping[str, float]]) -> None:
    """Record the rows of one case; ± are two standard errors over the draws."""
    values = {name: np.array([one[name] for one in draws]) for name in draws[0]}
    for what, name, reach in MEASURES:
        error = 2 * values[name].std() / len(draws) ** 0.5
        value = f"{100 * values[name].mean():.1f} ± {100 * error:.1f}"
        record("coverage", what, value, unit="% or points", reach=reach, group=case.name, draws=len(draws))
    worse, as_good = values["as good, worse"], max(values["as good"].sum(), 1)
    share = worse.sum() / as_good
    error = 2 * (worse - share * values["as good"]).std() * len(draws) ** 0.5 / as_good
    what = "strategies truly as good as the leader but shown as worse"
    value = f"{100 * share:.1f} ± {100 * error:.1f}"
    record("coverage", what, value, unit="%", reach="≤ 10", group=case.name, draws=len(draws))


def main() -> None:
    """Draw, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="default: all cases")
    parser.add_argument("--draws", type=int, default=fewer(200, 2), help="of each case")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, two draws: whether it runs")
    asked = parser.parse_args()
    pictures = population()
    for case in CASES[: fewer(len(CASES), 2)]:
        if asked.case and case.name not in asked.case:
            continue
        start, draws = time.perf_counter(), []
        for seed in range(asked.draws):
            draws.append(measure(pictures, case, seed))
            if seed + 1 == asked.draws:
                print(f"\n{case.name}: {seed + 1} draws in {time.perf_counter() - start:,.0f} s", flush=True)
                show(case, draws)


if __name__ == "__main__":
    main()
