"""Do forecasts of the learning curve hold? From half of the pictures it is asked what all of them will give.

`python benchmarks/learning_curve.py` prints a Markdown table; `--case monkeys --draws 10 --first 100` makes ten draws
of one case from seed 100 on. Of the folders, half of the pictures of each class are drawn, groups of copies whole, and
compared as `fit` compares, by one strategy; the truth is the out-of-fold score of that strategy on all pictures, at
as many training pictures as their folds learn from. Of CIFAR-10, 200 pictures are drawn, and the truth is the score of
the head that 1,000 (these among them) train, on the 29,000 that were not drawn. Class by class, the truth is the
recall that 50 more pictures of that class bring to a head of 1,000 pictures there, the mean of three such fifties.
Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project); features are cached (THAWLINE_CACHE).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np

from coverage import Case, Population, draw, population, true_scores
from pictures import DATA, fewer, need
from record import record
from thawline.core.options import Options
from thawline.core.runtime import choose_runtime
from thawline.core.store import cache_root
from thawline.core.types import Floats, Ints
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.split import make_split
from thawline.features.backbone import Backbone
from thawline.features.extract import extract
from thawline.features.joined_bank import Bank
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.search.answers import Rows
from thawline.search.compare import Comparison, compare
from thawline.search.frozen import CompareOptions
from thawline.search.held_out import BankTable
from thawline.vet.more_pictures import MorePictures, class_gains, laws_of, more_pictures
from thawline.vet.thinning import Thinned, answer_thinned, heads_of, plan_for

FOLDERS = ("monkeys", "instruments", "celebrities")
CIFAR, CLASSES = "CIFAR-10, 200 → 1,000", "CIFAR-10, a class"
WORDS = {CIFAR: "CIFAR-10, 200 → 1,000"} | {name: f"`{name}/`, half → all" for name in FOLDERS}
STRATEGY = "efficientnet_lite0 · fused 4.0–head · linear"
FEW, MANY, MORE, FIFTIES = fewer(200, 80), fewer(1000, 160), fewer(50, 3), fewer(3, 1)


@dataclass(frozen=True)
class Asked:
    """A set, compared by one strategy, and its learning curve."""

    comparison: Comparison
    thinned: Thinned
    told: MorePictures

    @property
    def rows(self) -> Rows:
        """What was compared."""
        return self.comparison.frozen.rows

    def forecast(self, pictures: float) -> Floats:
        """Return (M,) scores that are forecast at so many training pictures."""
        return 1 - laws_of(self.thinned, self.rows)[0].errors(pictures)


@dataclass(frozen=True)
class Checked:
    """A forecast and the truth, in [0, 1]."""

    ends_80: tuple[float, float]
    ends_95: tuple[float, float]
    mean: float
    before: float
    truth: float


def ask(dataset: Dataset, bank: Bank, backbone: Backbone, seed: int) -> Asked:
    """Return the learning curve of all pictures of a set, none of them held out as a test."""
    comparison = compared(dataset, bank, backbone, seed)
    rows, (trial,) = comparison.frozen.rows, comparison.leaderboard.trials
    hashes = [dataset.samples[sample].sha256 for sample in rows.samples]
    thinned = answer_thinned(
        heads_of(trial), lambda blocks: BankTable((bank,), hashes, blocks), rows=rows, plan=plan_for(rows)
    )
    metric = comparison.frozen.metric
    told = more_pictures(thinned, rows, class_names=dataset.class_names, metric=metric, strategy=trial.name)
    return Asked(comparison, thinned, told)


def compared(dataset: Dataset, bank: Bank, backbone: Backbone, seed: int) -> Comparison:
    """Return the comparison of the one strategy."""
    split, options = make_split(dataset, seed=seed, hold_out=False), CompareOptions(only=frozenset([STRATEGY]))
    return compare(bank, backbone, dataset=dataset, split=split, options=options)


def checked(scores: Floats, before: float, truth: float) -> Checked:
    """Return what was forecast, next to what came."""
    (low_80, high_80), (low, high) = (np.quantile(scores, ends).tolist() for ends in ([0.1, 0.9], [0.025, 0.975]))
    return Checked((low_80, high_80), (low, high), float(scores.mean()), before, truth)


def read_folder(name: str) -> tuple[Dataset, Bank, Backbone]:
    """Return the pictures of a folder, all parts together, and their features."""
    options = Options()
    dataset, _ = check(DATA / name, options)
    dataset = replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
    network, runtime = load_backbone(), choose_runtime(options.device, options.dtype)
    bank = extract(dataset, network, runtime=runtime, cache=cache_root(None)).bank
    return dataset, bank, network.backbone


def half_of(dataset: Dataset, seed: int) -> Dataset:
    """Return half of the pictures of each class, groups whole."""
    _, place = np.unique(dataset.groups, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(int(place.max()) + 1)[place]
    kept: list[int] = []
    for label in range(len(dataset.class_names)):
        rows = np.flatnonzero(dataset.labels == label)
        kept += rows[shuffled[rows] <= np.median(shuffled[rows])].tolist()
    return replace(dataset, samples=tuple(dataset.samples[row] for row in sorted(kept)))


def of_folder(name: str, seeds: range) -> Iterator[Checked]:
    """Yield forecasts from halves of a folder."""
    dataset, bank, backbone = read_folder(name)
    for seed in seeds:
        whole = compared(dataset, bank, backbone, seed)
        rows = whole.frozen.rows
        half = ask(half_of(dataset, seed), bank, backbone, seed)
        pictures = np.count_nonzero(rows.train, axis=0).mean()
        yield checked(half.forecast(pictures), half.told.points[-1].mean, whole.leaderboard.trials[0].mean)


def of_cifar(pictures: Population, seeds: range) -> Iterator[Checked]:
    """Yield forecasts from 200 pictures of CIFAR-10 to 1,000."""
    for seed in seeds:
        many = draw(pictures, Case("drawn", MANY), seed)
        few = replace(many.dataset, samples=many.dataset.samples[:FEW])
        asked = ask(few, pictures.bank, pictures.backbone, seed)
        whole = compared(many.dataset, pictures.bank, pictures.backbone, seed)
        (truth,) = true_scores(pictures, many, whole).values()
        yield checked(asked.forecast(MANY), asked.told.forecast[0].mean, truth)


def of_classes(pictures: Population, seeds: range) -> Iterator[Checked]:
    """Yield what 50 more pictures of each class bring to its recall, of 1,000 pictures of CIFAR-10."""
    for seed in seeds:
        many = draw(pictures, Case("drawn", MANY), seed)
        asked = ask(many.dataset, pictures.bank, pictures.backbone, seed)
        rng = np.random.default_rng(seed)
        (trial,), labels = asked.comparison.leaderboard.trials, many.dataset.labels
        x = features_of(pictures, [sample.sha256 for sample in many.dataset.samples], trial.strategy.blocks)
        base = fit_linear(x, labels, l2=trial.l2 or 0.0, num_classes=10)
        names, (laws, _) = many.dataset.class_names, laws_of(asked.thinned, asked.rows)
        gains_told = class_gains(asked.thinned, asked.rows, laws=laws, more=MORE, class_names=names)
        of_name = {one.name: one for one in gains_told}
        for label, name in enumerate(names):
            others = rng.permutation(many.rest[many.rest_labels == label])
            held_out, told, gains = others[FIFTIES * MORE :], of_name[name], []
            tested = features_of(pictures, hashes_of(pictures, held_out), trial.strategy.blocks)
            before = float((base.logits(tested).argmax(axis=1) == label).mean())
            for number in range(FIFTIES):
                fifty = hashes_of(pictures, others[number * MORE : (number + 1) * MORE])
                joined = np.concatenate([x, features_of(pictures, fifty, trial.strategy.blocks)])
                of_joined = np.concatenate([labels, np.full(MORE, label)])
                share = (labels == label).sum() / (of_joined == label).sum()
                weights = np.where(of_joined == label, share, 1.0).astype(np.float32)
                head = fit_linear(joined, of_joined, l2=trial.l2 or 0.0, num_classes=10, row_weights=weights)
                gains.append(float((head.logits(tested).argmax(axis=1) == label).mean()) - before)
            yield Checked((told.low_80, told.high_80), (told.low, told.high), told.gain, 0.0, float(np.mean(gains)))


def hashes_of(pictures: Population, rows: Ints) -> list[str]:
    """Return the hashes of some pictures."""
    return [pictures.dataset.samples[row].sha256 for row in rows.tolist()]


def features_of(pictures: Population, hashes: list[str], blocks: tuple[tuple[int, str], ...]) -> Floats:
    """Return their raw features."""
    return pictures.bank.read(hashes, blocks)


def show(name: str, found: list[Checked], seconds: float) -> None:
    """Record a row: how often the truth lies inside, and how far off the forecast is, in points."""
    truth = np.array([one.truth for one in found])
    inside = [
        int(sum(ends[0] <= one.truth <= ends[1] for one in found for ends in [getattr(one, which)]))
        for which in ("ends_80", "ends_95")
    ]
    width = 100 * np.mean([one.ends_80[1] - one.ends_80[0] for one in found])
    off = 100 * (np.array([one.mean for one in found]) - truth)
    before = 100 * np.mean([one.before for one in found])
    cells = {
        "draws": str(len(found)),
        "score before": f"{before:.1f}",
        "forecast": f"{100 * np.mean([one.mean for one in found]):.1f}",
        "came": f"{100 * truth.mean():.1f}",
        "forecast less that": f"{off.mean():+.2f}",
        "size of it": f"{np.abs(off).mean():.2f}",
        "width of the 80 % interval": f"{width:.1f}",
        "inside 80 %": str(inside[0]),
        "inside 95 %": str(inside[1]),
    }
    group = "a class" if name == CLASSES else ""
    record("learning_curve", WORDS.get(name, name), cells, group=group, took_s=round(seconds))


def main() -> None:
    """Draw, forecast and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    names = (*FOLDERS, CIFAR, CLASSES)
    parser.add_argument("--case", action="append", choices=names, help="default: all cases")
    parser.add_argument("--draws", type=int, default=fewer(10, 1), help="of each case")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one draw: whether it runs")
    parser.add_argument("--first", type=int, default=0, help="seed of the first draw")
    asked = parser.parse_args()
    seeds, cases = range(asked.first, asked.first + asked.draws), asked.case or names
    pictures = population() if {CIFAR, CLASSES} & set(cases) else None
    need(*(name for name in cases if name in FOLDERS))
    for name in cases:
        start = time.perf_counter()
        if name in FOLDERS:
            found = list(of_folder(name, seeds))
        elif pictures is not None:
            found = list(of_cifar(pictures, seeds) if name == CIFAR else of_classes(pictures, seeds))
        show(name, found, time.perf_counter() - start)


if __name__ == "__main__":
    main()
