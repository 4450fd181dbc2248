"""What a GPU gets from Thawline, in at most four minutes: `python scripts/check_gpu.py`.

Numbers first: features and a training run on CUDA in float32, bfloat16 and float16 against the CPU in float32, and an
exported model in ONNX Runtime on the CPU against the folder on CUDA. Then speed: extraction, decoding included, as a
multiple of the bare forward pass on tensors that lie there already, for three networks. Then CIFAR-10 (THAWLINE_DATA,
or ../shared/data next to the project; drawn pictures where it is not there), all layers, in what is left of the time.

Prints a table, records it (benchmarks/results/gpu.jsonl) and ends with 1 where something misses. Without a GPU it says
so, runs every part small on the CPU, and records nothing: so it is known to work. `--quick` does that anywhere.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import numpy as np
import torch
from PIL import Image

from record import record
from thawline.core.options import Options, make_options
from thawline.core.runtime import DTypeName, Runtime, choose_runtime, num_workers
from thawline.core.types import Floats
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.features.extract import extract
from thawline.features.network import Network, frozen_for_inference, load_backbone
from thawline.features.reader import FeatureReader, to_input
from thawline.train.allowance import Allowance
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Job, plan_network
from thawline.train.loop import train
from thawline.train.plan import parse_plan
from thawline.train.thawed import write_back

NETWORKS = (("efficientnet_lite0", True), ("resnet50", False), ("vit_base_patch16_224", False))
TOLERANCES: dict[DTypeName, float] = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 1e-2}
"""How far features may lie from the CPU's in float32: the norm of the difference by that of the features."""
LOSS_TOLERANCES: dict[DTypeName, float] = {"float32": 0.02, "bfloat16": 0.1, "float16": 0.1}
"""How far the last epoch's mean loss of a training run may lie from the CPU's in float32."""
EXTRACTION_LIMIT, ACCURACY, PROBABILITY_LIMIT = 1.25, 0.94, 5e-3
TOTAL_S, RESERVE_S = 225.0, 25.0


@dataclass(frozen=True)
class Scale:
    """How much each part does: on a GPU, or small on a CPU.

    Attributes:
        device: Where it runs.
        pictures: Drawn pictures to extract.
        size_px: Side of the inputs of what is timed; of CIFAR-10 too.
        checked: Pictures whose features are compared.
        dtype: What is timed.
        networks: Of NETWORKS, how many are timed.
        epochs: Most epochs on CIFAR-10.
        batch_size: Of training there.
    """

    device: str
    pictures: int
    size_px: int
    checked: int
    dtype: DTypeName
    networks: int
    epochs: int
    batch_size: int


ON_GPU = Scale("cuda", 2048, 224, 64, "bfloat16", 3, 12, 256)
ON_CPU = Scale("cpu", 24, 64, 8, "float32", 3, 1, 16)


class Check:
    """The figures so far."""

    def __init__(self, *, is_small: bool) -> None:
        self.is_small, self.num_missed, self.start = is_small, 0, time.perf_counter()

    def row(self, what: str, value: float, *, reach: str, note: str = "", may_miss: bool = False) -> None:
        """Record a figure; one that misses counts, unless it says nothing where this runs small."""
        made = record("gpu", what, float(value), reach=reach, note=note, quick=self.is_small)
        self.num_missed += made["holds"] is False and not (may_miss and self.is_small)

    @property
    def left_s(self) -> float:
        """Seconds that are left of the four minutes, without a reserve."""
        return TOTAL_S - (time.perf_counter() - self.start)


def drawn(folder: Path, count: int, *, side: int, start: int = 0) -> Path:
    """Draw JPEGs in ten classes, whose colours differ."""
    for number in range(start, start + count):
        rng, label = np.random.default_rng(number), number % 10
        colour = np.random.default_rng(1000 + label).integers(0, 256, 3)
        blobs = np.clip(rng.normal(colour, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
        place = folder / f"class{label}" / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blobs).resize((side, side), Image.Resampling.BICUBIC).save(place, quality=90)
    return folder


def pixels_of(count: int, size_px: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return (count, size, size, 3) smooth random pictures."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((size_px, size_px))) for one in coarse])


def off_by(found: Floats, expected: Floats) -> float:
    """Return how far features lie apart: the norm of the difference by that of what is expected."""
    apart = np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64))
    return float(apart)


def features_agree(check: Check, scale: Scale) -> None:
    """Compare the features of Lite0 at every second cut, in three formats, with those of the CPU in float32."""
    network = load_backbone(size_px=scale.size_px)
    pixels = pixels_of(scale.checked, scale.size_px)
    blocks = [(cut.index, "mean") for cut in network.backbone.cuts[::2]]
    expected = FeatureReader(network, Runtime("cpu", "float32", 4), blocks, "float32").read(pixels)
    for dtype, limit in TOLERANCES.items():
        found = FeatureReader(network, replace(choose_runtime(scale.device), dtype=dtype), blocks, "float32").read(
            pixels
        )
        what = f"features of Lite0 in {dtype}: difference from the CPU's in float32, relative"
        check.row(what, off_by(found, expected), reach=f"≤ {limit:g}", note=f"{scale.checked} pictures")


