"""Comparisons and fits of more rows than memory holds: `python benchmarks/vast.py [--quick] [--bank DIR]`.

Rows are those of CIFAR-10 in a bank (what is missing is extracted: eight minutes), all 60,000, read again and again
under other hashes: one, three and ten times. Each child process fits one head and tells its largest resident size; the
same rows in memory are the reference. Then strategies are ranked on samples, and what the sample's winner loses on all
rows is set beside the interval that the sample states. `--quick` takes 2,000 drawn rows of 64 columns.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from record import record
from thawline.core.types import Floats, InputSpec, Ints
from thawline.data.dataset import Dataset, Sample
from thawline.data.sampled import sampled_split
from thawline.data.split import Split, make_split
from thawline.features.backbone import Backbone
from thawline.features.bank import BankSpec, Block, FeatureBank, open_bank
from thawline.features.segment import write_segment
from thawline.heads import linear, rotation, streamed
from thawline.heads.linear import fit_linear
from thawline.heads.rotation import drawn_rows
from thawline.heads.softmax_path import solve_path
from thawline.heads.streamed import fit_streamed
from thawline.search.compare import CompareOptions, answer_frozen, leaderboard_of
from thawline.search.held_out import BankTable
from thawline.use.exports.measured import peak_bytes

SUITE = "vast"
L2 = 1e-4
HELD_OUT = 6
"""Every so many-th row is held out."""
SAMPLES = (5_000, 20_000)
DRAWS = 3


class Repeated:
    """The rows of a table, read so many times over: a table of a set that is so many times as large."""

    def __init__(self, table: BankTable, times: int) -> None:
        self.table, self.times = table, times

    @property
    def shape(self) -> tuple[int, int]:
        """(times · N, D)."""
        return self.times * self.table.shape[0], self.table.shape[1]

    def __getitem__(self, rows: slice | Ints, /) -> Floats:
        return self.table[np.arange(self.shape[0])[rows] % self.table.shape[0]]

    def parts(self, rows_at_once: int) -> Iterator[tuple[Ints, Floats]]:
        """Yield as `BankTable.parts`, once for each time."""
        for time_over in range(self.times):
            for rows, features in self.table.parts(rows_at_once):
                yield rows + time_over * self.table.shape[0], features


class World:
    """An open bank, its network, and the pictures in it."""

    def __init__(self, bank: FeatureBank, dataset: Dataset, backbone: Backbone | None) -> None:
        self.bank, self.dataset, self.backbone = bank, dataset, backbone

    def rows(self, *, held_out: bool) -> Ints:
        """Return every sixth row, or the others."""
        return np.flatnonzero((np.arange(len(self.dataset)) % HELD_OUT == 0) == held_out)

    def table(self, rows: Ints, blocks: Sequence[Block]) -> BankTable:
        """Return the features of some rows."""
        return BankTable((self.bank,), [self.dataset.samples[row].sha256 for row in rows.tolist()], blocks)


def quick_world(folder: Path) -> World:
    """Return a bank of drawn rows."""
    rng, labels = np.random.default_rng(0), np.arange(2000) % 5
    pixels = InputSpec(8, (0.5,) * 3, (0.5,) * 3)
    blocks = ((0, "mean", 32), (1, "mean", 32))
    cuts = (("first", 32), ("last", 32))
    spec = BankSpec("drawn", "0" * 64, pixels, ("plain",), "float32", "float16", cuts, ("mean",), blocks)
    rows = (rng.normal(size=(5, 64))[labels] + 2 * rng.normal(size=(2000, 64))).astype(np.float16)
    digests = rng.integers(0, 256, (2000, 32), dtype=np.uint8)
    bank = open_bank(folder, spec)
    if not len(bank):
        write_segment(folder, bank.directory, digests=digests, rows=rows[:, None])
        bank = open_bank(folder, spec)
    samples = [Sample(f"{row}", int(labels[row]), digests[row].tobytes().hex(), None, row, None) for row in range(2000)]
    return World(bank, Dataset(None, tuple("abcde"), tuple(samples), ()), None)


def real_world(folder: Path | None) -> World:
    """Return the bank of CIFAR-10 in a cache, and its pictures."""
    from main_job import DATA
    from thawline.core.options import make_options
    from thawline.core.runtime import choose_runtime
    from thawline.core.store import cache_root
    from thawline.data.check import check
    from thawline.features.extract import extract
    from thawline.features.network import load_backbone, rendering_as

    dataset, _ = check(DATA / "cifar10", make_options(copies="ignore"))
    dataset = replace(dataset, samples=tuple(replace(sample, split=None) for sample in dataset.samples))
    network = rendering_as(load_backbone(), dataset.rendering)
    bank = extract(dataset, network, runtime=choose_runtime("cpu", "auto"), cache=cache_root(folder)).bank
    return World(bank, dataset, network.backbone)


def child(args: dict[str, Any]) -> None:
    """Fit one head and print its seconds and largest resident size; its held-out probabilities go to a file."""
    root, spec, hashes, labels = pickle.loads(Path(args["world"]).read_bytes())
    blocks = [tuple(block) for block in args["blocks"]]
    train, held_out = (np.flatnonzero((np.arange(len(labels)) % HELD_OUT == 0) == part) for part in (False, True))
    bank = open_bank(Path(root), spec)
    table = Repeated(BankTable((bank,), [hashes[row] for row in train], blocks), args["times"])
    of_all, num_classes = np.tile(labels[train], args["times"]), int(labels.max()) + 1
    rotation.drawn_rows = lambda n, most: drawn_rows(n // args["times"], most)  # one problem, however often it is read
    start, before = time.perf_counter(), peak_gib()
    if args["how"] == "streamed":
        head = fit_streamed(table, of_all, l2=L2, num_classes=num_classes)
    else:
        if args["how"] == "tight":
            linear.solve_path = lambda *a, **b: solve_path(*a, **b | {"tolerance": streamed.STREAMED_TOLERANCE})
        head = fit_linear(table, of_all, l2=L2, num_classes=num_classes)
    seconds, peak = time.perf_counter() - start, peak_gib()
    logits = head.logits(bank.read([hashes[row] for row in held_out], blocks))
    np.save(args["out"], softmax(logits.astype(np.float64), axis=1))
    print(json.dumps({"seconds": seconds, "peak_gib": peak, "before_gib": before}))


def peak_gib() -> float:
    """Return the largest resident size of this process so far."""
    return peak_bytes() / (1 << 30)


def fitted(world_file: Path, folder: Path, **args: Any) -> tuple[dict[str, float], Floats]:
    """Return what a child process says of one fit, and its held-out probabilities."""
    out = folder / "shares.npy"
    asked = json.dumps({"world": str(world_file), "out": str(out), **args})
    done = subprocess.run([sys.executable, __file__, "--child", asked], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


def measure_fits(world: World, folder: Path, *, blocks: Sequence[Block], name: str, times: Sequence[int]) -> None:
    """Record memory and time of fits of more and more rows, and how far they are from what memory gives."""
    world_file = folder / "world.pickle"
    hashes = [sample.sha256 for sample in world.dataset.samples]
    facts = (str(world.bank.directory.parent.parent), world.bank.spec, hashes, world.dataset.labels)
    world_file.write_bytes(pickle.dumps(facts))
    held, shares_held = fitted(world_file, folder, blocks=blocks, times=1, how="held")
    tight, shares_tight = fitted(world_file, folder, blocks=blocks, times=1, how="tight")
    usual, peaks = np.abs(shares_held - shares_tight), {}
    what = f"{name}: in memory as by default, against solved as exactly"
    record(SUITE, what, float(usual.max()), note=f"mean {usual.mean():.1e}")
    for times_over in times:
        told, shares = fitted(world_file, folder, blocks=blocks, times=times_over, how="streamed")
        off, of_usual = np.abs(shares - shares_tight), np.abs(shares - shares_held)
        what, peaks[times_over] = f"{name}, {times_over * len(world.rows(held_out=False)):,} rows", told["peak_gib"]
        record(
            SUITE,
            f"{what}: largest difference of held-out probabilities from memory",
            float(off.max()),
            reach="≤ 0.001",
            note=f"mean {off.mean():.1e}; from memory as by default {of_usual.max():.1e}, mean {of_usual.mean():.1e}",
        )
        alike = float((shares.argmax(axis=1) == shares_held.argmax(axis=1)).mean())
        record(SUITE, f"{what}: held-out rows of the same class as in memory", 100 * alike, unit="%")
        note = f"{told['before_gib']:.2f} GiB before the fit; {told['seconds']:.0f} s"
        record(SUITE, f"{what}: largest resident size", told["peak_gib"], unit="GiB", reach="≤ 4", note=note)
    growth = peaks[max(times)] - peaks[min(times)]
    record(SUITE, f"{name}: memory that {max(times)} times the rows add", growth, unit="GiB", reach="≤ 0.3")
    if max(times) * len(world.rows(held_out=False)) * world.table(world.rows(held_out=True), blocks).shape[1] < 1 << 30:
        told, shares = fitted(world_file, folder, blocks=blocks, times=max(times), how="held")
        record(
            SUITE,
            f"{name}, the same rows in memory: largest resident size",
            told["peak_gib"],
            unit="GiB",
            note=f"{told['seconds']:.0f} s; {held['seconds']:.0f} and {tight['seconds']:.0f} s of the rows once",
        )


def measure_ranking(world: World, *, sizes: Sequence[int], draws: int) -> None:
    """Record what the winner of a sample loses on all rows, beside what the sample says of it."""
    if world.backbone is None:
        return
    split = make_split(world.dataset, num_folds=3, num_repeats=1, hold_out=False)

    def ranked(split: Split) -> Any:
        facts = {"dataset": world.dataset, "split": split, "options": CompareOptions()}
        return leaderboard_of(answer_frozen(world.bank, world.backbone, **facts)).leaderboard

    whole = ranked(split)
    by_name = {trial.name: trial for trial in whole.trials}
    best = whole.trials[whole.winner]
    record(SUITE, f"winner on all {len(split.pool):,} rows", f"{best.name}: {best.mean:.4f}", group="ranking")
    for size in sizes:
        lost, held, same, widths = [], [], [], []
        for draw in range(draws):
            board = ranked(sampled_split(world.dataset, replace(split, seed=draw), most=size))
            chosen, rivals = board.trials[board.winner], board.trials[1:6]
            same.append(chosen.name == best.name)
            lost.append(best.mean - by_name[chosen.name].mean)
            leader = by_name[board.trials[0].name]
            for trial in rivals:
                truth = by_name[trial.name].mean - leader.mean
                held.append(trial.difference_low <= truth <= trial.difference_high)
                widths.append((trial.difference_high - trial.difference_low) / 2)
        note = (
            f"at most {100 * max(lost):.2f}; the same winner in {sum(same)}; half-width of the paired intervals of the "
            f"next five {100 * np.mean(widths):.2f}, which hold that on all rows in {100 * np.mean(held):.0f} %"
        )
        what = f"ranked on {size:,} rows, {draws} draws: what its winner loses on all rows"
        record(SUITE, what, 100 * float(np.mean(lost)), unit="points", group="ranking", note=note)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="prove in seconds that this runs")
    parser.add_argument("--bank", type=Path, help="cache that holds the rows of CIFAR-10 or is to hold them")
    parser.add_argument("--only", choices=("fits", "ranking"), help="a part of it")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        world = quick_world(folder) if args.quick else real_world(args.bank)
        if args.only != "ranking":
            last = world.bank.spec.blocks[-1] if args.quick else next(b for b in world.bank.spec.blocks if b[2] == 1280)
            measure_fits(world, folder, blocks=[last[:2]], name="last cut", times=(1, 2) if args.quick else (1, 3, 10))
            if not args.quick:
                fused = [block[:2] for block in world.bank.spec.blocks if block[0] >= 8]
                measure_fits(world, folder, blocks=fused, name="nine cuts fused", times=(1, 10))
        if args.only != "fits":
            measure_ranking(world, sizes=SAMPLES, draws=DRAWS)


if __name__ == "__main__":
    main()
