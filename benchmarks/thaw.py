"""Fine-tuning against plain PyTorch and against its own promises: `make bench`, or `python benchmarks/thaw.py`.

Records what was reached, in parts that `--only` selects. What is compared is measured in turn within
one run; ratios are medians over the turns. Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the
project).
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
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np

from loops import (
    Held,
    batches_of,
    engine_s,
    inductor_loop,
    job_of,
    loop_s,
    plain_loop,
    plain_loop_from_files,
    plain_model,
    training_epoch_s,
)
from main_job import seconds
from pictures import DATA, fewer, need
from record import is_quick, record
from thawline.core.intervals import wilson
from thawline.core.options import Options
from thawline.core.progress import progress_for_stderr
from thawline.core.runtime import choose_runtime, for_training
from thawline.data.check import check
from thawline.data.load import load_pixels
from thawline.features.extract import extract, in_streams
from thawline.features.network import Network, load_backbone
from thawline.features.reader import FeatureReader
from thawline.heads.linear import fit_linear
from thawline.train.batches import Pictures
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions, parse_duration
from thawline.train.job import Job, plan_network
from thawline.train.loop import train
from thawline.train.phases import phases
from thawline.train.plan import parse_plan
from thawline.train.prefix import open_prefix
from thawline.train.thawed import write_back

PLAN = "last 7 blocks"
NONE, EVEN = np.empty(0, dtype=np.int64), np.ones(10, dtype=np.float32)
FULL_STEPS = fewer(6, 1)
NETWORKS = (("efficientnet_lite0", True), ("resnet18", False), ("vit_small_patch16_224", False))


def report(what: str, measured: str, reach: str) -> None:
    """Record a row as soon as it is known."""
    record("thaw", what, measured, reach=reach)


def in_turn(measures: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds that each of `measures` gave, turn by turn; a turn measures all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            found[name].append(measure())
            print(f"  {name}: {found[name][-1]:.2f} s", flush=True)
    return found


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median over the turns of the one's seconds ÷ the other's."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def suffix(chosen: Sequence[str], asked: argparse.Namespace, scratch: Path) -> None:
    """Measure epochs of the last blocks from cached activations against bare steps, and against a live prefix."""
    dataset, _ = check(pictures_of("monkeys", asked, scratch))
    network = load_backbone()
    job = job_of(dataset, network, PLAN, scratch / "activations")
    live = job_of(dataset, network, PLAN, scratch / "no room", disk_budget="1kB")  # what is stored needs no budget
    (phase,) = phases(job.plan, network, epochs=1)
    assert phase.cut is not None
    start = time.perf_counter()
    cache = open_prefix(job.context, job.train, network=network, cut=phase.cut)
    assert cache is not None
    filled_s = time.perf_counter() - start
    held, batches, below = Held(cache, job.train), batches_of(job), len(network.prefix_modules(phase.cut))
    bare = plain_loop(job, plain_model(job, start=below), held, job.context.runtime.torch_dtype)
    from_files = plain_loop_from_files(job, plain_model(job, frozen=below))
    rivals: dict[str, dict[str, Callable[[], float]]] = {
        "cached": {
            "bare steps over the same activations in memory, plain PyTorch": lambda: loop_s(bare, batches),
            "bare steps over the same activations in memory, own engine": lambda: engine_s(
                job, held, phase.cut, batches
            ),
        },
        "live": {
            "own training, prefix live, pictures in memory": lambda: training_epoch_s(live),
            "plain PyTorch from the files, prefix live": lambda: loop_s(from_files, batches),
        },
    }
    wanted = {name: rivals[name] for name in rivals if name in chosen}
    measures = {"training": lambda: training_epoch_s(job)}
    for part in wanted.values():
        measures |= part
    found = in_turn(measures, asked.repeats)
    report(
        f"filling the cache below `{PLAN}`, {cache.num_views} views of {len(job.train):,} pictures",
        f"{filled_s:.1f} s",
        "stated",
    )
    for name, part in wanted.items():
        for rival in part:
            report(
                f"an epoch of `{PLAN}` from the cache ÷ {rival}",
                f"{median_ratio(found['training'], found[rival]):.2f} "
                f"({statistics.median(found['training']):.2f} s ÷ {statistics.median(found[rival]):.2f} s)",
                {"cached": "≤ 1.15", "live": "≤ 0.35"}[name],
            )


def full(asked: argparse.Namespace, scratch: Path) -> None:
    """Measure full fine-tuning, pictures a second from memory, against plain PyTorch, eager and compiled."""
    dataset, _ = check(pictures_of("monkeys", asked, scratch))
    for name, pretrained in NETWORKS[: fewer(len(NETWORKS), 1)]:
        full_of(job_of(dataset, load_backbone(name, pretrained=pretrained), "all", scratch), asked.repeats)


def full_of(job: Job, repeats: int) -> None:
    """Measure full fine-tuning of one network."""
    batches = [batch for batch in batches_of(job) if len(batch) == job.context.training.batch_size][:FULL_STEPS]
    spec = job.network.backbone.input
    rows = Pictures(job.context.dataset, job.train, spec, job.context.runtime, augment="flip", seed=0)
    for batch in batches:
        rows.read(batch.samples, None)  # decoded before any clock starts
    eager = plain_loop(job, plain_model(job).train(), rows, job.context.runtime.torch_dtype)
    compiled = None if is_quick() else inductor_loop(job, batches)

    def own_s() -> float:
        return engine_s(job, rows, None, batches)

    def slow_depthwise_s() -> float:
        with mock.patch("thawline.train.engine.FastDepthwise", nullcontext):
            return own_s()

    own, slow, plain, inductor = "own engine", "own engine, PyTorch's depthwise", "eager autocast", "Inductor fp32"
    measures = {own: own_s, slow: slow_depthwise_s, plain: lambda: loop_s(eager, batches)}
    pairs = [(own, plain, "≥ 1.5"), (slow, plain, "stated")]
    if compiled is not None:
        measures[inductor] = lambda: loop_s(compiled, batches)
        pairs.insert(1, (own, inductor, "≥ 1.5"))
    found = in_turn(measures, repeats)
    num_pictures = sum(map(len, batches))
    rate = {name: num_pictures / statistics.median(times) for name, times in found.items()}
    for ours, theirs, limit in pairs:
        report(
            f"`all` of {job.network.backbone.name} at {spec.size_px} px, pictures a second: {ours} ÷ {theirs}",
            f"{median_ratio(found[theirs], found[ours]):.2f} ({rate[ours]:.0f} ÷ {rate[theirs]:.0f} img/s)",
            limit,
        )


def monkeys(asked: argparse.Namespace, scratch: Path) -> None:
    """Measure the three steps of the origin project from the shell: from nothing, frozen, tuned."""
    pictures = pictures_of("monkeys", asked, scratch)
    run, _, wall = shell("tune", pictures, scratch, "--plan", "simple cnn")
    report('`tune monkeys --plan "simple cnn"`: test accuracy', accuracy_text(run, wall), "≥ 0.46")
    run, _, wall = shell("fit", pictures, scratch)
    report(f"`fit monkeys`: test accuracy of {run['winner']}", accuracy_text(run, wall), "≥ 0.985")
    plan = "head, then last 7 blocks"
    run, board, wall = shell("tune", pictures, scratch, "--plan", plan)
    report(f'`tune monkeys --plan "{plan}"`: test accuracy', accuracy_text(run, wall), "≥ frozen, or a tie")
    report(f"`{plan}` less the best frozen strategy, held-out pictures", paired_text(board), "≥ 0, or a tie")


def budget(asked: argparse.Namespace, scratch: Path) -> None:
    """Measure each forecast of a run with a budget against what it took, and the run against the budget."""
    pictures = pictures_of("monkeys", asked, scratch)
    run, _, wall = shell("fit", pictures, scratch, "--budget", asked.budget)
    misses = []
    for row in run["forecast"]:
        what, expected = f"forecast of {row['strategy']}", f"{row['seconds']:.0f} s"
        if row["took_s"] is None:
            report(what, f"{expected}; {row['outcome']}", "stated")
            continue
        miss = row["took_s"] / row["seconds"] - 1
        misses.append(miss)
        report(what, f"{expected}; took {row['took_s']:.0f} s, {miss:+.0%}; {row['outcome']}", "within ±35 %")
    if misses:
        report(f"the worst of {len(misses)} forecasts", f"{max(misses, key=abs):+.0%}", "within ±35 %")
    report(
        f"`fit monkeys --budget {asked.budget}`: wall time ÷ budget",
        f"{wall / parse_duration(asked.budget):.2f}; test accuracy of {run['winner']} {accuracy_text(run, wall)}",
        "≤ 1",
    )


def celebrities(asked: argparse.Namespace, scratch: Path) -> None:
    """Measure the best frozen strategy at larger inputs, and with heads that learn from mirror images too."""
    pictures = pictures_of("celebrities", asked, scratch)
    for options in (("--size", "448"), ("--size", "352", "--augment", "flip")):
        board = json.loads(thawline("compare", str(pictures), *options, "--json", cache=scratch / "faces"))
        best = board["trials"][0]
        report(
            f"`compare celebrities {' '.join(options)}`, {board['rule']}, {board['num_pictures']} pictures: "
            f"{best['strategy']}",
            f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]; "
            f"the choice, cross-validated {board['chosen']['mean']:.3f}",
            "≥ 0.90",
        )


def cifar10(asked: argparse.Namespace, scratch: Path) -> None:
    """Train once on all 50,000 pictures and read the 10,000 test pictures once: frozen, thawed and from nothing.

    In this process and without folds: what a fold costs is a third of three training runs, and is not the point here.
    """
    runtime, cache = for_training(choose_runtime()), scratch / "cifar"
    dataset, _ = check(pictures_of("cifar10", asked, scratch))
    parts = np.array([sample.split for sample in dataset.samples])
    rows, test = np.flatnonzero(parts != "test"), np.flatnonzero(parts == "test")

    def say(what: str, logits: np.ndarray, start: float, reach: str) -> None:
        right = logits.argmax(axis=1) == dataset.labels[test]
        low, high = wilson(int(right.sum()), len(right))
        taken = time.perf_counter() - start
        report(
            f"`cifar10/`, {what}: test accuracy", f"{right.mean():.4f} [{low:.4f}, {high:.4f}]; {taken:.0f} s", reach
        )

    def trained(text: str, size_px: int, epochs: int, reach: str) -> None:
        start = time.perf_counter()
        plan, training = parse_plan(text), TrainOptions(epochs=epochs, batch_size=64)
        machine = Machine(runtime, progress=progress_for_stderr())
        backbone = load_backbone(size_px=size_px)
        context = Context(dataset, backbone, Options(cache_dir=cache), training, machine, cache)
        network = plan_network(plan, context)
        done = train(Job(context, plan, network, rows, NONE, EVEN))
        model = write_back(network, done.tensors, plan=plan.name, keeps_norms=plan.from_nothing)
        features = read_features(model, [(model.backbone.cuts[-1].index, "mean")])
        what = f"{network.backbone.name} · {plan.name}, {network.backbone.input.size_px} px, {epochs} epochs"
        say(what, done.head.logits(features), start, reach)

    def read_features(network: Network, blocks: list[tuple[int, str]]) -> np.ndarray:
        reader = FeatureReader(network, runtime, blocks, "float16")
        batches = [test[at : at + runtime.batch_size] for at in range(0, len(test), runtime.batch_size)]

        def read(batch: np.ndarray) -> np.ndarray:
            return reader.read(np.stack([load_pixels(dataset.samples[row], network.backbone.input) for row in batch]))

        return np.concatenate(list(in_streams(read, batches))).astype(np.float32)

    if "all" in asked.cifar:
        trained("all", asked.cifar_size, asked.cifar_epochs, "≥ 0.94")
    if "last" in asked.cifar:
        trained("last 20 %", asked.cifar_size, asked.cifar_epochs, "stated")
    if "deep" in asked.cifar:
        trained("deep cnn", 224, asked.cifar_scratch_epochs, "≥ 0.80")
    if "frozen" not in asked.cifar:
        return
    start = time.perf_counter()
    network = load_backbone()
    bank = extract(
        dataset, network, runtime=runtime, cache=cache, poolings=("mean",), progress=progress_for_stderr()
    ).bank
    hashes = [sample.sha256 for sample in dataset.samples]
    blocks = [(cut.index, "mean") for cut in network.backbone.cuts]
    for name, read in (("whole", blocks[-1:]), ("fused 2.1–head", blocks[len(blocks) // 4 :])):
        fitted = fit_linear(
            bank.read([hashes[row] for row in rows], read), dataset.labels[rows], l2=1e-4, num_classes=10
        )
        features = bank.read([hashes[row] for row in test], read)
        say(f"frozen, 224 px, {name} · linear", fitted.logits(features), start, "stated; prototypes 0.805, 0.824")


def thawline(*words: str, cache: Path) -> str:
    """Return what `thawline WORDS` prints, or stop with its error output."""
    environment = {**os.environ, "THAWLINE_CACHE": str(cache)}
    command = [sys.executable, "-m", "thawline", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: thawline {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def shell(verb: str, pictures: Path, scratch: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Run a verb with a cold cache; return run.json, leaderboard.json and wall seconds."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    out = place / "run"
    wall = seconds(lambda: thawline(verb, str(pictures), "-o", str(out), *options, cache=place / "cache"))
    run, board = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("run.json", "leaderboard.json"))
    shutil.rmtree(place)
    return run, board, wall


def accuracy_text(run: Mapping[str, Any], wall: float) -> str:
    """Return the test accuracy of a run with its interval, and what the run took."""
    test = run["test"]
    return (
        f"{test['accuracy']:.4f} [{test['low']:.3f}, {test['high']:.3f}] of {test['n']:,}; "
        f"{test['accuracy_without_leaks']:.4f} of the {test['n_without_leaks']:,} without a copy in training; "
        f"{wall:.0f} s"
    )


def paired_text(board: Mapping[str, Any]) -> str:
    """Return the paired difference of the tuned strategy from the best frozen one; one of the two leads."""
    trials = board["trials"]
    tuned = next(trial for trial in trials if trial["tune"])
    frozen = next(trial for trial in trials if not trial["tune"])
    second, sign = (frozen, -1) if tuned is trials[0] else (tuned, 1)
    low, high = sorted(sign * second[end] for end in ("difference_low", "difference_high"))
    return (
        f"{sign * second['difference']:+.4f} [{low:+.3f}, {high:+.3f}] on {tuned['num_pictures']:,} pictures, "
        f"p = {second['p_value']:.2f}: {'a tie' if second['tied'] else 'no tie'} with {frozen['strategy']}"
    )


def pictures_of(name: str, asked: argparse.Namespace, scratch: Path) -> Path:
    """Return a set of real pictures: the whole, or with `--pictures` the first few of every class and part."""
    if asked.pictures is None:
        return DATA / name
    folder = scratch / "pictures" / name
    if folder.is_dir():
        return folder
    dataset, _ = check(DATA / name)
    taken: Counter[Path] = Counter()
    for sample in dataset.samples:
        place = folder / (sample.split or "") / dataset.class_names[sample.label]
        if taken[place] < asked.pictures:
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{taken[place]}.jpg").write_bytes(sample.source.read())
            taken[place] += 1
    return folder


PARTS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "full": full,
    "monkeys": monkeys,
    "budget": budget,
    "celebrities": celebrities,
    "cifar10": cifar10,
}
SUFFIX_PARTS = ("cached", "live")
LONG_PARTS = ("cifar10",)


def parsed() -> argparse.Namespace:
    """Return what is asked for on the command line."""
    names = [*SUFFIX_PARTS, *PARTS]
    usual = [name for name in names if name not in LONG_PARTS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help=f"a part; default: {', '.join(usual)}")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one turn of two parts: whether it runs")
    parser.add_argument("--repeats", type=int, default=5, help="turns of `cached`, `live` and `full`")
    parser.add_argument("--budget", default="15min", help="of `budget`")
    parser.add_argument(
        "--cifar", nargs="*", default=["all", "last", "deep", "frozen"], help="what to train on `cifar10`"
    )
    parser.add_argument("--cifar-size", type=int, default=96, help="side of the input on `cifar10`, in pixels")
    parser.add_argument("--cifar-epochs", type=int, default=6, help="epochs of thawed networks on `cifar10`")
    parser.add_argument("--cifar-scratch-epochs", type=int, default=10, help="epochs of `deep cnn` on `cifar10`")
    parser.add_argument("--pictures", type=int, help=argparse.SUPPRESS)  # of every class and part: to try the script
    asked = parser.parse_args()
    asked.only = asked.only or (["cached", "full"] if asked.quick else usual)
    asked.repeats = 1 if asked.quick else asked.repeats
    return asked


def main() -> None:
    """Run the parts and print the table."""
    asked = parsed()
    need("monkeys", "celebrities")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if not set(SUFFIX_PARTS).isdisjoint(asked.only):
            suffix(asked.only, asked, scratch)
        for name, part in PARTS.items():
            if name in asked.only:
                part(asked, scratch)


if __name__ == "__main__":
    main()
