"""Prediction against its floor: `python benchmarks/prediction.py`, or with `--run FOLDER` of a run that is there.

The floor is what cannot be left out: decoding the pictures of `monkeys/` on all cores, and a bare pass of onnxruntime
over the decoded pictures, in the faster of two ways. Both are measured in turn with `predict` over the same folder,
several times; medians are used. Then single commands, cold, as a shell runs them. Needs the real pictures
(THAWLINE_DATA, or ../shared/data next to the project) and the extra `export`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import thawline
from main_job import seconds
from pictures import DATA, fewer, fitted, need
from record import record
from thawline.data.load import map_ordered
from thawline.data.sources.unlabelled import pictures_in
from thawline.use.model_place import TENSOR_FILE, find_model
from thawline.use.onnx_model import open_onnx
from thawline.use.predict import predict_each

REPEATS, COLD = fewer(5, 1), fewer(7, 1)


def report(what: str, measured: str, reach: str) -> None:
    """Record a row as soon as it is known."""
    record("prediction", what, measured, reach=reach)


def exported(run: Path) -> Path:
    """Return the tensor-in ONNX file of a run's model, exported first where it is not there."""
    place = run / "exports" / TENSOR_FILE
    if find_model(run).onnx != place:
        thawline.export(run, "onnx-tensor")
    return place


def over_a_folder(file: Path) -> None:
    """Report `predict` over all monkeys as a multiple of decoding and a bare pass."""
    pictures = pictures_in([DATA / "monkeys"])
    pictures = [item for item in pictures if item[0].endswith(".jpg")]
    model, whole = open_onnx(file, num_threads=1), open_onnx(file)
    encoded = [source.read() for _, source in pictures]

    def decode() -> None:
        list(map_ordered(lambda item: model.prepare(item[1].read()), pictures))

    prepared = [model.prepare(data)[0] for data in encoded]
    batches = [prepared[at : at + 4] for at in range(0, len(prepared), 4)]
    stacked = [tuple(map(np.stack, zip(*prepared[at : at + 32], strict=True))) for at in range(0, len(prepared), 32)]
    ways = {
        "one stream a core, 4 at once": lambda: list(model.in_streams(model.answers_to, batches)),
        "one session on all cores, 32 at once": lambda: [whole.answers(*pixels) for pixels in stacked],
    }
    took: dict[str, list[float]] = {name: [] for name in ("decode", "predict", *ways)}
    for _ in range(REPEATS):
        took["decode"].append(seconds(decode))
        for name, way in ways.items():
            took[name].append(seconds(way))
        took["predict"].append(seconds(lambda: list(predict_each(model, pictures))))
    medians = {name: statistics.median(times) for name, times in took.items()}
    best = min(ways, key=medians.__getitem__)
    floor = medians["decode"] + medians[best]
    measured = (
        f"{medians['predict'] / floor:.2f} ({medians['predict']:.2f} s; decode {medians['decode']:.2f} s, bare pass "
        f"{medians[best]:.2f} s, {best}; {len(pictures):,} pictures)"
    )
    report(
        "`predict` over all monkeys ÷ (decode + bare onnxruntime)",
        measured,
        "≤ 1.2",
    )


def cold(words: list[str]) -> tuple[float, float]:
    """Return median wall and processor seconds of a command, each time a new process."""
    walls, works = [], []
    for _ in range(COLD):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "thawline", *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        works.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(works)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="folder of a run of monkeys")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, once: whether it runs")
    options = parser.parse_args()
    need("monkeys")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        run = options.run or fitted(Path(scratch) / "monkeys")
        over_a_folder(exported(run))
        one = next(name for name, _ in pictures_in([DATA / "monkeys"]) if name.endswith(".jpg"))
        commands = {
            "one picture, cold": (["predict", str(run), one], "≤ 1.2 s"),
            "`recipe list`": (["recipe", "list"], "≤ 0.3 s"),
            "`--help`": (["--help"], "≤ 0.3 s"),
            "`fit --help`": (["fit", "--help"], "≤ 0.3 s"),
            "`predict --help`": (["predict", "--help"], "≤ 0.3 s"),
        }
        for name, (words, reach) in list(commands.items())[: fewer(9, 2)]:
            wall, work = cold(words)
            report(f"{name}, from the shell", f"{wall:.2f} s ({work:.2f} s of processor)", reach)


if __name__ == "__main__":
    main()