def small_job(dataset: Dataset, runtime: Runtime, scratch: Path, **options: Any) -> Job:
    """Return a training run of all layers of Lite0 on every picture."""
    training = TrainOptions(**options)
    context = Context(
        dataset, load_backbone(size_px=64), Options(cache_dir=scratch), training, Machine(runtime), scratch
    )
    plan = parse_plan("all")
    weights = np.ones(len(dataset.class_names), dtype=np.float32)
    nobody = np.empty(0, dtype=np.int64)
    return Job(context, plan, plan_network(plan, context), np.arange(len(dataset)), nobody, weights)


def training_agrees(check_: Check, scale: Scale, scratch: Path) -> None:
    """Train the same two epochs in three formats and compare the losses with those of the CPU in float32."""
    dataset, _ = check(drawn(scratch / "learnt", 32 if scale.device == "cpu" else 160, side=64))
    options = {"epochs": 2, "batch_size": 16, "augment": "flip", "learning_rate": 1e-3}
    expected = train(small_job(dataset, Runtime("cpu", "float32", 4), scratch, **options)).curve.train_loss[-1]
    for dtype, limit in LOSS_TOLERANCES.items():
        runtime = replace(choose_runtime(scale.device), dtype=dtype)
        loss = train(small_job(dataset, runtime, scratch, **options)).curve.train_loss[-1]
        what = f"training in {dtype}: loss of the second epoch, difference from the CPU's in float32"
        note = f"{loss:.4f} and {expected:.4f}"
        check_.row(what, abs(loss - expected), reach=f"≤ {limit:g}", note=note)


