"""The main job against its floor, measured in one run: `make bench`, or `python benchmarks/main_job.py`.

Records what was reached. A floor is measured with what is compared with it, several times, in
turn; medians are used. Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from pictures import DATA, need
from record import is_quick, record
from thawline.core.runtime import choose_runtime
from thawline.data.check import check
from thawline.data.images import prepare
from thawline.data.load import map_ordered, read_checked
from thawline.data.split import make_split
from thawline.features.extract import extract, in_streams
from thawline.features.network import frozen_for_inference, load_backbone
from thawline.features.reader import to_input
from thawline.search.compare import compare

NUM_HELD = 20


def report(what: str, measured: str, reach: str) -> None:
    """Record a row as soon as it is known."""
    record("main_job", what, measured, reach=reach)


def seconds(work) -> float:
    """Return how long `work()` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best_engine(network, runtime, batches):
    """Return (name, function of a batch) of the fastest bare forward pass found: eager streams or Inductor."""
    folded = frozen_for_inference(network, runtime)
    last = network.backbone.cuts[-1].index

    def bare(x):
        with torch.inference_mode():
            return folded.prefix(x, last)

    engines = {"eager, batch norms folded, one stream a core": lambda: list(in_streams(bare, batches))}
    try:
        if is_quick():
            raise NotImplementedError
        import torch._inductor.config as inductor

        inductor.freezing = True
        compiled = torch.compile(folded.model.forward_features)
        big = [torch.cat(batches[at : at + 2]) for at in range(0, len(batches) - 1, 2)]
        tail = batches[len(big) * 2 :]

        def run_compiled():
            with torch.inference_mode():
                for x in big:
                    compiled(x)
                for x in tail:
                    bare(x)

        run_compiled()
        engines["Inductor with freezing"] = run_compiled
    except Exception as error:  # no compiler on this machine: the floor is the eager one
        print(f"(Inductor cannot be measured here: {type(error).__name__})")
    for run in engines.values():
        run()
    times = {name: statistics.median(seconds(run) for _ in range(3)) for name, run in engines.items()}
    name = min(times, key=times.get)
    print("bare forward: " + "; ".join(f"{n} {len(batches) * len(batches[0]) / t:.0f} img/s" for n, t in times.items()))
    return name, engines[name]


def extraction_and_comparison(repeats: int, scratch: Path) -> float:
    """Measure floor, extraction and comparison in turn; return the floor in seconds."""
    dataset, _ = check(DATA / "monkeys")
    network, runtime = load_backbone(), choose_runtime()
    unique = list({sample.sha256: sample for sample in dataset.samples}.values())
    spec = network.backbone.input
    pixels = np.stack([prepare(read_checked(sample), spec) for sample in unique])
    size = runtime.batch_size
    usable = len(unique) // size * size
    batches = [to_input(pixels[at : at + size], spec, runtime=runtime) for at in range(0, usable, size)]
    engine, forward = best_engine(network, runtime, batches)
    split = make_split(dataset)
    decode_s, forward_s, extract_s, compare_s = [], [], [], []
    for number in range(repeats):
        decode_s.append(seconds(lambda: list(map_ordered(lambda s: prepare(read_checked(s), spec), unique))))
        forward_s.append(seconds(forward) * len(unique) / usable)
        cache = scratch / f"cache{number}"
        done = extract(dataset, network, runtime=runtime, cache=cache)
        extract_s.append(done.seconds)
        comparison = compare(done.bank, network.backbone, dataset=dataset, split=split)
        compare_s.append(comparison.leaderboard.seconds)
        shutil.rmtree(cache)
    floor = statistics.median(d + f for d, f in zip(decode_s, forward_s, strict=True))
    print(f"decode {decode_s}\nforward {forward_s}\nextract {extract_s}\ncompare {compare_s}")
    ratio = statistics.median(e / (d + f) for e, d, f in zip(extract_s, decode_s, forward_s, strict=True))
    median = statistics.median
    report(
        "extraction at every cut ÷ (decoding + the fastest bare forward pass)",
        f"{ratio:.2f} ({median(extract_s):.2f} s ÷ ({median(decode_s):.2f} + {median(forward_s):.2f}) s; {engine})",
        "≤ 1.25",
    )
    board = comparison.leaderboard
    ratio = median(c / e for c, e in zip(compare_s, extract_s, strict=True))
    found = f"{ratio:.2f} ({median(compare_s):.2f} s; {board.num_fits:,} fits)"
    report("comparison ÷ extraction", found, "≤ 0.75")
    return floor


