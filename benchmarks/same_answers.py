"""Whether a model answers alike wherever it is used: `python benchmarks/same_answers.py`, or with `--model FOLDER`.

Fits on `monkeys/`, frozen and tuned, and shows the models 1,000 pictures: the test monkeys, and pictures of other sets
that they were not made for, whose answers are uncertain and move most. Recorded are the largest difference of a
probability and the labels that differ between `predict` and the ONNX file in onnxruntime, the service, `evaluate`'s
way through the pictures, one picture alone, and a processor held to AVX2. Needs the real pictures (THAWLINE_DATA,
or ../shared/data next to the project) and the extras `export` and `serve`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import pictures
from pictures import DATA, need
from record import number_of, record
from thawline import export
from thawline.core.options import CheckOptions
from thawline.core.types import Floats
from thawline.data.check import check
from thawline.data.dataset import Sample
from thawline.use.bundle import load_bundle
from thawline.use.classify import classify_samples
from thawline.use.onnx_model import open_onnx

NUM_PICTURES, LIMIT = 1000, 0.005
NAMES = {"frozen": "frozen winner", "tuned": "tuned network"}
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def fresh_pictures() -> list[Sample]:
    """Return the test monkeys and pictures of other sets, 1,000 in all."""
    monkeys = [sample for sample in check(DATA / "monkeys")[0].samples if sample.split is not None]
    monkeys = [sample for sample in monkeys if "validation" in sample.path]
    others = [check(DATA / name)[0].samples for name in ("instruments", "celebrities")]
    cifar = check(DATA / "cifar10" / "test-00000-of-00001.parquet", CheckOptions(limit=30))[0].samples
    found = [*monkeys, *others[0][::4], *others[1], *cifar]
    return found[:NUM_PICTURES]


def one_by_one(model: Path, samples: list[Sample]) -> Floats:
    """Return the answers of a model folder to each picture alone."""
    classifier = load_bundle(model, device="cpu").classifier
    return np.stack([classifier.answer(sample.source.read()) for sample in samples])


def by_onnx(file: Path, samples: list[Sample]) -> Floats:
    """Return the answers of an ONNX file, as the service asks it: each picture alone."""
    model = open_onnx(file)
    rows = [model.predict("picture", sample.source.read()) for sample in samples]
    return np.array([[row.probabilities[name] for name in model.facts.class_names] for row in rows])


def by_service(file: Path, samples: list[Sample]) -> Floats:
    """Return what `thawline serve` answers to one request a picture."""
    names, edge = open_onnx(file).facts.class_names, "thawline-edge"
    command = [sys.executable, "-m", "thawline", "serve", str(file), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        host, port = re.search(r"http://([\d.]+):(\d+)", process.stderr.readline()).groups()
        answers = []
        for sample in samples:
            head = f'--{edge}\r\nContent-Disposition: form-data; name="pictures"; filename="picture"\r\n\r\n'
            body = head.encode() + sample.source.read() + f"\r\n--{edge}--\r\n".encode()
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("POST", "/predict", body, {"Content-Type": f"multipart/form-data; boundary={edge}"})
            (row,) = json.loads(connection.getresponse().read())["predictions"]
            answers.append([row["probabilities"][name] for name in names])
            connection.close()
    finally:
        process.kill()
        process.communicate()
    return np.array(answers)


def by_predict(model: Path, samples: list[Sample], folder: Path, **environment: str) -> Floats:
    """Return what `thawline predict` answers to the pictures as files, in a process of its own."""
    folder.mkdir(exist_ok=True)
    for number, sample in enumerate(samples):
        (folder / f"{number:04}").write_bytes(sample.source.read())
    command = [sys.executable, "-m", "thawline", "predict", str(model), str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    rows = {Path(row["path"]).name: row["probabilities"] for row in map(json.loads, done.stdout.splitlines())}
    names = load_bundle(model, device="cpu").class_names
    return np.array([[rows[f"{number:04}"][name] for name in names] for number in range(len(samples))])


def compare(name: str, model: Path, scratch: Path) -> dict[str, str]:
    """Return how far the answers of one model folder lie apart, by way."""
    samples = fresh_pictures()
    bundle = load_bundle(model, device="cpu")
    file = export(bundle, "onnx-tensor", out=scratch / f"{name}.onnx").path
    expected = by_predict(model, samples, scratch / "pictures")
    ways = {
        "`evaluate`'s way through the pictures": classify_samples(bundle.classifier, samples),
        "each picture alone, in the model folder": one_by_one(model, samples),
        "`predict` held to AVX2 (oneDNN and torch)": by_predict(model, samples, scratch / "pictures", **AVX2),
        "ONNX in onnxruntime, one picture at a time": by_onnx(file, samples),
        "`thawline serve`, one request a picture": by_service(file, samples),
    }
    first, second = np.sort(expected, axis=1)[:, -1], np.sort(expected, axis=1)[:, -2]
    found = {}
    for way, shares in ways.items():
        off = np.abs(shares - expected).max(axis=1)
        other = shares.argmax(axis=1) != expected.argmax(axis=1)
        gap = float((first - second)[other].max(initial=0.0))
        found[way] = f"{off.max():.1e} (99 % within {np.quantile(off, 0.99):.1e}), {other.sum()} other labels" + (
            f", of probabilities at most {gap:.1e} apart" if other.any() else ""
        )
    print(f"{name}: {bundle.manifest.strategy}, {len(samples):,} pictures", flush=True)
    return found


def tuned(scratch: Path) -> Path:
    """Tune on the monkeys and return the model folder."""
    words = ["--plan", "last 20 %", "--epochs", "1", "--score-folds", "1"]
    command = [sys.executable, "-m", "thawline", "tune", str(DATA / "monkeys"), "-o", str(scratch / "tune"), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return scratch / "tune" / "model"


def main() -> None:
    """Compare the answers of a frozen and a tuned model, or of one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, action="append", default=[], help="a model folder; may be repeated")
    parser.add_argument("--quick", action="store_true", help="drawn pictures: whether it runs")
    asked = parser.parse_args()
    need("monkeys", "instruments", "celebrities", "cifar10")
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        models = {path.parent.name: path for path in asked.model} or {
            "frozen": pictures.fitted(scratch / "fit") / "model",
            **({} if asked.quick else {"tuned": tuned(scratch)}),
        }
        found = {NAMES.get(name, name): compare(name, model, scratch) for name, model in models.items()}
        for way in next(iter(found.values())):
            cells = {name: ways[way] for name, ways in found.items()}
            holds = all(number_of(cell) <= LIMIT for cell in cells.values())
            record("same_answers", way, cells, reach=f"≤ {LIMIT:g}", holds=holds)


if __name__ == "__main__":
    main()
