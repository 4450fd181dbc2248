"""Pictures made to cost much, 20,000 damaged ones, any folder of foreign files -> what each costs, and what escapes.

Each attack file is given to `thawline check`, together with four ordinary pictures, in a process of its own; the same
command without it is subtracted. `predict` is asked in one process that has loaded its model. Memory is that of the
process and of its workers together, sampled; seconds are processor time of both, so that other work on the machine
does not count. Exit code 1 where a limit is broken or anything escapes.

    python benchmarks/attack/files.py [--foreign FOLDER]  (or THAWLINE_FOREIGN; asks for about two minutes)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "cases"))
import costly_pictures as costly
from damaged_pictures import SEED, drawn, mutants, written

from thawline.core.errors import DataError
from thawline.data.images import decode, encode_jpeg
from thawline.data.load import map_ordered

MOST_SECONDS, MOST_MB, MOST_HONEST_MB = 2.0, 300, 700
NUM_MUTANTS = 20_000

ATTACKS: dict[str, Callable[[], bytes]] = {
    "jpeg of 30,000 scans": lambda: costly.jpeg_of_scans(4000, 3000, 30_000),
    "jpeg of 80 scans, 20 MP": lambda: costly.jpeg_of_scans(5000, 4000, 80),
    "jpeg of 64 MB segments": lambda: costly.jpeg_of_segments(64 << 20, b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)),
    "jpeg of 64 MB short segments": lambda: costly.jpeg_of_segments(64 << 20, b"\xff\xfe\0\2"),
    "jpeg of 64 MB padding": lambda: costly.jpeg_of_segments(64 << 20, b"\xff"),
    "jpeg, 200 MP claimed": lambda: costly.jpeg_that_claims(costly.encoded("JPEG", 32, 32), 20_000, 10_000),
    "jpeg, progressive, 200 MP claimed": lambda: costly.jpeg_that_claims(
        costly.encoded("JPEG", 32, 32, progressive=True), 20_000, 10_000
    ),
    "bmp, lines of one run, 100 MP": lambda: costly.bmp_of_short_lines(14_000, 7_000),
    "bmp, lines of one run, 4 MP": lambda: costly.bmp_of_short_lines(3_999, 1_000),
    "bmp of short runs, 4 MP": lambda: costly.run_length_bmp(3_998, 1_000, (b"\2\1" * 1_999 + b"\0\0") * 1_000, bits=4),
    "png of 16 bits, 50 MP": lambda: costly.png(10_000, 5_000, bits=16),
    "png of 16 bits, 200 MP": lambda: costly.png(20_000, 10_000, bits=16),
    "png of 16 bits in 4 channels, 60 MP": lambda: costly.png(10_000, 6_000, bits=16, channels=4, line_filter=4),
    "png of 1 bit, 200 MP": lambda: costly.png(20_000, 10_000, bits=1),
    "png of 1,000,000 chunks": lambda: costly.png_of_chunks(1_000_000),
    "png of 90,000 chunks": lambda: costly.png_of_chunks(90_000),
    "png of 200 texts of 1 MB": lambda: costly.png_of_texts(200),
    "png of a profile of 1 GB": lambda: costly.png_of_profile(1 << 30),
    "apng of 40,000 frames": lambda: costly.apng_of_frames(40_000),
    "gif of 200 MP": lambda: costly.encoded("GIF", 20_000, 10_000, "P"),
    "gif of 5,000,000 comment blocks": lambda: costly.gif_of_blocks(5_000_000),
    "gif of 5,000,000 unknown blocks": lambda: costly.gif_of_blocks(5_000_000, code=0x01),
    "gif of 100,000 frames": lambda: costly.gif_of_frames(100_000),
    "webp of 64 MP": lambda: costly.encoded("WEBP", 8_000, 8_000, lossless=True, method=0),
    "webp, 200 MP claimed": lambda: costly.webp_that_claims(16_000, 12_500),
    "avif of 36 MP, 60 px claimed": lambda: costly.avif_that_lies(6_000, 6_000, claimed=(60, 60)),
    "avif of 36 MP": lambda: costly.encoded("AVIF", 6_000, 6_000),
    "avif, 200 MP claimed": lambda: costly.avif_that_lies(64, 64, claimed=(16_000, 12_500)),
    "tiff of lzw, 190 MP": lambda: costly.encoded("TIFF", 19_000, 10_000, "L", compression="tiff_lzw"),
    "tiff of deflate, 190 MP": lambda: costly.encoded("TIFF", 19_000, 10_000, "L", compression="tiff_deflate"),
    "tiff of one strip of 190 MB": lambda: costly.tiff_of(
        19_000, 10_000, compression=8, data=costly.deflated([bytes(19_000)] * 10_000)
    ),
    "tiff of 2,000,000 strips": lambda: costly.tiff_of(8, 2_000_000, strips=2_000_000, data=bytes(8)),
    "tiff of 500,000 pages in a ring": lambda: costly.tiff_of_pages(500_000),
    "tiff that is its own next page": lambda: costly.tiff([(256, 4, 1, 8)], next_directory=8),
}

HONEST: dict[str, Callable[[], bytes]] = {
    "honest jpeg of 108 MP": lambda: written(photo(12_000, 9_000), "JPEG", quality=90),
    "honest jpeg of 108 MP, progressive": lambda: written(photo(12_000, 9_000), "JPEG", quality=90, progressive=True),
    "honest png of 108 MP": lambda: written(photo(12_000, 9_000), "PNG", compress_level=1),
    "honest tiff of 48 MP, lzw": lambda: written(photo(8_000, 6_000), "TIFF", compression="tiff_lzw"),
    "honest webp of 24 MP": lambda: written(photo(6_000, 4_000), "WEBP", method=0),
    "honest avif of 24 MP": lambda: written(photo(6_000, 4_000), "AVIF", speed=10),
}
"""These have to be used. The bytes of a file count twice: here and in the worker."""


def photo(width: int, height: int) -> Image.Image:
    """Return a picture with as much detail as a photo has."""
    noise = np.random.default_rng(0).normal(0, 6, (500, 500, 3))
    tile = np.asarray(drawn(1, (500, 500)), dtype=float) + noise
    tile = tile.clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.tile(tile, (height // 500, width // 500, 1)))


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    peak_mb: float
    code: int
    out: str
    err: str


def tree_mb(process: psutil.Process) -> float:
    """Return the resident memory of a process and its children in MB."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
    return total / 1e6


