"""A newcomer's way, in commands and seconds: `python benchmarks/newcomer.py`; and what `--help` and lists take.

Clones the repository that this file is in, installs it into an environment of its own, fits and predicts one picture,
as the README's opening says. Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project), what pip
needs to install PyTorch, and 6 GB in the folder for temporary files. `--help-only` leaves the first part out.
What should answer at once is measured in processor time; a busy machine lengthens that too, if less.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from pictures import DATA, fewer, need
from record import record
from thawline.cli.app import make_app

REPEATS = fewer(7, 1)


def report(what: str, measured: str, reach: str) -> None:
    """Record a row as soon as it is known."""
    record("newcomer", what, measured, reach=reach)


def timed(words: list[str], folder: Path) -> float:
    """Return the seconds that a command takes in a folder; it must succeed."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    start = time.perf_counter()
    subprocess.run(words, cwd=folder, env={**clean, "THAWLINE_CACHE": str(folder / "cache")}, check=True)
    return time.perf_counter() - start


def newcomer(photos: Path) -> None:
    """Do what the README's opening says, and print what each command takes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        repository = Path(__file__).resolve().parents[1]
        venv.create(folder / "own", with_pip=True)
        binaries = folder / "own" / "bin"
        new = min(path for path in (photos / "validation").rglob("*.jpg"))
        steps = {
            "clone": ["git", "clone", "--quiet", str(repository), "thawline"],
            "install": [str(binaries / "pip"), "install", "--quiet", "./thawline"],
            "fit": [str(binaries / "thawline"), "fit", str(photos), "-o", "runs/mine"],
            "predict": [str(binaries / "thawline"), "predict", "runs/mine", str(new)],
        }
        took = {name: timed(words, folder) for name, words in steps.items()}
        told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
        report(
            "clone → own first prediction", f"{len(took)} commands, {sum(took.values()):.0f} s: {told}", "≤ 4; ≤ 300 s"
        )


def cpu_of(words: list[str]) -> float:
    """Return the seconds of processor time, the system's included, that a command of Thawline takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "thawline", *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def at_once() -> None:
    """Print the processor time of what should answer at once."""
    commands = [name for name in make_app() if not name.startswith("-")]
    for words in [["recipe", "list"], ["--help"], *([name, "--help"] for name in commands)][: fewer(99, 3)]:
        seconds = min(cpu_of(words) for _ in range(REPEATS))
        report(f"`thawline {' '.join(words)}`, CPU time", f"{seconds:.2f} s", "≤ 0.3 s")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--help-only", action="store_true", help="only what should answer at once")
    parser.add_argument("--quick", action="store_true", help="three commands, once: whether it runs")
    arguments = parser.parse_args()
    at_once()
    if not (arguments.help_only or arguments.quick):
        need("monkeys")
        newcomer(DATA / "monkeys")


if __name__ == "__main__":
    main()
