"""Does a model notice what it was never shown? `monkeys/` against other things, and against a species left out.

`python benchmarks/outsiders.py` records two tables: the area under the ROC curve of several scores, and how
often pictures that do belong are called strange, against what was promised. Features come from the cache; no network is
trained. Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pictures import DATA, fewer, need
from record import record
from thawline.core.options import Options
from thawline.core.runtime import choose_runtime
from thawline.core.store import cache_root
from thawline.core.types import Floats, Ints
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.split import make_split
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_neighbours
from thawline.heads.outsiders import (
    Outsiders,
    combined,
    energy,
    fit_strangeness,
    num_directions,
    quantiles_of,
    standardised,
)

CUTS, POOLINGS = 5, ("mean", "std")
"""The deepest cuts, as the head of `monkeys/` reads them."""
COLUMNS = 4096
L2 = 1e-4
FOLDS = 20
"""Of so few pictures a run scores four parts of each of five folds."""
RATES = (0.01, 0.05)
SPLITS = fewer(10, 1)


@dataclass(frozen=True)
class Pictures:
    """A checked set and its (N, D) features."""

    dataset: Dataset
    features: Floats


def load(name: str) -> Pictures:
    """Return a set with its features, read through the network where the cache has none."""
    options = Options()
    dataset, _ = check(DATA / name, options)
    network, runtime = load_backbone(), choose_runtime(options.device, options.dtype)
    bank = extract(dataset, network, runtime=runtime, cache=cache_root(None)).bank
    last = len(network.backbone.cuts)
    blocks = [(cut, pooling) for cut in range(last - CUTS, last) for pooling in POOLINGS]
    return Pictures(dataset, bank.read([sample.sha256 for sample in dataset.samples], blocks))


def known_of(pictures: Pictures, rows: Ints, *, seed: int = 0) -> Outsiders:
    """Return what a run keeps of some rows: a score in standard deviations of held-out rows, and its quantiles."""
    dataset, features = pictures.dataset, pictures.features
    labels = dataset.labels
    width = features.shape[1]
    reads = np.arange(width) >= width - COLUMNS
    rng = np.random.default_rng(seed)
    groups = np.unique(dataset.groups[rows], return_inverse=True)[1]
    fold = (rng.permutation(groups.max() + 1) % FOLDS)[groups]
    near, far = np.empty(len(rows)), np.empty(len(rows))
    directions = num_directions(len(rows) * 9 // 10, COLUMNS)
    for number in range(FOLDS):
        inside, out = rows[fold != number], rows[fold == number]
        part = fit_strangeness(features[inside], labels[inside], reads=reads, directions=directions)
        near[fold == number], far[fold == number] = part.near_far(features[out])
    score = standardised(
        fit_strangeness(features[rows], labels[rows], reads=reads, directions=directions), near=near, far=far
    )
    return Outsiders(score, quantiles_of(combined(score, near=near, far=far), dataset.groups[rows]))


def scores_of(pictures: Pictures, rows: Ints) -> dict[str, Callable[[Floats], Floats]]:
    """Return every score that is compared, fitted on some rows, by name; larger is stranger."""
    features, labels = pictures.features[rows], pictures.dataset.labels[rows]
    _, labels = np.unique(labels, return_inverse=True)
    classes = int(labels.max()) + 1
    head = fit_linear(features, labels, l2=L2, num_classes=classes)
    nearest = fit_neighbours(features, labels, k=1, num_classes=classes)
    score = known_of(pictures, rows).strangeness
    means = np.stack([nearest.columns.apply(features[labels == label]).mean(axis=0) for label in range(classes)])

    def unit(x: Floats) -> Floats:
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def probability(x: Floats) -> Floats:
        logits = head.logits(x).astype(np.float64)
        return -(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))

    def to_means(x: Floats) -> Floats:
        x = nearest.columns.apply(x)
        return ((x[:, None] - means[None]) ** 2).sum(axis=2).min(axis=1)

    def to_neighbours(x: Floats) -> Floats:
        return -np.sort(unit(nearest.columns.apply(x)) @ nearest.keys.astype(np.float32).T, axis=1)[:, -5]

    return {
        "kept: excess distance and rest": score.score,
        "excess distance to the nearest class alone": lambda x: score.near_far(x)[0],
        "what lies outside the directions alone": lambda x: score.near_far(x)[1],
        "distance to the nearest class mean": to_means,
        "cosine of the 5th neighbour": to_neighbours,
        "largest probability": probability,
        "energy of the logits": lambda x: energy(head.logits(x)),
    }


def area(belongs: Floats, strange: Floats) -> float:
    """Return the share of pairs in which the strange picture looks stranger."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.r_[np.zeros(len(belongs)), np.ones(len(strange))], np.r_[belongs, strange]))