def tree_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and its children, those that have ended included."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += sum(each.cpu_times()[:4])
    return total


class Watch:
    """The peak memory of a process and its children, from `start` on."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self.peak_mb = process, 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while self._process.is_running():
            self.peak_mb = max(self.peak_mb, tree_mb(self._process))
            time.sleep(0.005)

    def start(self) -> float:
        """Forget the peak so far; return the memory now."""
        time.sleep(0.02)  # a look that has begun must not bring the old peak back
        now = self.peak_mb = tree_mb(self._process)
        return now


def children_seconds() -> float:
    """Return the processor time of all children that have ended, with theirs."""
    times = os.times()
    return times.children_user + times.children_system


def run(*words: str | os.PathLike[str]) -> Cost:
    """Return what a `thawline` command cost and said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = children_seconds()
        process = psutil.Popen([sys.executable, "-m", "thawline", *map(os.fspath, words)], stdout=out, stderr=err)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, tree_mb(process))
            time.sleep(0.005)
        seconds = children_seconds() - start
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    return Cost(seconds, peak, process.returncode, *texts)


def is_over(name: str, seconds: float, megabytes: float) -> bool:
    """Whether a file cost more than it may."""
    return seconds > MOST_SECONDS or megabytes > (MOST_HONEST_MB if name in HONEST else MOST_MB)


def check_attacks(root: Path, files: dict[str, Path]) -> list[str]:
    """Print what each attack file costs `check`; return the sentences of what broke a limit."""
    photos = root / "photos"
    for label in "ab":
        (photos / label).mkdir(parents=True)
        for at in range(2):
            (photos / label / f"{at}.jpg").write_bytes(encode_jpeg(drawn(ord(label) + 10 * at), 96))
    run("check", photos, "--json")
    plain = min((run("check", photos, "--json") for _ in range(3)), key=lambda cost: cost.seconds)
    print(f"check of four ordinary pictures: {plain.seconds:.2f} s, {plain.peak_mb:.0f} MB; each file beyond that:")
    broken = []
    for name, file in files.items():
        place = photos / "a" / "attack"
        os.link(file, place)
        cost = run("check", photos, "--json")
        place.unlink()
        seconds, megabytes = cost.seconds - plain.seconds, cost.peak_mb - plain.peak_mb
        facts = json.loads(cost.out) if cost.code == 0 else {}
        reasons = [row["reason"] for row in facts.get("skipped", [])] or ["used"]
        print(
            f"  {seconds:5.2f} s {megabytes:4.0f} MB  {name} ({file.stat().st_size:,} bytes): {reasons[0]}", flush=True
        )
        noise = [line for line in cost.err.splitlines() if not line.startswith("check: ")]
        if cost.code != 0 or "Traceback" in cost.err or noise:
            broken.append(f"check, {name}: code {cost.code}, {cost.err[-300:]!r}")
        if is_over(name, seconds, megabytes) or (name in HONEST and reasons != ["used"]):
            broken.append(f"check, {name}: {seconds:.2f} s, {megabytes:.0f} MB, {reasons[0]}")
    return broken


