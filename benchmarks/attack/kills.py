"""Random `kill -9` in five commands -> does the same command end with the same bytes, and without leftovers?

    python benchmarks/attack/kills.py            # 8 kills a command: 40
    python benchmarks/attack/kills.py --number 1

Prints one line a command; exit code 1 on a miss. Times in results are left out of the comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from thawline.data.digits import write_digits

DEADLINE_S = 1800.0
NO_TIMES = re.compile(rb'"(?:seconds|[a-z_]+_s|fit_s|predict_ms|created|pass_ms)": ?(?:[0-9.e+-]+|"[^"]*")')


def command(words: list[str], cache: Path) -> subprocess.Popen[bytes]:
    """Start `thawline` as a shell does."""
    environment = {**os.environ, "THAWLINE_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-m", "thawline", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(words: list[str], cache: Path) -> float:
    """Run to the end and return the seconds that it took."""
    start = time.monotonic()
    process = command(words, cache)
    _, said = process.communicate(timeout=DEADLINE_S)
    if process.returncode:
        raise SystemExit(f"kills: {words[0]} ended with {process.returncode}: {said.decode()[-500:]}")
    return time.monotonic() - start


def content(folder: Path) -> dict[str, bytes]:
    """Return {path: bytes} of a place; of results only what no clock is in."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        timed = path.suffix in {".html", ".csv"} or path.name in {
            ".thawline.json",
            "report.json",
            "leaderboard.json",
            "run.json",
        }
        is_run = (folder / "run.json").exists()
        if path.is_file() and not (is_run and timed):
            files[name] = NO_TIMES.sub(b"", path.read_bytes()) if path.name == "manifest.json" else path.read_bytes()
        else:
            files[name] = b""
    return files


def test_scores(out: Path) -> object:
    """Return the scores of a run, or None where there is none."""
    file = out / "run.json"
    return json.loads(file.read_text(encoding="utf-8"))["test"] if file.exists() else None


def main() -> int:
    """Kill and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=8)
    number, moments, misses = parser.parse_args().number, random.Random(0), 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        digits = write_digits(place / "digits", labels_per_class=6)
        photos = place / "photos"
        for folder in ("3", "8", "9"):
            shutil.copytree(digits / "train" / folder, photos / folder)
        commands = {
            "extract": ["extract", str(photos)],
            "fit": ["fit", str(photos), "-o", "OUT/run"],
            "tune": ["tune", str(photos), "--plan", "head", "--epochs", "2", "--size", "64", "-o", "OUT/run"],
            "export-data": ["export-data", str(photos), "-o", "OUT/data"],
            "export": ["export", str(place / "model-run/model"), "-o", "OUT/model.onnx"],
        }
        finish(["fit", str(photos), "-o", str(place / "model-run")], place / "model-cache")
        for verb, words in commands.items():
            whole, cache = place / f"{verb} whole", place / f"{verb} cache"
            whole.mkdir()
            seconds = finish([word.replace("OUT", str(whole)) for word in words], cache)
            killed = equal = 0
            for attempt in range(number):
                if time.monotonic() - begun > DEADLINE_S:
                    break
                out, own = place / f"{verb} {attempt}", place / f"{verb} cache {attempt}"
                out.mkdir()
                mine = [word.replace("OUT", str(out)) for word in words]
                process = command(mine, own)
                time.sleep(moments.uniform(0.1, 0.8) * seconds)
                process.kill()
                process.communicate()
                killed += process.returncode != 0
                finish(mine, own)
                same = content(own) == content(cache) and test_scores(out / "run") == test_scores(whole / "run")
                for part in ("run", "data"):
                    same = same and content(out / part) == content(whole / part)
                same = same and set(content(out)) == set(content(whole))
                equal += same
                shutil.rmtree(out)
                shutil.rmtree(own, ignore_errors=True)
            misses += equal < number
            sys.stdout.write(f"kill -9 in {verb}: {killed} of {number} killed, {equal} ended with the same bytes\n")
            sys.stdout.flush()
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