def seconds(work: Callable[[], object]) -> float:
    """Return how long work takes, the device's share included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def extraction_keeps_up(check_: Check, scale: Scale, scratch: Path) -> None:
    """Measure extraction at every cut as a multiple of decoding or the bare forward pass, whichever takes longer."""
    folder = scratch / "photos"
    with ThreadPoolExecutor(num_workers()) as pool:
        parts = range(0, scale.pictures, 64)
        list(pool.map(lambda at: drawn(folder, min(64, scale.pictures - at), side=scale.size_px + 32, start=at), parts))
    photos, _ = check(folder)
    runtime = replace(choose_runtime(scale.device), dtype=scale.dtype)
    for name, pretrained in NETWORKS[: scale.networks]:
        size_px = None if name.startswith("vit") and scale.device != "cpu" else scale.size_px
        network = load_backbone(name, pretrained=pretrained, size_px=size_px)
        bare_s = bare_seconds(network, runtime, scale.pictures)
        decode_s = decode_seconds(photos, network)
        took = []
        for number in range(2 if scale.device == "cpu" else 3):
            done = extract(
                photos, network, runtime=runtime, cache=scratch / f"bank-{name}-{number}", poolings=("mean",)
            )
            took.append(done.seconds)
        floor, best = max(bare_s, decode_s), statistics.median(took[1:])
        rate = f"{len(photos) / best:,.0f} pictures a second; bare pass {len(photos) / bare_s:,.0f}"
        note = f"{rate}, decoding alone {len(photos) / decode_s:,.0f}; {scale.dtype}"
        what = f"extraction of {name} ÷ the longer of bare forward pass and decoding"
        check_.row(what, best / floor, reach=f"≤ {EXTRACTION_LIMIT}", note=note, may_miss=True)


def bare_seconds(network: Network, runtime: Runtime, count: int) -> float:
    """Return the seconds of a forward pass over so many pictures that lie on the device already, channels last."""
    folded, spec = frozen_for_inference(network, runtime), network.backbone.input
    size = min(runtime.batch_size, count)
    x = to_input(pixels_of(size, spec.size_px), spec, runtime=runtime)
    last = network.backbone.cuts[-1].index

    def run() -> None:
        with torch.inference_mode():
            for _ in range(max(1, count // size)):
                folded.prefix(x, last)

    seconds(run)
    return min(seconds(run) for _ in range(2)) * count / (max(1, count // size) * size)


def decode_seconds(photos: Dataset, network: Network) -> float:
    """Return the seconds of decoding alone on all cores."""
    from thawline.data.load import load_pixels, map_ordered

    spec = network.backbone.input
    return seconds(lambda: sum(1 for _ in map_ordered(lambda sample: load_pixels(sample, spec), photos.samples)))


def cifar10(scale: Scale, scratch: Path) -> tuple[Dataset, bool]:
    """Return CIFAR-10, checked, and True; or drawn pictures of its form and False where it is not there."""
    here = Path(os.environ.get("THAWLINE_DATA") or Path(__file__).resolve().parents[1] / "../shared/data") / "cifar10"
    if here.is_dir() and scale.device != "cpu":
        return check(here)[0], True
    for part, count in (("train", 40), ("test", 20)):
        drawn(scratch / "cifar" / part, count, side=32)
    return check(scratch / "cifar")[0], False


def tuning_reaches(check_: Check, scale: Scale, scratch: Path) -> None:
    """Train all layers on CIFAR-10 for as many epochs as the time allows, and read the test once."""
    dataset, is_real = cifar10(scale, scratch)
    parts = np.array([sample.split for sample in dataset.samples])
    rows, test = np.flatnonzero(parts != "test"), np.flatnonzero(parts == "test")
    runtime = replace(choose_runtime(scale.device), dtype="float32" if scale.device == "cpu" else "bfloat16")
    size_px = scale.size_px if scale.device == "cpu" else 160
    training = TrainOptions(epochs=scale.epochs, batch_size=scale.batch_size, augment="flip")
    context = Context(
        dataset, load_backbone(size_px=size_px), Options(cache_dir=scratch), training, Machine(runtime), scratch
    )
    plan, nobody = parse_plan("all"), np.empty(0, dtype=np.int64)
    network = plan_network(plan, context)
    job = Job(context, plan, network, rows, nobody, np.ones(len(dataset.class_names), dtype=np.float32))
    start = time.perf_counter()
    done = train(job, allowance=Allowance(ends_at=time.monotonic() + max(30.0, check_.left_s - RESERVE_S)))
    took_s = time.perf_counter() - start
    model = write_back(network, done.tensors, plan=plan.name, keeps_norms=plan.from_nothing)
    subset = replace(dataset, samples=tuple(dataset.samples[row] for row in test))
    bank = extract(subset, model, runtime=runtime, cache=scratch / "tested", poolings=("mean",), storage="float32").bank
    features = bank.read([sample.sha256 for sample in subset.samples], [(model.backbone.cuts[-1].index, "mean")])
    accuracy = float((done.head.logits(features).argmax(axis=1) == dataset.labels[test]).mean())
    note = f"{took_s:.0f} s: {done.epochs:.1f} epochs of {len(rows):,} pictures at {size_px} px, {runtime.dtype}"
    what = "`cifar10/`, all layers of Lite0: test accuracy" if is_real else "drawn pictures, all layers: test accuracy"
    check_.row(what, accuracy, reach=f"≥ {ACCURACY}", note=note, may_miss=True)


def onnx_agrees(check_: Check, scale: Scale, scratch: Path) -> None:
    """Fit on drawn pictures, export, and compare ONNX Runtime on the CPU with the model folder on the device."""
    import thawline
    from thawline.use.bundle import load_bundle
    from thawline.use.onnx_model import open_onnx

    photos = drawn(scratch / "onnx-photos", 40 if scale.device == "cpu" else 200, side=64)
    run = thawline.fit(photos, scratch / "run", options=make_options(device=scale.device, size=64)).out
    file = thawline.export(run, "onnx-tensor", out=scratch / "model.onnx").path
    model, classifier = open_onnx(file), load_bundle(run / "model", device=scale.device).classifier
    worst = 0.0
    for path in sorted(photos.rglob("*.jpg"))[:: 4 if scale.device == "cpu" else 1]:
        shares = model.predict("picture", path.read_bytes()).probabilities
        ours = classifier.answer(path.read_bytes())
        worst = max(worst, float(np.abs(np.array([shares[name] for name in model.facts.class_names]) - ours).max()))
    what = "ONNX Runtime on the CPU against the folder on the device: largest difference of a probability"
    check_.row(what, worst, reach=f"≤ {PROBABILITY_LIMIT:g}", note="drawn pictures")


PARTS: dict[str, Callable[[Check, Scale, Path], None]] = {
    "features": lambda check_, scale, scratch: features_agree(check_, scale),
    "training": training_agrees,
    "extraction": extraction_keeps_up,
    "onnx": onnx_agrees,
    "cifar10": tuning_reaches,
}


@contextmanager
def told(name: str, check_: Check) -> Iterator[None]:
    """Say what a part took, and go on where it failed: the other figures are wanted too."""
    start = time.perf_counter()
    try:
        yield
    except Exception as error:  # whatever it is, it is a finding
        check_.num_missed += 1
        print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
        if check_.is_small:
            raise
    finally:
        print(f"        {name}: {time.perf_counter() - start:.0f} s", flush=True)


def main() -> int:
    """Run all parts; return 1 where something misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and on the CPU, as where there is no GPU")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    asked = parser.parse_args()
    is_small = asked.quick or not torch.cuda.is_available()
    scale = ON_CPU if is_small else ON_GPU
    where = f"the CPU, {num_workers()} cores" if is_small else torch.cuda.get_device_name()
    if is_small and not asked.quick:
        print("gpu: no CUDA device here. Every part runs small on the CPU; no figure is recorded.")
    print(f"gpu: {where}; torch {torch.__version__}, Python {sys.version.split()[0]}", flush=True)
    check_ = Check(is_small=is_small)
    with tempfile.TemporaryDirectory(prefix="thawline-gpu-") as folder:
        for name, part in PARTS.items():
            if not asked.only or name in asked.only:
                with told(name, check_):
                    part(check_, scale, Path(folder))
    print(f"gpu: {check_.num_missed} missed; {time.perf_counter() - check_.start:.0f} s", flush=True)
    return 1 if check_.num_missed else 0


if __name__ == "__main__":
    sys.exit(main())
