"""The whole `fit` from the shell, at 1,000 to 60,000 pictures and again: `python benchmarks/growth_of_time.py`.

CIFAR-10 as PNG in class folders, train and test together, drawn by a fixed seed; Thawline holds the test out itself.
Each size has a cache of its own, so nothing is known beforehand; the second run finds all of it. Time should grow as
the number of pictures does: the slope of its logarithm on theirs is recorded, of the whole and of each part. What does
not grow (starting Python) pulls the slope down.

Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project), and 4 GB on the disk at 60,000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pictures import DATA, need
from record import is_quick, record

SIZES = (1_000, 5_000, 20_000, 60_000)
QUICK_SIZES = (60, 120)
KEPT = ("label", "image")
FEWEST_S = 0.5
"""A part that takes less at the largest size has no slope worth telling."""


@dataclass(frozen=True)
class Took:
    """One run: wall seconds from the shell, its parts, and the most memory that it held."""

    wall_s: float
    memory_gib: float
    parts: dict[str, float]


def drawn(source: Path, folder: Path, size: int) -> None:
    """Write so many pictures of a folder of Parquet files into class folders, the same number of every class."""
    tables = [parquet.read_table(file) for file in sorted(source.glob("*.parquet"))]
    rows = [(label, row["bytes"]) for table in tables for label, row in zip(*map(column_of(table), KEPT), strict=True)]
    labels = np.array([label for label, _ in rows])
    rng, names = np.random.default_rng(0), np.unique(labels)
    for name in names.tolist():
        (folder / str(name)).mkdir(parents=True)
        for place in rng.permutation(np.flatnonzero(labels == name))[: size // len(names)].tolist():
            (folder / str(name) / f"{place:05d}.png").write_bytes(rows[place][1])


def column_of(table: pa.Table) -> Callable[[str], list[Any]]:
    """Return what reads a column of a table."""
    return lambda name: table[name].to_pylist()


def run(photos: Path, root: Path) -> Took:
    """Return what `thawline fit` takes from the shell, with the cache in `root`."""
    command = [sys.executable, "-m", "thawline", "fit", str(photos), "--out", str(root / "run"), "--replace"]
    environment = {**os.environ, "THAWLINE_CACHE": str(root / "cache")}
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"thawline fit ended with {process.returncode}")
    seconds = json.loads((root / "run" / "run.json").read_text(encoding="utf-8"))["seconds"]
    parts = {name.removesuffix("_s"): value for name, value in seconds.items() if name != "total_s"}
    parts["start and end"] = wall_s - seconds["total_s"]
    return Took(wall_s, used.ru_maxrss / 2**20, parts)


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Return the slope of the logarithm of time on that of size."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 1e-3)), 1)[0])


def main() -> None:
    """Measure every size, cold and again, and record times, memory and slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small sizes, nothing is recorded")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"numbers of pictures; default: {SIZES}")
    given = parser.parse_args()
    sizes = sorted(given.sizes or (QUICK_SIZES if is_quick() else SIZES))
    need("cifar10")
    cold, again = [], []
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            drawn(DATA / "cifar10", root / "photos", size)
            first, second = run(root / "photos", root), run(root / "photos", root)
        cold.append(first)
        again.append(second)
        note = ", ".join(f"{name} {value:.1f}" for name, value in first.parts.items() if value >= 0.1)
        what = f"fit, {size:,} pictures"
        record("growth_of_time", what, round(first.wall_s, 1), unit="s", note=f"{first.memory_gib:.1f} GiB; {note}")
        note = ", ".join(f"{name} {value:.1f}" for name, value in second.parts.items() if value >= 0.1)
        record("growth_of_time", f"{what}, again", round(second.wall_s, 1), unit="s", note=note)
    if len(sizes) < 2:
        return
    whole = [took.wall_s for took in cold]
    points = [[size, seconds] for size, seconds in zip(sizes, whole, strict=True)]
    steps = [
        f"{slope(sizes[at : at + 2], whole[at : at + 2]):.2f} from {sizes[at]:,} to {sizes[at + 1]:,}"
        for at in range(len(sizes) - 1)
    ]
    record(
        "growth_of_time",
        "slope of log time on log pictures, whole fit",
        round(slope(sizes, whole), 2),
        reach="0.95–1.05",
        note="; ".join(steps),
        points=points,
        line="whole fit",
        axes=("pictures", "seconds"),
    )
    memory = [took.memory_gib for took in cold]
    record("growth_of_time", "memory at the largest size", round(memory[-1], 1), unit="GiB")
    for name, last in cold[-1].parts.items():
        if last >= FEWEST_S:
            seconds = [took.parts.get(name, 0.0) for took in cold]
            record(
                "growth_of_time", f"slope of {name}", round(slope(sizes, seconds), 2), note=f"{last:.1f} s at the end"
            )


if __name__ == "__main__":
    main()