def predict_attacks(root: Path, files: dict[str, Path]) -> list[str]:
    """Print the costliest attack files of `predict`, in one process; return what broke a limit."""
    done = run("demo", "-o", root / "demo")
    if done.code:
        return [f"demo: {done.err[-300:]}"]
    call = [sys.executable, __file__, "--predict", root / "demo" / "model", *files.values()]
    answers = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    broken, rows = [], []
    for name, line in zip(files, answers, strict=True):
        seconds, megabytes, error = json.loads(line)
        rows.append((seconds, megabytes, name, error or "predicted"))
        if is_over(name, seconds, megabytes):
            broken.append(f"predict, {name}: {seconds:.2f} s, {megabytes:.0f} MB")
    for what, at in (("slowest", 0), ("largest", 1)):
        seconds, megabytes, name, answer = max(rows, key=lambda row, at=at: row[at])
        print(f"predict, {what} of {len(rows)}: {seconds:.2f} s {megabytes:.0f} MB  {name}: {answer}")
    return broken


def predict_each(model: str, files: Sequence[str]) -> None:
    """Print seconds, peak memory in MB and error of every file, in the process that has loaded the model."""
    from thawline.use.bundle import load_bundle
    from thawline.use.predict import predict_pictures

    bundle = load_bundle(Path(model))
    watch = Watch(psutil.Process())
    list(predict_pictures(bundle.classifier, files[:1]))
    for file in files:
        before, start = watch.start(), tree_seconds(psutil.Process())
        (row,) = predict_pictures(bundle.classifier, [file])
        print(json.dumps([tree_seconds(psutil.Process()) - start, watch.peak_mb - before, row.error]), flush=True)


def outcome(data: bytes, size_px: int = 32) -> tuple[str, float]:
    """Return what becomes of a file, `used`, `refused` or the name of what escaped, and the seconds it took."""
    start = time.perf_counter()
    try:
        decode(data, size_px=size_px)
        word = "used"
    except DataError as error:
        word = "refused" if "\n" not in str(error) else "a refusal of several lines"
    except Exception as error:  # what is looked for
        word = f"{type(error).__name__}: {error}"
    return word, time.perf_counter() - start


def try_mutants(num: int) -> list[str]:
    """Print what became of damaged pictures; return what escaped."""
    start = time.perf_counter()
    done = list(map_ordered(outcome, mutants(num)))
    words = [word for word, _ in done]
    escaped = sorted({word for word in words if word not in {"used", "refused"}})
    print(
        f"{num:,} damaged pictures (seed {SEED}) in {time.perf_counter() - start:.0f} s: {words.count('used'):,} used, "
        f"{words.count('refused'):,} refused, {num - words.count('used') - words.count('refused')} escaped; "
        f"slowest {max(seconds for _, seconds in done):.2f} s"
    )
    return escaped


def try_foreign(folder: Path) -> list[str]:
    """Print what became of the files of a folder; return what escaped or broke a limit."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    watch, rows, broken = Watch(psutil.Process()), [], []
    for file in files:
        data = file.read_bytes()
        before, start = watch.start(), tree_seconds(psutil.Process())
        word, _ = outcome(data, 224)
        seconds = tree_seconds(psutil.Process()) - start
        rows.append((seconds, watch.peak_mb - before, word, file.relative_to(folder).as_posix()))
        if word not in {"used", "refused"}:
            broken.append(f"{file}: {word}")
        if is_over(file.name, *rows[-1][:2]):
            broken.append(f"{file}: {seconds:.2f} s, {rows[-1][1]:.0f} MB")
    words = [word for _, _, word, _ in rows]
    num_used, num_refused = words.count("used"), words.count("refused")
    num_escaped = len(words) - num_used - num_refused
    print(f"{len(files):,} foreign files: {num_used:,} used, {num_refused:,} refused, {num_escaped} escaped")
    for what, at in (("slowest", 0), ("largest", 1)):
        seconds, megabytes, _, name = max(rows, key=lambda row, at=at: row[at])
        print(f"  {what}: {seconds:.2f} s, {megabytes:.0f} MB, {name}")
    return broken


def main() -> int:
    """Run all of it; return the exit code."""
    parser = argparse.ArgumentParser(description="What pictures made to cost much cost, and what escapes.")
    parser.add_argument("--foreign", type=Path, default=os.environ.get("THAWLINE_FOREIGN"), help="a folder of files")
    parser.add_argument("--only", default="", help="attack files whose name holds this")
    parser.add_argument("--mutants", type=int, default=NUM_MUTANTS, help="number of damaged pictures")
    parser.add_argument("--predict", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.predict:
        predict_each(options.predict[0], options.predict[1:])
        return 0
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["THAWLINE_CACHE"] = str(root / "cache")
        files = {}
        for name, make in (ATTACKS | HONEST).items():
            if options.only in name:
                files[name] = root / f"{len(files)}.bin"
                files[name].write_bytes(make())
        if files:
            broken += check_attacks(root, files) + predict_attacks(root, files)
    if options.mutants:
        broken += try_mutants(options.mutants)
    if options.foreign:
        broken += try_foreign(Path(options.foreign))
    print("\n".join(["broken:", *broken]) if broken else "every limit holds")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
