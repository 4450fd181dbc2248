"""The comparison against extraction, and screened against exhaustive: `python benchmarks/comparison.py`.

Of each set, features come from the cache (what is missing is extracted), and a few pictures are extracted anew to
time one. The comparison is timed on all pictures as rows of choosing, which is the dearest case: `fit` keeps a fifth
out. With `--exhaustive` it is done a second time without screening, and both choices are printed. Wall and processor
seconds stand side by side: on a busy machine the first is noise. Records a row a set.

Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pictures import DATA, fewer, need
from record import is_quick, record
from thawline.core.options import make_options
from thawline.core.runtime import choose_runtime, num_workers
from thawline.core.store import cache_root
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.split import Split, make_split
from thawline.features.extract import extract
from thawline.features.network import load_backbone, rendering_as
from thawline.search.compare import CompareOptions, Comparison, answer_frozen, leaderboard_of
from thawline.work.session import fold_numbers

SETS = (
    ("monkeys", "cifar10:120")
    if is_quick()
    else ("monkeys", "celebrities", "instruments", "cifar10:200", "cifar10:1000", "cifar10:4000", "cifar10:10000")
)
TIMED = fewer(200, 20)
"""Pictures that are extracted anew."""


@dataclass(frozen=True)
class Took:
    """Wall seconds of a piece of work, and processor seconds of all its threads."""

    wall_s: float
    processor_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s ({self.processor_s:.1f} s)"


def choice_of(comparison: Comparison) -> str:
    """Return the winner and its score."""
    board = comparison.leaderboard
    winner = board.trials[board.winner]
    return f"{winner.name.split(' · ', 1)[1]} {winner.mean:.4f}"


def drawn(dataset: Dataset, count: int | None) -> Dataset:
    """Return `count` pictures drawn by a fixed seed, or all, without parts: every one may be a row of choosing."""
    places = np.arange(len(dataset))
    if count is not None and count < len(places):
        places = np.sort(np.random.default_rng(0).permutation(len(places))[:count])
    return replace(dataset, samples=tuple(replace(dataset.samples[place], split=None) for place in places.tolist()))


def split_of(dataset: Dataset) -> Split:
    """Return the folds that `fit` would draw, with no picture held out."""
    num_folds, num_repeats = fold_numbers(make_options(), len(dataset))
    return make_split(dataset, num_folds=num_folds, num_repeats=num_repeats, hold_out=False)


def measure(name: str, *, options: Sequence[tuple[str, object]], exhaustive: bool) -> None:
    """Record a row: what extraction and comparison of one set take, and what is chosen."""
    folder, _, count = name.partition(":")
    chosen = make_options(**dict(options))
    whole, _ = check(DATA / folder, chosen)
    dataset = drawn(whole, int(count) if count else None)
    network = load_backbone(size_px=chosen.size, crop_share=chosen.crop_share)
    network, runtime = rendering_as(network, whole.rendering), choose_runtime("cpu", chosen.dtype)
    bank = extract(dataset, network, runtime=runtime, cache=cache_root(chosen.cache_dir)).bank
    some = replace(dataset, samples=dataset.samples[:TIMED])
    with tempfile.TemporaryDirectory() as scratch:
        before = time.process_time()
        timed = extract(some, network, runtime=runtime, cache=Path(scratch))
        processor_s = time.process_time() - before
    num_pictures = len({sample.sha256 for sample in dataset.samples})
    pictures = num_pictures / timed.num_extracted
    extraction = Took(timed.seconds * pictures, processor_s * pictures)
    split = split_of(dataset)
    found: dict[bool, tuple[Comparison, Took]] = {}
    for screened in (True, False) if exhaustive else (True,):
        start, before = time.perf_counter(), time.process_time()
        frozen = answer_frozen(
            bank, network.backbone, dataset=dataset, split=split, options=CompareOptions(screened=screened)
        )
        comparison = leaderboard_of(frozen)
        found[screened] = comparison, Took(time.perf_counter() - start, time.process_time() - before)
    first, took = found[True]
    entries, board = first.frozen.answers, first.leaderboard
    ratio = took.wall_s / extraction.wall_s
    cells = [
        f"{name} ({len(dataset):,})",
        str(extraction),
        str(took),
        f"{ratio:.2f} ({took.processor_s / extraction.processor_s:.2f})",
        f"{sum(not entry.sketched for entry in entries)} of {len(entries)}",
        choice_of(first),
    ]
    if exhaustive:
        other, took = found[False]
        tied = [other.leaderboard.trials[place].name for place in other.leaderboard.ties]
        same = "yes" if board.trials[board.winner].name in tied else "**no**"
        cells += [str(took), choice_of(other), same]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    what, *cells = [*cells, f"{peak:.1f} GiB"]
    heads = ["extraction: wall (processor)", "comparison", "÷ extraction", "solved", "choice"]
    heads += ["exhaustive", "its choice", "within its ties"] if exhaustive else []
    row = dict(zip([*heads, "peak memory"], cells, strict=True))
    record("comparison", what, row, reach="≤ 0.75", holds=bool(ratio <= 0.75))


def main() -> None:
    """Record a row a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, help="a folder of the pictures, and `:N` to draw N of them")
    parser.add_argument("--size", type=int)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--crop-share", type=float)
    parser.add_argument("--limit", type=int, help="pictures a class and part that are looked at")
    parser.add_argument("--exhaustive", action="store_true", help="compare without screening too")
    parser.add_argument("--quick", action="store_true", help="drawn pictures: whether it runs")
    asked = parser.parse_args()
    options = [(name, getattr(asked, name)) for name in ("size", "dtype", "crop_share", "limit")]
    need(*{name.partition(":")[0] for name in asked.sets})
    print(f"load {os.getloadavg()[0]:.1f} on {num_workers()} cores")
    for name in asked.sets:
        measure(name, options=options, exhaustive=asked.exhaustive)


if __name__ == "__main__":
    main()
