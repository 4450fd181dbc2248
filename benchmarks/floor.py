"""Reading pictures against the least possible time: `python benchmarks/floor.py [--quick] [--pictures N]`.

The floor is decoding on all cores, plus the bare pass of the fastest engine found in the same number format, each
measured in turn with the extraction of every cut, pooled and stored; medians of three. The bare pass is linear in the
pictures, so it is measured on a sample; the extraction is whole, once with `--engine auto` on a new cache and once with
the fastest engine, whose graph is kept already. Needs the real pictures (THAWLINE_DATA).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from main_job import seconds
from pictures import DATA, need
from record import is_quick, record
from thawline.core.errors import BackboneError, UsageError
from thawline.core.runtime import Runtime, choose_runtime, keep_freed_memory, num_workers
from thawline.core.types import Floats, Pixels
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.load import load_pixels, map_ordered
from thawline.features.engines.compiled import compiled
from thawline.features.engines.cuts_module import CutsModule, graph_of
from thawline.features.extract import extract, in_streams
from thawline.features.network import Network, load_backbone
from thawline.features.reader import FeatureReader

BACKBONES = ("efficientnet_lite0", "resnet34", "vit_small_patch16_224")
SAMPLE, ROUNDS = 256, 3
Read = Callable[[Pixels], Floats]


def bare_engines(network: Network, runtime: Runtime, *, with_inductor: bool) -> dict[str, Read]:
    """Return ways to run a network to its last cut and take one mean there, by name: those that run here."""
    block = [(network.backbone.cuts[-1].index, "mean")]
    plain = CutsModule(network, block, runtime.torch_dtype)

    def as_torch_does(pixels: Pixels) -> Floats:
        with torch.inference_mode():
            return plain(torch.from_numpy(pixels)).numpy()

    found: dict[str, Read] = {
        "eager": FeatureReader(network, runtime, block, "float32").features,
        "eager, plain": as_torch_does,
    }
    for engine in ("openvino", "onnxruntime", *(["inductor"] if with_inductor else [])):
        with suppress(UsageError, BackboneError):
            found[engine] = compiled(
                replace(runtime, engine=engine),
                graph=lambda: graph_of(network, block, runtime=runtime),
                module=lambda: CutsModule(network, block, runtime.torch_dtype),
            )
    return found


def openvino_as_it_recommends(network: Network, runtime: Runtime) -> Read | None:
    """Return OpenVINO with its own number of streams and of pictures at once, or None where it is not installed."""
    with suppress(UsageError, BackboneError):
        from thawline.features.engines.openvino_library import load_openvino

        openvino = load_openvino("bench")
        block = [(network.backbone.cuts[-1].index, "mean")]
        core = openvino.Core()
        hint = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32" if runtime.dtype == "float32" else "bf16",
        }
        model = core.compile_model(core.read_model(graph_of(network, block, runtime=runtime)), "CPU", hint)
        queue = openvino.AsyncInferQueue(model)

        def run(pixels: Pixels) -> Floats:
            for at in range(0, len(pixels), runtime.batch_size):
                queue.start_async({0: pixels[at : at + runtime.batch_size]})
            queue.wait_all()
            return np.empty(0, dtype=np.float32)

        return run
    return None


def measure(name: str, dataset: Dataset, runtime: Runtime, *, sample: int, rounds: int, scratch: Path) -> None:
    """Record floor and extraction of one network in one number format."""
    network = load_backbone(name, pretrained=name == "efficientnet_lite0")
    spec, size = network.backbone.input, runtime.batch_size
    unique = list({item.sha256: item for item in dataset.samples}.values())
    pixels = np.stack(list(map_ordered(lambda item: load_pixels(item, spec), unique[: sample // size * size])))
    batches = [pixels[at : at + size] for at in range(0, len(pixels), size)]
    ways: dict[str, Callable[[], object]] = {
        engine: lambda read=read: list(in_streams(read, batches))
        for engine, read in bare_engines(network, runtime, with_inductor=not is_quick()).items()
    }
    recommended = openvino_as_it_recommends(network, runtime)
    if recommended is not None:
        ways["openvino, as it recommends"] = lambda: recommended(pixels)
    for run in ways.values():
        run()
    decode_s: list[float] = []
    took: dict[str, list[float]] = {way: [] for way in ways}
    asked = ["auto", *(engine for engine in ("eager", "openvino", "onnxruntime") if engine in ways)]
    extract_s: dict[str, list[float]] = {engine: [] for engine in asked}
    chosen = ""
    for number in range(rounds):
        decode_s.append(seconds(lambda: list(map_ordered(lambda item: load_pixels(item, spec), unique, ahead=64))))
        for way, run in ways.items():
            took[way].append(seconds(run) * len(unique) / len(pixels))
        for engine in asked:
            cache = scratch / f"{engine}{number if engine == 'auto' else ''}"
            done = extract(dataset, network, runtime=replace(runtime, engine=engine), cache=cache)
            extract_s[engine].append(done.seconds)
            chosen = done.bank.spec.engine if engine == "auto" else chosen
            shutil.rmtree(cache / "banks")
    forward = {way: statistics.median(times) for way, times in took.items()}
    best = min(forward, key=forward.__getitem__)
    floors = [d + f for d, f in zip(decode_s, took[best], strict=True)]
    pace = "; ".join(f"{way} {len(unique) / s:,.0f}/s" for way, s in sorted(forward.items(), key=lambda item: item[1]))
    what = f"{name}, {runtime.dtype}, {len(unique):,} pictures"
    record("floor", f"bare forward, {what}", round(1000 * forward[best] / len(unique), 3), unit="ms", note=pace)
    for engine, times in extract_s.items():
        ratio = statistics.median(e / f for e, f in zip(times, floors, strict=True))
        known = f"chose {chosen}, new cache" if engine == "auto" else "its graph kept"
        record(
            "floor",
            f"extraction at every cut by {engine} ÷ floor, {what}",
            round(ratio, 3),
            reach="≤ 1.15" if engine == "auto" else None,
            note=f"{statistics.median(times):.1f} s ÷ (decode {statistics.median(decode_s):.1f} + {best} "
            f"{forward[best]:.1f}) s; {known}",
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few pictures of one network, nothing recorded")
    parser.add_argument("--backbone", action="append", choices=BACKBONES)
    parser.add_argument("--dtype", action="append", choices=("float32", "bfloat16"))
    parser.add_argument("--pictures", type=int, help="of cifar10, at the network's size; default: monkeys")
    parser.add_argument("--rounds", type=int, help="extractions of each engine")
    asked = parser.parse_args()
    need("cifar10" if asked.pictures else "monkeys")
    keep_freed_memory()
    dataset, _ = check(DATA / ("cifar10" if asked.pictures else "monkeys"))
    count = 24 if is_quick() else asked.pictures or len(dataset.samples)
    chosen = np.linspace(0, len(dataset.samples) - 1, min(count, len(dataset.samples))).astype(int)
    dataset = replace(dataset, samples=tuple(dataset.samples[at] for at in chosen.tolist()))
    rounds = asked.rounds or (1 if is_quick() or asked.pictures else ROUNDS)
    print(f"{num_workers()} cores, {len(dataset.samples):,} pictures, {rounds} rounds", flush=True)
    for name in asked.backbone or (BACKBONES[:1] if is_quick() else BACKBONES):
        for dtype in asked.dtype or (("float32",) if is_quick() else ("float32", "bfloat16")):
            with tempfile.TemporaryDirectory() as folder:
                runtime = choose_runtime("cpu", dtype)
                sample = 8 if is_quick() else SAMPLE
                measure(name, dataset, runtime, sample=sample, rounds=rounds, scratch=Path(folder))


if __name__ == "__main__":
    main()
