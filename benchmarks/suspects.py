"""Planted label errors, and how many of them the list of suspects has at its top: `python benchmarks/suspects.py`.

Of each set, a share of the training pictures is put under another class, drawn evenly, and everything is done as `fit`
does it: strategies are compared on the wrong labels, the winner answers out of fold and on the test, and the list is
made. Features come from the cache (what is missing is extracted). Then the ways of scoring are compared on the same
answers: cleanlab's, with and without its correction for unequal classes, and nearest neighbours with or without them.

Measured on training pictures alone: which share of the planted errors stands in the first 5 % of the list, which share
of its first 20 were planted, and the area under precision and recall. What a set has of errors of its own counts
against the list. Prints Markdown tables.

Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import average_precision_score

from pictures import DATA, fewer, need
from record import record
from thawline.core.options import Options
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.sources.places import Place
from thawline.vet.answered import Answered
from thawline.vet.space import Space
from thawline.vet.suspects import find_suspects, suspects_of
from thawline.work.advising import basis_of
from thawline.work.choice import choose
from thawline.work.order import Order
from thawline.work.session import Session, compare_frozen, open_session

SHARE = 0.05
FIRST = 20
NEIGHBOURS = 10
WORDS = ("found in the first 5 % of `suspects.csv`", "precision of the first 20", "area under precision and recall")


@dataclass(frozen=True)
class Planted:
    """A data set with wrong labels, and what was said of it.

    Attributes:
        dataset: With the wrong labels.
        rows: Which ones are wrong.
        answered: As advice takes it.
        space: As advice takes it.
        num_extracted: Pictures that were not in the cache.
    """

    dataset: Dataset
    rows: Ints
    answered: Answered
    space: Space
    num_extracted: int


def plant(session: Session, *, seed: int) -> Planted:
    """Return a session's pictures with 5 % of the training labels wrong, as a run answers them."""
    dataset, rng = session.context.dataset, np.random.default_rng(seed)
    pool = np.flatnonzero([sample.split != "test" for sample in dataset.samples])
    wrong = np.sort(rng.choice(pool, round(SHARE * len(pool)), replace=False))
    labels, num_classes = dataset.labels.copy(), len(dataset.class_names)
    labels[wrong] = (labels[wrong] + rng.integers(1, num_classes, len(wrong))) % num_classes
    pairs = zip(dataset.samples, labels.tolist(), strict=True)
    planted = replace(dataset, samples=tuple(replace(sample, label=label) for sample, label in pairs))
    compared = compare_frozen(replace(session, context=replace(session.context, dataset=planted)))
    basis = basis_of(compared, choose(compared))
    return Planted(planted, wrong, basis.answered, basis.space, sum(one.num_extracted for one in compared.extractions))


def of_neighbours(planted: Planted) -> Floats:
    """Return (N, K) shares of the classes among the pictures most alike, of those that were answered."""
    answered = planted.answered
    near, alike = planted.space.nearest(answered.rows, answered.rows, k=NEIGHBOURS)
    weights = np.where(near >= 0, np.exp(5 * alike), 0)
    shares = np.full((len(answered), len(planted.dataset.class_names)), 1e-3)
    labels = planted.dataset.labels[near]
    for column in range(NEIGHBOURS):
        np.add.at(shares, (np.arange(len(answered)), labels[:, column]), weights[:, column])
    normalised: Floats = shares / shares.sum(axis=1, keepdims=True)
    return normalised


def doubts_of(planted: Planted) -> dict[str, Floats]:
    """Return (N,) how doubtful each answered picture's label is, by way of scoring."""
    labels, shares = planted.answered.labels, planted.answered.probabilities.astype(np.float64)
    near, doubts = of_neighbours(planted), {}
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        doubts[f"cleanlab, {method}"] = 1 - get_label_quality_scores(labels, shares, method=method)
        if method != "confidence_weighted_entropy":
            score = get_label_quality_scores(labels, shares, method=method, adjust_pred_probs=True)
            doubts[f"cleanlab, {method}, adjusted"] = 1 - score
    own = np.arange(len(labels)), labels
    doubts[f"{NEIGHBOURS} nearest neighbours"] = 1 - near[own]
    doubts["self_confidence of the mean of both"] = 1 - (near + shares)[own] / 2
    product = np.sqrt(near * shares)
    doubts["self_confidence of the geometric mean of both"] = 1 - product[own] / product.sum(axis=1)
    return doubts


