"""Two workers of a cluster against one process with two streams -> time, and whether the rows are equal bit by bit.

    python benchmarks/cluster_extraction.py            # 5,000 pictures of CIFAR-10, three times in turn
    python benchmarks/cluster_extraction.py --quick    # 200 pictures, once, no figures kept

Pictures are checked and the network is loaded before the clock starts. The cluster's time is given with its start (Ray,
and a worker that loads torch and the network) and without it, on a cluster that runs already.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from record import SKIPPED, record
from thawline.core.options import Options
from thawline.core.runtime import choose_runtime
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.digits import write_digits
from thawline.features.network import Network, rendering_as
from thawline.work.cluster.extraction import extract_by
from thawline.work.cluster.ray_connection import connected
from thawline.work.networks import load_networks

SUITE = "cluster_extraction"
NUM_PICTURES = 5_000


def files_of(cache: Path) -> dict[str, bytes]:
    """Return every file of the banks in a cache."""
    banks = cache / "banks"
    return {str(path.relative_to(banks)): path.read_bytes() for path in sorted(banks.rglob("*")) if path.is_file()}


def passed(dataset: Dataset, network: Network, *, cache: Path, cluster: str | None) -> float:
    """Return the seconds of a pass into an empty cache."""
    options = Options(cluster=cluster)
    start = time.perf_counter()
    extract_by(options, dataset, network=network, runtime=choose_runtime("cpu"), cache=cache)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    num_times = 1 if given.quick else given.times
    cifar = Path(os.environ.get("THAWLINE_DATA", "../shared/data")) / "cifar10"
    if not given.quick and not cifar.is_dir():
        print(f"cluster_extraction: no pictures in {cifar}; THAWLINE_DATA names another place")
        sys.exit(SKIPPED)
    seconds: dict[str, list[float]] = {"one process": [], "a cluster, started": [], "a running cluster": []}
    is_same = True
    with tempfile.TemporaryDirectory() as folder:
        place = write_digits(Path(folder) / "digits") if given.quick else cifar
        dataset, _ = check(place, Options())
        wanted = 200 if given.quick else NUM_PICTURES
        step = max(1, len(dataset) // wanted)
        dataset = replace(dataset, samples=dataset.samples[::step][:wanted])
        (network,) = load_networks(Options())
        network = rendering_as(network, dataset.rendering)
        for turn in range(num_times):
            caches = {name: Path(folder) / f"{turn} {name}" for name in seconds}
            for name, cache in caches.items():
                cache.mkdir()
                running = connected("local") if name == "a running cluster" else nullcontext()
                with running:
                    cluster = None if name == "one process" else "local"
                    seconds[name].append(passed(dataset, network, cache=cache, cluster=cluster))
            alone, *others = (files_of(cache) for cache in caches.values())
            is_same &= all(other == alone for other in others)
    if not is_same:
        sys.exit("cluster_extraction: rows of the cluster differ from those of one process")
    usual = {name: statistics.median(all_s) for name, all_s in seconds.items()}
    facts = {"pictures": len(dataset), "times": num_times, "quick": given.quick}
    for name, value in usual.items():
        record(SUITE, f"{name}, {len(dataset):,} pictures", round(value, 2), unit="s", **facts)
    for name in ("a running cluster", "a cluster, started"):
        ratio = round(usual[name] / usual["one process"], 3)
        record(SUITE, f"{name} ÷ one process", ratio, reach="≤ 1.1", note="rows equal bit by bit", **facts)


if __name__ == "__main__":
    main()
