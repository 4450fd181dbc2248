"""Benchmarks in turn, a line each: `make bench` those of speed, `make bench-answers`, `make bench-quick` all, quickly.

One idea: a benchmark is every `benchmarks/*.py` that accepts `--quick`; nobody keeps a list of them. A quick form takes
seconds on a few drawn pictures and fails only where code is broken; two run at a time, their figures mean nothing. Full
ones run one after another and record what they measure; then RESULTS.md is written. One that lacks pictures,
packages or hardware ends with SKIPPED and its reason.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from record import SKIPPED
from thawline.core.runtime import num_workers

HERE = Path(__file__).resolve().parent
GROUPS = {
    "answers": (
        "abstaining",
        "calibration",
        "cheats",
        "coverage",
        "heat",
        "learning_curve",
        "newcomer",
        "outsiders",
        "suspects",
    ),
    "cluster": ("cluster", "cluster_extraction"),
    "peers": ("against_peers",),
    "vast": ("vast",),
}
"""Benchmarks of other things than speed, and those that take an hour by themselves: each group is asked for by name."""
MINUTES = {
    "abstaining": 9,
    "against_peers": 90,
    "bank": 4,
    "calibration": 25,
    "celebrity_sweep": 4,
    "cheats": 25,
    "cluster": 8,
    "cluster_extraction": 10,
    "comparison": 12,
    "coverage": 10,
    "exports": 12,
    "floor": 10,
    "growth_of_time": 10,
    "heat": 8,
    "learning_curve": 40,
    "main_job": 12,
    "newcomer": 6,
    "outsiders": 3,
    "photos": 2,
    "prediction": 3,
    "same_answers": 6,
    "service": 8,
    "suspects": 12,
    "thaw": 20,
    "vast": 60,
}
"""What a full run takes on two cores, about."""
SHORTER = {
    "coverage": ("--case", "200", "--draws", "40"),
    "growth_of_time": ("--sizes", "1000", "5000", "20000"),
    "learning_curve": ("--draws", "4"),
    "thaw": ("--only", "cached", "--only", "live", "--only", "full", "--repeats", "3"),
}
"""Of what takes hours as a whole, the part that is run here."""
_ACCEPTS = re.compile(r"add_argument\(\s*\"--quick\"")
LIMIT_S = 600.0
"""What a quick form may take before it counts as one that hangs."""


@dataclass(frozen=True)
class Ran:
    """How a benchmark ended: its code, what it wrote, and the seconds that it took."""

    name: str
    code: int
    text: str
    took_s: float


def benchmarks() -> list[str]:
    """Return the names of all benchmarks: the scripts that accept `--quick`."""
    scripts = sorted(HERE.glob("*.py"))
    return [path.stem for path in scripts if _ACCEPTS.search(path.read_text("utf-8")) and path.stem != "run_all"]


def run_quick(name: str, folder: str) -> Ran:
    """Run a quick form and return how it ended."""
    start = time.perf_counter()
    environment = {**os.environ, "THAWLINE_QUICK": folder, "THAWLINE_CACHE": f"{folder}/cache", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / f"{name}.py"), "--quick"]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        code, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        code, text = 124, f"{(error.stdout or b'').decode(errors='replace')}\nit did not end within {LIMIT_S:g} s"
    return Ran(name, code, text, time.perf_counter() - start)


def line_of(ran: Ran) -> str:
    """Return what is printed of a benchmark: its last lines where it failed."""
    lines = ran.text.strip().splitlines() or ["it wrote nothing"]
    if ran.code == SKIPPED:
        return f"skip    {ran.name}: {lines[-1].removeprefix('skipped: ')}"
    figures = sum(line.startswith("- ") for line in lines)
    if ran.code == 0:
        return f"ok      {ran.name}: {figures} figures, {ran.took_s:.0f} s"
    return f"FAILED  {ran.name}: code {ran.code}, {ran.took_s:.0f} s\n" + "\n".join(f"        {x}" for x in lines[-12:])


def quick(names: list[str]) -> int:
    """Run all quick forms, two at a time; return how many failed."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="thawline-quick-") as folder, ThreadPoolExecutor(2) as pool:
        os.environ["THAWLINE_QUICK"] = folder
        from pictures import drawn, fitted

        fitted(Path(folder) / "run")
        print(
            f"bench: {len(names)} quick forms on the drawn pictures of {len(list(drawn().iterdir()))} sets", flush=True
        )
        failed = 0
        for ran in pool.map(lambda name: run_quick(name, folder), names):
            print(line_of(ran), flush=True)
            failed += ran.code not in {0, SKIPPED}
    print(f"bench: {len(names)} quick forms, {failed} failed, {time.perf_counter() - start:.0f} s", flush=True)
    return failed


def of_group(group: str | None) -> list[str]:
    """Return the names of a group's benchmarks; without a group, of those that are in none: the ones of speed."""
    if group:
        return list(GROUPS[group])
    return sorted(set(benchmarks()).difference(*GROUPS.values()))


def full(names: list[str]) -> int:
    """Run benchmarks one after another, writing as they go; return how many failed."""
    minutes = sum(MINUTES[name] for name in names)
    print(f"bench: {len(names)} benchmarks, about {minutes} minutes on two cores; you have {num_workers()}.")
    for name in names:
        if name in SHORTER:
            print(f"bench: of {name} the part {' '.join(SHORTER[name])}; the rest takes hours")
    failed = []
    for name in names:
        print(f"\nbench: {name}, about {MINUTES[name]} minutes", flush=True)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *SHORTER.get(name, ())], check=False)
        if done.returncode not in {0, SKIPPED}:
            print(f"bench: {name} ended with code {done.returncode}", flush=True)
            failed.append(name)
    subprocess.run([sys.executable, str(HERE / "write_results.py")], check=True)
    print(f"\nbench: {len(names) - len(failed)} of {len(names)} ran; benchmarks/RESULTS.md shows what they measured")
    return len(failed)


def main() -> None:
    """Run what is asked for; end with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of benchmarks; default: those of speed, and with --quick all")
    parser.add_argument("--group", choices=sorted(GROUPS), help="instead of names")
    parser.add_argument("--quick", action="store_true", help="whether all run, in minutes; nothing is recorded")
    asked = parser.parse_args()
    if asked.quick:
        sys.exit(1 if quick(asked.names or benchmarks()) else 0)
    sys.exit(1 if full(asked.names or of_group(asked.group)) else 0)


if __name__ == "__main__":
    main()