def scores_of(doubts: Floats, planted: Planted) -> tuple[float, float, float]:
    """Return the share found in the first 5 %, the precision of the first 20, and the area, of training pictures."""
    inside = ~planted.answered.is_test
    is_wrong, order = np.isin(planted.answered.rows[inside], planted.rows), np.argsort(-doubts[inside], kind="stable")
    first = is_wrong[order]
    found = first[: round(SHARE * len(first))].sum() / is_wrong.sum()
    return found, first[:FIRST].mean(), average_precision_score(is_wrong, doubts[inside])


def list_of(planted: Planted) -> tuple[Floats, int, int]:
    """Return the list of suspects as (N,) doubts of the answered, how many it has and how many it takes for likely."""
    found = find_suspects(planted.answered, planted.space)
    place = {path: number for number, path in enumerate(planted.answered.paths)}
    doubts = np.zeros(len(planted.answered))
    doubts[[place[suspect.path] for suspect in found]] = np.arange(len(found), 0, -1)
    return doubts, len(found), suspects_of(found, planted.answered).num_likely


def measure(name: str, *, num_seeds: int) -> None:
    """Print the tables of one set."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        session = open_session(Order(Place.of(DATA / name), options=Options()), Path(out))
        scores, sizes, extracted, list_s = defaultdict(list), [], 0, []
        for seed in range(num_seeds):
            planted = plant(session, seed=seed)
            extracted += planted.num_extracted
            before = time.perf_counter()
            doubts, num_listed, num_likely = list_of(planted)
            list_s.append(time.perf_counter() - before)
            sizes.append((num_listed, num_likely, len(planted.rows)))
            for way, values in {"**suspects.csv**": doubts, **doubts_of(planted)}.items():
                scores[way].append(scores_of(values, planted))
    listed, likely, wrong = np.mean(sizes, axis=0)
    print(f"\n`{name}/`: {num_seeds} draws, {wrong:.0f} planted each, {extracted} pictures extracted; the list has")
    print(f"{listed:.1f} pictures (test included), cleanlab takes {likely:.1f} labels for wrong; the list takes")
    print(f"{np.median(list_s):.2f} s, all {time.perf_counter() - started:.0f} s\n")
    print("| scored by | found in the first 5 %, mean (least) | precision of the first 20 | area |")
    print("|---|---|---|---|")
    for way, values in scores.items():
        (found, precision, area), least = np.mean(values, axis=0), np.min(values, axis=0)[0]
        print(f"| {way} | {found:.3f} ({least:.3f}) | {precision:.3f} | {area:.3f} |", flush=True)
    values = np.array(scores["**suspects.csv**"])
    of_list = zip(WORDS, values.mean(axis=0), values.min(axis=0), strict=True)
    for number, (what, mean, least) in enumerate(of_list):
        reach = "≥ 0.92" if name == "monkeys" and number == 0 else "stated"
        planted_text = f"; {wrong:.0f} planted" if number == 0 else ""
        record("suspects", f"`{name}/`: {what}", f"{mean:.3f} ({least:.3f}{planted_text})", reach=reach)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sets", nargs="*", default=["monkeys", "celebrities", "instruments"])
    parser.add_argument("--draws", type=int, default=fewer(10, 1))
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one draw: whether it runs")
    asked = parser.parse_args()
    need(*asked.sets)
    for name in asked.sets:
        measure(name, num_seeds=asked.draws)


if __name__ == "__main__":
    main()
