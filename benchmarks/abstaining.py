"""Is a promised error rate kept? Small sets are drawn from CIFAR-10 again and again; the truth is read on the rest.

`python benchmarks/abstaining.py --draws 200` records a row a rate. Each draw has 1,000 pictures: a linear head on
the deepest cut answers them out of fold, and a threshold is set as a run sets it; then the head is fitted on all of
them and answers the 29,000 pictures that were not drawn. Features come from the cache. Needs the real pictures
(THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np

from coverage import population
from pictures import fewer
from record import record
from thawline.core.types import Floats, Ints
from thawline.heads.abstention import promised_threshold, usual_threshold
from thawline.heads.calibrate import fit_temperature, probabilities
from thawline.heads.linear import fit_folds, fit_linear
from thawline.heads.rotation import rotate
from thawline.vet.abstaining import LEVEL, conformal_sets

SIZE, FOLDS, L2 = fewer(1000, 120), 5, 1e-3
RATES = (0.02, 0.05, 0.1)
CHECKED = fewer(5000, 100)
"""Pictures that conformal sets are checked on in each draw."""


def answered(features: Floats, labels: Ints, *, seed: int) -> Floats:
    """Return (n, K) logits of each picture by a head that was fitted without it."""
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    weights = (fold[:, None] != np.arange(FOLDS)).astype(np.float32)
    logits = fit_folds(rotate(features), labels, row_weights=weights, strengths=[L2], num_classes=10)
    return logits[fold, 0, np.arange(len(labels))]


def measure(features: Floats, labels: Ints, *, seed: int) -> dict[str, float]:
    """Return what one draw says: whether promises are kept on the rest, how much is answered, what sets cover."""
    rng = np.random.default_rng((seed, SIZE))
    drawn = rng.choice(len(labels), SIZE, replace=False)
    rest = np.setdiff1d(np.arange(len(labels)), drawn)
    logits = answered(features[drawn], labels[drawn], seed=seed)
    temperature = fit_temperature(logits, labels[drawn])
    shares = probabilities(logits, temperature)
    is_right, confidence = shares.argmax(axis=1) == labels[drawn], shares.max(axis=1)
    head = fit_linear(features[drawn], labels[drawn], l2=L2, num_classes=10)
    true = probabilities(head.logits(features[rest]), temperature)
    truly_right, sure = true.argmax(axis=1) == labels[rest], true.max(axis=1)
    found = {"accuracy": float(truly_right.mean())}
    for rate in (*RATES, None):
        if rate is None:
            usual = usual_threshold(confidence, is_right)
            name, (promised, threshold) = "usual", usual or (1.0, None)
        else:
            name, promised, threshold = f"{rate:g}", rate, promised_threshold(confidence, is_right, error_rate=rate)
        kept = sure >= (2.0 if threshold is None else threshold)
        wrong = 1 - truly_right[kept].mean() if kept.any() else 0.0
        found |= {f"{name}, promised": float(threshold is not None), f"{name}, kept": float(wrong <= promised)}
        found |= {f"{name}, answered": float(kept.mean()), f"{name}, wrong": float(wrong)}
    asked = rng.choice(len(rest), CHECKED, replace=False)
    sets = conformal_sets(shares, labels[drawn], asked=true[asked], level=LEVEL)
    found["sets, cover"] = float(sets[np.arange(CHECKED), labels[rest[asked]]].mean())
    found["sets, size"] = float(sets.sum(axis=1).mean())
    return found


def main() -> None:
    """Draw, measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--draws", type=int, default=fewer(200, 2))
    parser.add_argument("--quick", action="store_true", help="drawn pictures, two draws: whether it runs")
    asked = parser.parse_args()
    pictures = population()
    last = len(pictures.backbone.cuts) - 1
    hashes = [sample.sha256 for sample in pictures.dataset.samples]
    features, labels = pictures.bank.read(hashes, [(last, "mean")]), pictures.dataset.labels
    start, draws = time.perf_counter(), []
    for seed in range(asked.draws):
        draws.append(measure(features, labels, seed=seed))
        if (seed + 1) % 20 == 0:
            print(f"{seed + 1} draws in {time.perf_counter() - start:,.0f} s", flush=True)
    values = {name: np.array([one[name] for one in draws]) for name in draws[0]}
    print(f"\n{asked.draws} draws of {SIZE:,} pictures, accuracy {values['accuracy'].mean():.3f}\n")
    for name in (*(f"{rate:g}" for rate in RATES), "usual"):
        has = values[f"{name}, promised"] > 0
        cells = [
            values[f"{name}, {what}"][has].mean() if has.any() else np.nan for what in ("kept", "answered", "wrong")
        ]
        broken = int((values[f"{name}, kept"][has] == 0).sum())
        row = {"draws with a threshold": str(int(has.sum())), f"promise broken, of {asked.draws} draws": str(broken)}
        row |= {"answered": f"{100 * cells[1]:.0f} %", "wrong among them": f"{100 * cells[2]:.1f} %"}
        what = "by default" if name == "usual" else f"{100 * float(name):g} %"
        holds = bool(broken <= 0.05 * asked.draws)
        record("outsiders", what, row, group="abstaining", reach="kept in ≥ 95 %", holds=holds)
    cover = values["sets, cover"]
    print(f"\nSets at {LEVEL:g}: coverage {cover.mean():.4f}, draws {cover.min():.3f} to {cover.max():.3f}, ", end="")
    print(f"{values['sets, size'].mean():.2f} classes on average")


if __name__ == "__main__":
    main()
