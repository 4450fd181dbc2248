"""How far does it scale? A simulated cluster, tuning by two machines against one process, and what sizes cost.

`python benchmarks/cluster.py` records; `--only simulation | tuning | extraction | sizing` runs a part. In the
simulation the product's own code (`work/cluster/shard_pass.py`) passes shards out to real workers of Ray that sleep for
as long as a shard was measured to take. Two machines are two of Ray's on this one, a processor each. `--sizing` writes
the table of docs/scale.md again, from the newest records. Extraction by two workers is `cluster_extraction.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np
import psutil

from pictures import DATA, fewer, need
from record import RESULTS, is_quick, record
from thawline.core.options import Options
from thawline.core.progress import SilentProgress
from thawline.core.runtime import choose_runtime, num_workers
from thawline.data.check import check
from thawline.data.dataset import LedgerRow, Sample
from thawline.data.sources.places import Place
from thawline.features.extract import bank_spec, extract, segment_rows
from thawline.features.network import load_backbone
from thawline.train.budget import try_named
from thawline.train.folds import final_model
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.work.cluster.machines import Cluster
from thawline.work.cluster.ray_connection import connected, require_ray
from thawline.work.cluster.shard_pass import ShardPass
from thawline.work.order import Order
from thawline.work.recipe import rows_of_plans
from thawline.work.rows import candidates_of
from thawline.work.session import compare_frozen, open_session

SHARD = 256
PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- sizing: python benchmarks/cluster.py --sizing -->", "<!-- end of sizing -->"

CORE_HOUR, GB_MONTH = 0.04, 0.02
"""Dollars, assumed: a processor for an hour, a gigabyte in an object store for a month."""
PICTURE_BYTES = 100_000
"""Of a picture's file, assumed."""
DRIVER_BYTES = 64e9
"""Memory of the machine that gives the command, assumed."""
USUAL = 0.95
"""Of linear, where sizes alone are asked for."""
SIZES = ((1_000_000, 16), (10_000_000, 64), (1_000_000_000, 1024))


@dataclass(frozen=True)
class Measured:
    """What one processor of this machine takes.

    Attributes:
        pictures_s: Pictures that a worker reads, runs and stores a second.
        checked_s: Pictures that `check` looks at a second, by all processors of the machine that gives the command.
        row_bytes: Of a picture in the bank.
        driver_bytes: Of a picture in the memory of the process that gives the command.
        efficiency: Of 64 workers, of linear.
    """

    pictures_s: float
    checked_s: float
    row_bytes: int
    driver_bytes: float
    efficiency: float


