"""A bank of 1,000,000 simulated rows -> how long it takes to open, to read a row, to verify, to compact, to learn from.

    python benchmarks/bank.py            # 1,000,000 × 1,280 half floats: 2.6 GB in a temporary place, which is removed
    python benchmarks/bank.py --quick    # 20,000 × 64

Opening, reading and learning are measured in processes of their own, so that peak memory is theirs. Files are in the
system's page cache, as after an extraction.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from record import record
from thawline.core.types import Floats, InputSpec, Ints
from thawline.features.bank import BankSpec, FeatureBank, open_bank
from thawline.features.compaction import compact_bank
from thawline.features.segment import write_segment
from thawline.features.verification import verify_bank

CLASSES, SEGMENT_ROWS = 10, 256
ROWS_READ = 200


def spec_of(width: int) -> BankSpec:
    """Return the identity of a bank of one block of so many columns."""
    return BankSpec(
        backbone_name="simulated",
        weights_sha256="0" * 64,
        input=InputSpec(32, (0.5,) * 3, (0.5,) * 3),
        views=("plain",),
        compute="float32",
        storage="float16",
        cuts=(("last", width),),
        poolings=("mean",),
        blocks=((0, "mean", width),),
    )


def digests_of(num: int) -> npt.NDArray[np.uint8]:
    """Return (N, 32) picture hashes: random, as SHA-256 is."""
    return np.random.default_rng(1).integers(0, 256, (num, 32), dtype=np.uint8)


def hashes_of(num: int) -> list[str]:
    """Return the same in hexadecimal digits."""
    text = digests_of(num).tobytes().hex()
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def labels_of(num: int) -> Ints:
    """Return the class of every row."""
    return np.random.default_rng(2).integers(0, CLASSES, num)


def fill(root: Path, num: int, width: int) -> float:
    """Write the bank as an extraction does, 256 rows a segment, and return the seconds that writing took."""
    directory, digests, labels = open_bank(root, spec_of(width)).directory, digests_of(num), labels_of(num)
    centres = np.random.default_rng(3).normal(size=(CLASSES, width)).astype(np.float32) * 0.1
    generator, took_s = np.random.default_rng(4), 0.0
    for at in range(0, num, SEGMENT_ROWS):
        rows = slice(at, min(at + SEGMENT_ROWS, num))
        noise = generator.standard_normal((rows.stop - at, width), dtype=np.float32)
        made = (centres[labels[rows]] + noise).astype(np.float16)[:, None]
        start = time.perf_counter()
        write_segment(root, directory, digests=digests[rows], rows=made)
        took_s += time.perf_counter() - start
    return took_s


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call took, and what it returned."""
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def opened(root: Path, num: int, width: int) -> dict[str, float]:
    """Return what opening, looking up and reading one row take in a fresh process."""
    before = peak_mb()
    open_s, bank = timed(lambda: open_bank(root, spec_of(width)))
    after = peak_mb()
    hashes = hashes_of(num)
    chosen = np.random.default_rng(5).permutation(num)[:ROWS_READ].tolist()
    rows_s = [timed(lambda at=at: bank.read([hashes[at]], [(0, "mean")]))[0] for at in chosen]
    again_s = [timed(lambda at=at: bank.read([hashes[at]], [(0, "mean")]))[0] for at in chosen]
    find_s, missing = timed(lambda: bank.missing(hashes))
    if missing or len(bank) != num:
        raise SystemExit(f"bank: {len(missing):,} of {num:,} rows are missing.")
    return {
        "open_s": open_s,
        "open_bytes_a_row": (after - before) * 1e6 / num,
        "row_ms": 1000 * statistics.median(rows_s),
        "row_worst_ms": 1000 * max(rows_s),
        "again_ms": 1000 * statistics.median(again_s),
        "find_s": find_s,
    }


class _Table:
    """The bank as the head's fit reads it: rows of a matrix that no memory holds."""

    def __init__(self, bank: FeatureBank, hashes: list[str]) -> None:
        self.bank, self.hashes, self.shape = bank, hashes, (len(hashes), bank.spec.width)

    def __getitem__(self, rows: Any) -> Floats:
        return self.bank.read([self.hashes[row] for row in np.arange(len(self.hashes))[rows].tolist()], [(0, "mean")])

    def parts(self, rows_at_once: int) -> Iterator[tuple[Ints, Floats]]:
        return self.bank.iter_rows(self.hashes, [(0, "mean")], rows_at_once=rows_at_once)


