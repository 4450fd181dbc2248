"""Random `kill -9` of a worker, the driver or the head of a cluster -> does the same command end with the same bytes?

    python benchmarks/attack/cluster_kills.py             # 20 kills of each
    python benchmarks/attack/cluster_kills.py --number 1

Prints one line a victim; exit code 1 on a miss. A worker's death must not end the command at all.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from thawline.data.digits import write_digits

DEADLINE_S = 1800.0
VICTIMS = ("worker", "driver", "head")


def start(photos: Path, cache: Path, *, is_shared: bool = True) -> subprocess.Popen[bytes]:
    """Start the command as a shell does; its errors go to a file, since a pipe would stay open in what it leaves."""
    words = [sys.executable, "-m", "thawline", "extract", str(photos), "--size", "96", "--cache-dir", str(cache)]
    with (cache.parent / f"{cache.name}.txt").open("wb") as said:
        return subprocess.Popen(
            [*words, *(("--cluster", "local") if is_shared else ())], stdout=subprocess.DEVNULL, stderr=said
        )


def rows_of(cache: Path) -> dict[bytes, bytes]:
    """Return the row of every picture in a cache's only bank, whatever segments it lies in."""
    import numpy as np

    found = {}
    for segment in cache.glob("banks/*/segments/*"):
        digests, rows = (np.load(segment / f"{name}.npy", allow_pickle=False) for name in ("digests", "rows"))
        found |= {digest.tobytes(): row.tobytes() for digest, row in zip(digests, rows, strict=True)}
    return found


def chosen(driver: psutil.Process, victim: str, *, rng: random.Random) -> list[psutil.Process]:
    """Return the process to kill, and everything that the command has started."""
    family = driver.children(recursive=True)
    if victim == "driver":
        return [driver, *family]
    mark = "gcs_server" if victim == "head" else "PictureReader"
    found = [one for one in family if mark in one.name() or mark in " ".join(one.cmdline())]
    return [rng.choice(found), *family] if found else []


def kill(photos: Path, cache: Path, *, victim: str, within_s: float, rng: random.Random) -> tuple[bool, int]:
    """Start the command, kill a victim at a random time; return whether one was there, and how the command ended."""
    process = start(photos, cache)
    driver, family = psutil.Process(process.pid), []
    time.sleep(rng.uniform(0, within_s))
    while process.poll() is None and not family:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = chosen(driver, victim, rng=rng)
    if family:
        with contextlib.suppress(psutil.NoSuchProcess):
            family[0].send_signal(signal.SIGKILL)
    code = process.wait(DEADLINE_S)
    for left in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    return bool(family), code


def main() -> None:
    """Kill, run again, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, misses = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        photos = write_digits(root / "digits")
        began = time.monotonic()
        if start(photos, root / "alone", is_shared=False).wait(DEADLINE_S):
            sys.exit((root / "alone.txt").read_text()[-500:])
        whole_s, wanted = time.monotonic() - began, rows_of(root / "alone")
        for victim in VICTIMS:
            same = hits = 0
            for turn in range(given.number):
                cache = root / f"{victim}{turn}"
                is_hit, code = kill(photos, cache, victim=victim, within_s=whole_s, rng=rng)
                hits += is_hit
                survived = victim != "worker" or code == 0
                again = start(photos, cache).wait(DEADLINE_S)
                same += again == 0 and survived and rows_of(cache) == wanted
            misses += given.number - same
            print(f"{victim}: {given.number} kills ({hits} hit), {same} ended with the same bytes", flush=True)
    sys.exit(misses > 0)


if __name__ == "__main__":
    main()