def areas(monkeys: Pictures, others: Mapping[str, Pictures]) -> None:
    """Record the areas of every score: other things, and each species left out of training."""
    labels = monkeys.dataset.labels
    test = np.array([sample.split == "test" for sample in monkeys.dataset.samples])
    found: dict[str, list[float]] = {}
    for name, score in scores_of(monkeys, np.flatnonzero(~test)).items():
        belongs = score(monkeys.features[test])
        found[name] = [area(belongs, score(other.features)) for other in others.values()]
    species: dict[str, list[float]] = {name: [] for name in found}
    for left_out in range(len(monkeys.dataset.class_names)):
        inside = labels != left_out
        for name, score in scores_of(monkeys, np.flatnonzero(~test & inside)).items():
            species[name].append(
                area(score(monkeys.features[test & inside]), score(monkeys.features[labels == left_out]))
            )
    columns = [*others, "a species left out, mean of ten", "its lowest"]
    for name, values in found.items():
        cells = [*values, float(np.mean(species[name])), min(species[name])]
        texts = {column: f"{value:.4f}" for column, value in zip(columns, cells, strict=True)}
        is_kept = name.startswith("kept")
        holds = bool(min(values) >= 0.999 and cells[-2] >= 0.965) if is_kept else None
        record("outsiders", name, texts, reach="≥ 0.999; ≥ 0.965" if is_kept else None, holds=holds)


def alarms(monkeys: Pictures, others: Mapping[str, Pictures]) -> None:
    """Record how often pictures are called strange: held-out ones, on given and on drawn splits, and others."""
    dataset = monkeys.dataset
    test = np.array([sample.split == "test" for sample in dataset.samples])
    known = known_of(monkeys, np.flatnonzero(~test))
    outside = {"the 272 test pictures": share(known, monkeys.features[test])}
    outside |= {name: share(known, other.features) for name, other in others.items()}
    drawn = []
    free = Dataset(dataset.root, dataset.class_names, _without_parts(dataset), dataset.ledger)
    for seed in range(SPLITS):
        split = make_split(free, seed=seed)
        drawn.append(share(known_of(monkeys, split.pool, seed=seed), monkeys.features[split.test]))
    outside[f"a fifth held out, {SPLITS} drawn splits together"] = np.concatenate(drawn)
    for name, shares in outside.items():
        called = {rate: float((shares > 1 - rate).mean()) for rate in RATES}
        cells = {f"promised {100 * rate:g} %": f"{100 * share:.2f} %" for rate, share in called.items()}
        holds = None if name in others else all(abs(share - rate) <= 0.01 for rate, share in called.items())
        reach = None if name in others else "within ± 1 point"
        record("outsiders", name, cells, group="called", reach=reach, holds=holds)


def share(known: Outsiders, features: Floats) -> Floats:
    """Return (N,) `outside` of features."""
    return known.outside(features, np.empty((0, 0)))


def _without_parts(dataset: Dataset):
    from dataclasses import replace

    return tuple(replace(sample, split=None) for sample in dataset.samples)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="drawn pictures: whether it runs")
    parser.parse_args()
    need("monkeys", "instruments", "celebrities")
    monkeys = load("monkeys")
    others = {name: load(name) for name in ("instruments", "celebrities")}
    areas(monkeys, others)
    alarms(monkeys, others)


if __name__ == "__main__":
    main()