def learnt(root: Path, num: int, width: int) -> dict[str, float]:
    """Return what learning a linear head from all rows takes in a fresh process, by the product's own fit."""
    fit_streamed = importlib.import_module("thawline.heads.streamed").fit_streamed
    table, labels = _Table(open_bank(root, spec_of(width)), hashes_of(num)), labels_of(num)
    fit_s, head = timed(lambda: fit_streamed(table, labels, l2=1e-4, num_classes=CLASSES))
    some = np.arange(min(num, 10_000))
    accuracy = float((head.logits(table[some]).argmax(axis=1) == labels[some]).mean())
    return {"fit_s": fit_s, "peak_gb": peak_mb() / 1000, "accuracy": accuracy}


PARTS = {"opened": opened, "learnt": learnt}


def in_a_process(part: str, *words: object) -> dict[str, float]:
    """Return what a part measured in a process of its own."""
    command = [sys.executable, __file__, "--part", part, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bank: {part} ended with {done.returncode}: {done.stderr[-2000:]}")
    return {name: float(value) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def measure(root: Path, num: int, width: int) -> None:
    """Fill a bank, measure and record."""
    spec = spec_of(width)
    form: dict[str, Any] = {"storage": spec.storage, "shape": (1, width)}
    directory, mib = root / "banks" / spec.key, num * spec.row_bytes / 2**20
    size = f"{num:,} × {width:,} half floats, {mib:,.0f} MiB"
    fill_s = fill(root, num, width)
    record("bank", "written as an extraction does, 256 rows a segment", fill_s, unit="s", note=f"{size}, one thread")
    first_s, _ = timed(lambda: open_bank(root, spec))
    num_small = len(list((directory / "segments").iterdir()))
    record("bank", "opened for the first time, without an index", first_s, unit="s", note=f"{num_small:,} segments")
    compact_s, done = timed(lambda: compact_bank(root, directory, **form))
    facts = f"{done.num_before:,} → {done.num_after:,} segments, {mib / compact_s:,.0f} MiB/s"
    record("bank", "compacted", compact_s, unit="s", note=facts)
    found = in_a_process("opened", root, num, width)
    record("bank", "opened", found["open_s"], unit="s", reach="≤ 0.2 s", note=size)
    record("bank", "memory of opening, a row", found["open_bytes_a_row"], unit="bytes")
    (index,) = (directory / "index").glob("*/*")
    record("bank", "index on disk, a row", index.stat().st_size / num, unit="bytes")
    worst, again = found["row_worst_ms"], found["again_ms"]
    note = f"median of {ROWS_READ} scattered rows; the slowest, which opens the segment's files, {worst:.2f} ms; "
    record("bank", "one row, verified", found["row_ms"], unit="ms", reach="≤ 1 ms", note=f"{note}again {again:.2f} ms")
    record("bank", "which of all pictures are missing", found["find_s"], unit="s", note=f"{num:,} hashes looked up")
    verify_s, verified = timed(lambda: verify_bank(root, directory, **form))
    if not verified.is_whole:
        raise SystemExit(f"bank: {verified}")
    record("bank", "every row verified", verify_s, unit="s", note=f"{mib / verify_s:,.0f} MiB/s, one thread")
    if importlib.util.find_spec("thawline.heads.streamed") is None:
        sys.stdout.write(
            "- a head from all rows: not measured: no head is fitted in passes yet, and one in memory holds 10 GB\n"
        )
        return
    learning = in_a_process("learnt", root, num, width)
    note = f"{learning['fit_s']:,.0f} s, {learning['accuracy']:.3f} of 10,000 of its rows right"
    record("bank", "peak memory of a head from all rows", learning["peak_gb"], unit="GB", reach="≤ 4 GB", note=note)


def main() -> None:
    """Measure in a temporary place, or one part in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 rows of 64 columns; figures mean nothing")
    parser.add_argument("--part", nargs=4, metavar=("PART", "ROOT", "ROWS", "WIDTH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part, root, num, width = given.part
        sys.stdout.write(json.dumps(PARTS[part](Path(root), int(num), int(width))) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="thawline-bank-") as place:
        measure(Path(place), *((20_000, 64) if given.quick else (1_000_000, 1280)))


if __name__ == "__main__":
    main()
