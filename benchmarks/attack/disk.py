"""A full disk as cache and as run folder, and a cache that is read-only -> one sentence, and the older run whole?

    python benchmarks/attack/disk.py

Small file systems in memory, in a mount namespace of their own: needs `unshare` and the right to use it. A figure is a
line; exit code 1 on a miss.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from thawline.data.digits import write_digits

LIMIT_S = 600


def said(words: list[str], cache: Path) -> tuple[int, list[str]]:
    """Return exit code and lines that `thawline` wrote about what went wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "thawline", *words],
        env={**os.environ, "THAWLINE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    lines = done.stderr.splitlines()
    wrong = [line for line in lines if line.startswith(("thawline: ", "Traceback", "  File"))]
    return done.returncode, wrong


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return {path: bytes} of all files below."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fill(folder: Path) -> None:
    """Leave no byte free where a folder lies."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def tell(what: str, *, good: bool) -> int:
    """Print a figure and return how many misses it is."""
    sys.stdout.write(f"{what}: {'one sentence, and what was there is whole' if good else 'MISSED'}\n")
    sys.stdout.flush()
    return 0 if good else 1


def inside(place: Path) -> int:
    """Do it, in a mount namespace of our own; return the misses."""
    digits = write_digits(place / "digits", labels_per_class=6)
    photos, more, misses = place / "photos", place / "more", 0
    for folder in ("3", "8", "9"):
        shutil.copytree(digits / "train" / folder, photos / folder)
        shutil.copytree(digits / "test" / folder, more / folder)
    small = place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)

    run = ["fit", str(photos), "-o", str(small / "run")]
    code, wrong = said(run, place / "cache")
    if code:
        raise SystemExit(f"disk: a run on a sound disk ended with {code}: {wrong}")
    before = snapshot(small / "run")
    fill(small)
    code, wrong = said([*run, "--seed", "1"], place / "cache")
    same = snapshot(small / "run") == before
    misses += tell(
        "run folder on a full disk", good=code == 1 and len(wrong) == 1 and "disk is full" in wrong[0] and same
    )
    (small / "filler").unlink(missing_ok=True)
    with (small / "filler").open("wb") as file:  # room for a marker and an order, not for a second model
        free = shutil.disk_usage(small).free
        file.write(b"\0" * max(0, free - (1 << 20)))
    code, wrong = said([*run, "--seed", "1"], place / "cache")
    same = {name: data for name, data in snapshot(small / "run").items() if name in before} == before
    misses += tell("run folder on a disk that fills up", good=code == 1 and len(wrong) == 1 and same)
    subprocess.run(["umount", str(small)], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    code, wrong = said(["extract", str(more)], small)
    misses += tell("cache on a disk that is too small", good=code == 1 and len(wrong) == 1)
    fill(small)
    code, wrong = said(["extract", str(photos)], small)
    misses += tell("cache on a full disk", good=code == 1 and len(wrong) == 1)
    subprocess.run(["umount", str(small)], check=True)

    cache = place / "cache"
    before = snapshot(cache)
    subprocess.run(["mount", "--bind", str(cache), str(cache)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(cache)], check=True)
    code, wrong = said(["extract", str(photos)], cache)
    misses += tell("read-only cache that holds everything: it is used", good=code == 0 and not wrong)
    code, wrong = said(["extract", str(photos), "--size", "64"], cache)
    misses += tell("read-only cache that lacks something", good=code == 1 and len(wrong) == 1)
    misses += tell("read-only cache, afterwards", good=snapshot(cache) == before)
    subprocess.run(["umount", str(cache)], check=True)
    return misses


def main() -> int:
    """Go into a namespace, and from there on do it."""
    if "--inside" not in sys.argv:
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        if done.returncode:
            sys.stdout.write("disk: skipped, mounting needs the superuser\n")
            return 0
        return subprocess.run(["unshare", "-m", sys.executable, __file__, "--inside"], check=False).returncode
    with tempfile.TemporaryDirectory() as name:
        return 1 if inside(Path(name)) else 0


if __name__ == "__main__":
    sys.exit(main())