def fit(pictures: Path, out: Path, cache: Path, *options: str) -> tuple[dict, dict, float]:
    """Run `thawline fit` from the shell and return run.json, leaderboard.json and wall seconds."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "thawline", "fit", str(pictures), "-o", str(out), "--replace", *options]
    subprocess.run(
        command,
        env={**os.environ, "THAWLINE_CACHE": str(cache)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - start
    return json.loads((out / "run.json").read_text()), json.loads((out / "leaderboard.json").read_text()), wall


def whole_job(repeats: int, floor: float, scratch: Path) -> None:
    """Measure `fit` from the shell: cold, again, with 20 pictures more, with a class renamed."""
    pictures = scratch / "monkeys"
    shutil.copytree(DATA / "monkeys", pictures)
    everything = sorted(pictures.glob("*/*/*"))
    copies = Counter(path.read_bytes() for path in everything)
    alone = [path for path in everything if copies[path.read_bytes()] == 1 and path.parts[-3] == "training"]
    held = alone[:: max(1, len(alone) // NUM_HELD)][:NUM_HELD]
    (scratch / "held").mkdir()
    moved = [(path, scratch / "held" / f"{number}") for number, path in enumerate(held)]
    walls = []
    for number in range(repeats):
        run, board, wall = fit(DATA / "monkeys", scratch / "run", scratch / f"cold{number}")
        walls.append(wall)
    test = run["test"]
    report(
        "whole `fit`, cold cache, from the shell ÷ the same floor",
        f"{statistics.median(walls) / floor:.2f} "
        f"({statistics.median(walls):.1f} s; {', '.join(f'{w:.1f}' for w in walls)})",
        "≤ 3",
    )
    winner = next(trial for trial in board["trials"] if trial["strategy"] == run["winner"])
    report("accuracy of the winner in its folds", f"{winner['mean']:.4f} ({run['winner']})", "≥ 0.990")
    report(
        "test accuracy of the winner",
        f"{test['accuracy']:.4f} [{test['low']:.3f}, {test['high']:.3f}] of {test['n']}; "
        f"{test['accuracy_without_leaks']:.4f} of the {test['n_without_leaks']} without a copy in training; "
        f"{run['winner']}",
        "≥ 0.985",
    )
    if is_quick():
        return
    for path, aside in moved:
        path.rename(aside)
    cache = scratch / "warm"
    fit(pictures, scratch / "run", cache)
    run, _, _ = fit(pictures, scratch / "run", cache)
    report("`fit` again on the same pictures: pictures extracted", str(run["extraction"]["pictures"]), "0")
    for path, aside in moved:
        aside.rename(path)
    run, _, _ = fit(pictures, scratch / "run", cache)
    report(
        f"`fit` after {NUM_HELD} pictures are added: pictures extracted",
        str(run["extraction"]["pictures"]),
        str(NUM_HELD),
    )
    for part in ("training", "validation"):
        (pictures / part / "n0").rename(pictures / part / "howler")
    run, _, _ = fit(pictures, scratch / "run", cache)
    report(
        "`fit` after all labels of one class are renamed: pictures extracted", str(run["extraction"]["pictures"]), "0"
    )


def celebrities(scratch: Path) -> None:
    """Measure the best frozen strategy on `celebrities/`, by all pictures, at two input sizes."""
    for size in ("224", "352"):
        command = [sys.executable, "-m", "thawline", "compare", str(DATA / "celebrities"), "--size", size, "--json"]
        done = subprocess.run(
            command, env={**os.environ, "THAWLINE_CACHE": str(scratch / "faces")}, check=True, capture_output=True
        )
        board = json.loads(done.stdout)
        best = board["trials"][0]
        last = next(
            t for t in board["trials"] if t["blocks_removed"] == 0 and len(t["depths"]) == 1 and t["head"] == "linear"
        )
        report(
            f"`celebrities/` at {size} px: winner in its folds",
            f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]; over the last cut alone "
            f"{-last['difference']:+.3f} [{-last['difference_high']:+.3f}, {-last['difference_low']:+.3f}]; "
            f"forecast of the whole choice {board['chosen']['mean']:.3f} ({board['num_pictures']} pictures, "
            f"{board['rule']}, {best['strategy']})",
            "≥ 0.875" if size == "224" else "stated",
        )


def memory(scratch: Path) -> None:
    """Measure resident memory while 60,000 pictures are extracted, over that of an imported torch."""
    code = (
        "import sys, time, torch, thawline.api as api; from pathlib import Path\n"
        "from thawline.core.options import make_options\n"
        "print('ready', flush=True); time.sleep(1)\n"
        "r = api.extract(sys.argv[1], make_options(cache_dir=sys.argv[2]))\n"
        "print(r.num_extracted, r.seconds, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(DATA / "cifar10"), str(scratch / "cifar")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    base, peak = _resident_mib(process.pid), 0.0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.1):
            peak = max(peak, _resident_mib(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    extracted, took = process.stdout.readline().split()
    stop.set()
    watcher.join()
    process.wait()
    report(
        f"resident memory while extracting {int(extracted):,} pictures of `cifar10/` over imported torch",
        f"{(peak - base) / 1024:.2f} GiB (peak {peak / 1024:.2f}, base {base / 1024:.2f}; {float(took):.0f} s)",
        "≤ 1.5 GB",
    )


def _resident_mib(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def main() -> None:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one repeat: whether it runs")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    need("monkeys", "celebrities")
    repeats = 1 if asked.quick else asked.repeats
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        floor = extraction_and_comparison(repeats, scratch)
        whole_job(min(repeats, 3), floor, scratch)
        if not asked.quick:
            celebrities(scratch)
            memory(scratch)


if __name__ == "__main__":
    main()