class Sleeper:
    """A worker that takes as long as one that works; an actor."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def prepare(self) -> Any:
        """Say that it is there."""
        return SimpleNamespace(kind="", text="", num_stored=0, unreadable=None)

    def read(self, shard: list[Any]) -> Any:
        """Sleep, and say that all of a shard is stored."""
        time.sleep(self.seconds)
        return SimpleNamespace(kind="", text="", num_stored=len(shard), unreadable=None)


def drawn_shards(count: int) -> Iterator[list[tuple[str, str]]]:
    """Yield so many shards of names and hashes, each made when it is asked for."""
    for number in range(count):
        yield [(f"pictures/{number:08}/{row:03}.jpg", f"{number * SHARD + row:064x}") for row in range(SHARD)]


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Yield a list whose one number is the largest resident memory of this process meanwhile, in MiB."""
    this, is_over = psutil.Process(), threading.Event()
    peak = [this.memory_info().rss / 2**20]

    def watch() -> None:
        while not is_over.wait(0.05):
            peak[0] = max(peak[0], this.memory_info().rss / 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def passed(ray: Any, cluster: Cluster, *, workers: int, num_shards: int, seconds: float) -> tuple[float, float]:
    """Return (wall seconds, MiB that this process grew by) of a pass over shards by sleeping workers of Ray."""
    actor = ray.remote(num_cpus=0)(Sleeper)
    ready = [actor.remote(seconds) for _ in range(workers)]
    ray.get([one.prepare.remote() for one in ready])
    work = ShardPass(ray, cluster, start=ready.pop, num_workers=workers, progress=SilentProgress())
    before = psutil.Process().memory_info().rss / 2**20
    with peak_memory() as peak:
        start = time.perf_counter()
        work.run(drawn_shards(num_shards), lambda done: None)
        return time.perf_counter() - start, peak[0] - before


def simulation(shard_s: float) -> float:
    """Record how far sleeping workers are from linear, and the memory of the command; return the efficiency of most."""
    efficiency, ray = 1.0, require_ray("benchmark")
    with connected("local") as cluster:
        for workers in fewer((8, 64), (2, 4)):
            num_shards = workers * fewer(20, 4)
            wall_s, _ = passed(ray, cluster, workers=workers, num_shards=num_shards, seconds=shard_s)
            efficiency = num_shards * shard_s / (workers * wall_s)
            what = f"a simulated cluster of {workers} workers, of linear"
            note = f"{num_shards:,} shards of {SHARD} pictures at {shard_s:.2f} s took {wall_s:.1f} s"
            record("cluster", what, round(efficiency, 3), reach="≥ 0.9", note=note)
        grown = {}
        for count in fewer((100_000, 1_000_000, 10_000_000), (10_000, 20_000)):
            wall_s, grown[count] = passed(ray, cluster, workers=8, num_shards=-(-count // SHARD), seconds=0.0)
            what, note = f"memory that passing out {count:,} items takes", f"{count / wall_s:,.0f} items a second"
            record("cluster", what, round(grown[count], 1), unit="MiB", note=note)
    more = grown[max(grown)] - grown[min(grown)]
    what = f"memory that {max(grown):,} items take beyond that of {min(grown):,}"
    record("cluster", what, round(more, 1), unit="MiB", reach="≤ 20")
    return efficiency


def measured_shard() -> tuple[float, float, int, float]:
    """Return what `Measured` has of one processor: pictures a second, checked a second, row bytes, driver bytes."""
    photos = DATA / "monkeys" / "training"
    need(photos)
    start = time.perf_counter()
    dataset, _ = check(photos, Options(limit=fewer(60, 6)))
    checked_s = len(dataset) / (time.perf_counter() - start)
    network, runtime = load_backbone("efficientnet_lite0"), choose_runtime("cpu")
    os.environ["THAWLINE_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as cache:
        done = extract(dataset, network, runtime=runtime, cache=Path(cache))
    del os.environ["THAWLINE_THREADS"]
    spec = bank_spec(network.backbone, runtime, poolings=("mean", "std"), storage="float16")
    print(f"a segment has {segment_rows(spec.row_bytes):,} rows of {spec.row_bytes:,} bytes")
    return done.num_extracted / done.seconds, checked_s, spec.row_bytes, driver_bytes()


def driver_bytes(count: int = 50_000) -> float:
    """Return the bytes that a picture takes in the command's memory: its sample, its row of the ledger, its place."""
    before = psutil.Process().memory_info().rss
    kept: list[tuple[Sample, LedgerRow]] = []
    for number in range(count):
        name, sha256 = f"class/{number:09}.jpg", f"{number:064x}"
        source: Any = SimpleNamespace(path=Path(f"/d/{name}"))
        facts = {"size_bytes": PICTURE_BYTES, "width_px": 640, "height_px": 480, "format": "JPEG", "label": "class"}
        ledger = LedgerRow(path=name, status="used", reason="", sha256=sha256, split="", group=number, **facts)
        kept.append((Sample(name, 0, sha256, None, number, source), ledger))
    return (psutil.Process().memory_info().rss - before) / len(kept)


def tuning(scratch: Path) -> None:
    """Record how far two machines that train together are from one process, on the same batches."""
    ray = require_ray("benchmark")
    from ray.cluster_utils import Cluster as Machines

    from thawline.work.cluster.trainers import ClusterCrew

    photos = DATA / "monkeys" / "training"
    need(photos)
    options = Options(limit=40, folds=2, repeats=1, cache_dir=scratch / "cache")
    training = TrainOptions(epochs=2, score_folds=2)
    rows = rows_of_plans([parse_plan("all"), parse_plan("last 20 %")])
    order = Order(Place.of(photos), rows=rows, options=options, training=training)
    os.environ["THAWLINE_THREADS"] = "1"

    def answered(name: str, crew: bool) -> tuple[Any, Any, float, float]:
        compared = compare_frozen(open_session(order, scratch / name))
        if crew:
            context = compared.session.context
            crewed = replace(context, machine=replace(context.machine, crew=ClusterCrew(context)))
            compared = replace(compared, session=replace(compared.session, context=crewed))
        start = time.perf_counter()
        tried = try_named([one for _, one in candidates_of(compared, rows)])
        folds_s, start = time.perf_counter() - start, time.perf_counter()
        trained = final_model(tried[0].plan, tried[0].candidate.ground)[2]
        if crew:
            compared.session.context.machine.crew.close()  # type: ignore[union-attr]
        return tried, trained, folds_s, time.perf_counter() - start

    alone = answered("alone", crew=False)
    os.environ["RAY_AUTH_TOKEN"] = "a" * 64
    cluster = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    try:
        both = answered("both", crew=True)
    finally:
        ray.shutdown()
        cluster.shutdown()
    curves = [np.array(one[1].curve.train_loss) for one in (alone, both)]
    gap = float(np.max(np.abs(curves[1] / curves[0] - 1)))
    note = f"{len(curves[0])} epochs of all layers; {alone[3]:.0f} s by one processor, {both[3]:.0f} s by two machines"
    record("cluster", "two machines that train together, loss curve against one process", f"{gap:.1e}",
           reach="≤ 1e-3", holds=gap <= 1e-3, note=note)  # fmt: skip
    folds = [[fold.logits for one in run[0] for fold in one.folds] for run in (alone, both)]
    same = all(np.array_equal(mine, its) for mine, its in zip(*folds, strict=True))
    note = f"{alone[2]:.0f} s by one processor, {both[2]:.0f} s by two machines, both starting included"
    record("cluster", "plans and folds side by side, held-out answers", "equal to the bit" if same else "differ",
           reach="equal", holds=same, note=note)  # fmt: skip


def newest() -> Measured | None:
    """Return what the newest records say, or None where something was not measured."""
    file = RESULTS / "cluster.jsonl"
    facts: dict[str, Any] = {}
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        facts |= json.loads(line)["facts"].get("measured", {})
    return Measured(**facts) if len(facts) == 5 else None


def sizing(of: Measured) -> list[str]:
    """Return the table of sizes in Markdown: hours, bytes and money of each, and what breaks first."""
    columns = ("pictures", "processors", "checking", "extraction", "files", "rows", "computing", "rows, a month")
    lines = [f"| {' | '.join(columns)} | the command's memory | what breaks first |", "|---" * 10 + "|"]
    for count, workers in SIZES:
        hours = count / (of.pictures_s * workers * of.efficiency) / 3600
        checking = count / of.checked_s / 3600
        rows, files, memory = count * of.row_bytes, count * PICTURE_BYTES, count * of.driver_bytes
        cells = (
            f"{count:,}",
            f"{workers:,}",
            spoken_h(checking),
            spoken_h(hours),
            spoken_b(files),
            spoken_b(rows),
            f"${hours * workers * CORE_HOUR:,.2f}",
            f"${rows / 1e9 * GB_MONTH:,.2f}",
            spoken_b(memory),
            breaks_first(hours, checking=checking, memory=memory),
        )
        lines.append(f"| {' | '.join(cells)} |")
    facts = (
        f"Reckoned from: {of.pictures_s:.0f} pictures a second and processor, {of.checked_s:,.0f} checked a second by "
        f"one machine, {of.row_bytes:,} bytes a row, {of.driver_bytes:,.0f} bytes a picture in the command's memory, "
        f"{of.efficiency:.2f} of linear. Assumed: {PICTURE_BYTES // 1000} kB a file, ${CORE_HOUR} a processor and "
        f"hour, ${GB_MONTH} a GB and month, {spoken_b(DRIVER_BYTES)} of memory for the command."
    )
    return [*lines, "", facts]


def breaks_first(hours: float, *, checking: float, memory: float) -> str:
    """Return what a run of a size meets first."""
    if memory > DRIVER_BYTES:
        return "memory of the command: its list of pictures does not fit; run parts of the pictures into one store"
    if checking > hours:
        return "checking, by one machine, takes longer than extraction"
    return "nothing: it is a matter of hours"


def spoken_h(hours: float) -> str:
    """Return hours as a person says them."""
    return f"{60 * hours:,.0f} min" if hours < 2 else f"{hours:,.0f} h" if hours < 96 else f"{hours / 24:,.0f} days"


def spoken_b(count: float) -> str:
    """Return bytes as a person says them."""
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.3g} {unit}"
    return f"{count / 1e6:,.0f} MB"


def write_table(of: Measured) -> None:
    """Put the table of sizes into docs/scale.md, between its marks."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(sizing(of)) + f"\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="see in seconds that it runs; figures mean nothing")
    parser.add_argument("--only", choices=("simulation", "tuning", "extraction", "sizing"), help="one part")
    parser.add_argument("--shard-s", type=float, help="seconds of a simulated shard, instead of those measured")
    parser.add_argument("--sizing", action="store_true", help="write the table of docs/scale.md from the records")
    asked = parser.parse_args()
    if asked.sizing:
        found = newest()
        if found is None:
            raise SystemExit(
                "cluster: nothing was recorded yet. Run python benchmarks/cluster.py --only simulation first."
            )
        write_table(found)
        return
    if asked.only in (None, "simulation", "sizing"):
        pictures_s, checked_s, row_bytes, per_picture = measured_shard()
        efficiency = (
            simulation(asked.shard_s or (0.2 if is_quick() else SHARD / pictures_s)) if asked.only != "sizing" else 0.95
        )
        of = Measured(round(pictures_s, 1), round(checked_s, 1), row_bytes, round(per_picture), round(efficiency, 3))
        record("cluster", "pictures a second and processor", of.pictures_s, measured=vars(of),
               note=f"{num_workers()} processors here; a worker has one")  # fmt: skip
        print("\n".join(sizing(of)))
    if asked.only == "tuning" or (asked.only is None and not is_quick()):
        with tempfile.TemporaryDirectory() as scratch:
            tuning(Path(scratch))
    extraction = Path(__file__).with_name("cluster_extraction.py")
    if asked.only in (None, "extraction") and extraction.is_file() and not is_quick():
        subprocess.run([sys.executable, str(extraction)], check=True)


if __name__ == "__main__":
    main()
