"""How sure a delivered model is, against how often it is right, out of sample: `python benchmarks/calibration.py`.

Each set is split anew by many seeds, as `fit` splits it; a model learns from four fifths, by all the choices of
`fit`, and answers the fifth it never saw. The answers of all seeds are pooled, since the calibration error of 74
pictures is mostly chance. Of CIFAR-10 each seed draws 1,000 pictures to learn from, and answers the others of a fixed
6,000.

Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pictures import DATA, fewer, need
from record import record
from thawline.core.options import Options
from thawline.core.progress import progress_for_stderr
from thawline.core.types import Floats
from thawline.data.dataset import Dataset
from thawline.data.sources.places import Place
from thawline.work.model import answer_test, frozen_model
from thawline.work.order import Order
from thawline.work.session import Session, compare_frozen, open_session

SETS = ("celebrities", "instruments", "cifar10")
BINS = 15
CIFAR_A_CLASS, LEARNT_A_CLASS = fewer(600, 30), fewer(100, 12)
REACH = {"celebrities": 0.05, "instruments": 0.03, "cifar10": 0.025}


@dataclass(frozen=True)
class Answered:
    """What one seed's model says of pictures that it never saw: (n,) each.

    Attributes:
        confidence: Probability of the predicted class.
        is_right: 1.0 or 0.0.
        loss: Log-loss.
    """

    confidence: Floats
    is_right: Floats
    loss: Floats


def calibration_error(confidence: Floats, is_right: Floats) -> float:
    """Return the mean gap between confidence and accuracy over 15 bins of as many pictures each."""
    bins = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    return float(sum(abs((is_right[rows] - confidence[rows]).sum()) for rows in bins) / len(confidence))


def by_chance(confidence: Floats) -> float:
    """Return the error that a calibrated model with these confidences shows on average."""
    rng = np.random.default_rng(0)
    draws = [calibration_error(confidence, (rng.random(len(confidence)) < confidence) * 1.0) for _ in range(200)]
    return float(np.mean(draws))


def of_cifar(dataset: Dataset, seed: int) -> Dataset:
    """Return the pictures of one draw: a hundred a class to learn from, the rest of the fixed ones as the test."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng((seed, 1))
    samples = []
    for label in range(len(dataset.class_names)):
        kept = rng.permutation(fixed.permutation(np.flatnonzero(dataset.labels == label))[:CIFAR_A_CLASS])
        samples += [replace(dataset.samples[row], split="train") for row in kept[:LEARNT_A_CLASS]]
        samples += [replace(dataset.samples[row], split="test") for row in kept[LEARNT_A_CLASS:]]
    return replace(dataset, samples=tuple(samples))


def answered(session: Session, dataset: Dataset, seed: int) -> Answered:
    """Return the answers of the model that `fit --seed SEED` would measure."""
    options = replace(session.order.options, seed=seed)
    context = replace(session.context, dataset=dataset, options=options)
    compared = compare_frozen(replace(session, order=replace(session.order, options=options), context=context))
    comparison, board = compared.comparison, compared.leaderboard
    labels = dataset.labels[comparison.rows]
    made = frozen_model(compared, board.trials[board.winner], logits=comparison.held_out_logits, labels=labels)
    shares, truth = answer_test(compared, made), dataset.labels[compared.split.test]
    return Answered(
        shares.max(axis=1).astype(np.float64),
        (shares.argmax(axis=1) == truth).astype(np.float64),
        -np.log(np.maximum(shares[np.arange(len(truth)), truth], 1e-12)),
    )


def all_answers(name: str, seeds: int) -> Iterator[Answered]:
    """Yield each seed's answers on a set; its own parts are pooled."""
    order = Order(Place.of(str(DATA / name)), options=Options())
    session = open_session(order, Path("unused"), progress=progress_for_stderr())
    dataset = session.context.dataset
    whole = replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
    for seed in range(seeds):
        yield answered(session, of_cifar(whole, seed) if name == "cifar10" else whole, seed)


def measure(name: str, seeds: int) -> None:
    """Record a set's row."""
    found = list(all_answers(name, seeds))
    confidence, is_right, loss = (
        np.concatenate([getattr(one, part) for one in found]) for part in ("confidence", "is_right", "loss")
    )
    gaps = [abs(float(one.confidence.mean() - one.is_right.mean())) for one in found]
    own = [calibration_error(one.confidence, one.is_right) - by_chance(one.confidence) for one in found]
    error = calibration_error(confidence, is_right)
    cells = {
        "seeds × pictures": f"{seeds} × {len(found[0].loss):,}",
        "right": f"{is_right.mean():.3f}",
        "sure": f"{confidence.mean():.3f}",
        "error, pooled; by chance": f"{error:.3f}; {by_chance(confidence):.3f}",
        "above chance": f"{np.mean(own):+.3f}",
        "gap": f"{np.mean(gaps):.3f}",
        "log-loss": f"{loss.mean():.4f}",
    }
    what = "CIFAR-10, 1,000 pictures" if name == "cifar10" else f"`{name}/`"
    record("calibration", what, cells, reach=f"≤ {REACH[name]:g}", holds=bool(error <= REACH[name]))


def main() -> None:
    """Record a row a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--seeds", type=int, default=fewer(20, 1))
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one seed: whether it runs")
    arguments = parser.parse_args()
    need(*arguments.only)
    for name in arguments.only:
        measure(name, arguments.seeds)


if __name__ == "__main__":
    main()
