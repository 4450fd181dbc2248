"""Thawline beside what people use today: the same pictures, weights and cores, accuracy against wall time.

    make bench-peers                                        all of it, about an hour and a half
    python benchmarks/against_peers.py --only thawline sklearn --sets monkeys
    python benchmarks/against_peers.py --only               compare what is recorded, and draw it

Each tool runs from the shell as its documentation recommends (`benchmarks/peers/`), for five minutes at most. After an
epoch it says which test pictures it has right; answering them is taken off its clock. The peers' environment is
`.venv-peers`; scikit-learn on timm runs in Thawline's own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from peers_figure import write_figure
from pictures import drawn, need
from record import RESULTS, is_quick, record
from thawline.core.intervals import wilson

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
SCRIPTS = {
    "sklearn": ("timm + scikit-learn", "sklearn_on_timm"),
    "fastai": ("fastai", "fastai_tune"),
    "torch": ("plain PyTorch loop", "torch_loop"),
    "trainer": ("Hugging Face Trainer", "hf_trainer"),
    "keras": ("Keras 3, frozen features", "keras_features"),
}
FINE_TUNE = ("fastai", "torch", "trainer")
"""Peers that run the network in each epoch; the others compute its features once."""
THAWLINE = {"thawline": "Thawline `fit`", "budget": "Thawline `fit --budget`"}
SETS = ("monkeys", "celebrities", "cifar10")
TIMES_S = (60.0, 300.0)
LOOK_EVERY_S = 2.0
"""Between two looks at a tool's memory, which take time of a core from it where it holds gigabytes."""
REACH = {"monkeys": "≤ 0.05", "celebrities": "≤ 0.2", "cifar10": "≤ 0.2"}


class ToolFailedError(Exception):
    """A tool ended before it had answered once; what it said."""


@dataclass(frozen=True)
class Curve:
    """What a tool knew when.

    Attributes:
        seconds: When it answered the test, answering left out; of Thawline when its model was written, and its end.
        right: (answers, N) bool, pictures in the order of their names.
        took_s: The whole process from the shell.
        ended: Whether it did all that its documentation recommends within the cap.
    """

    seconds: tuple[float, ...]
    right: np.ndarray[Any, np.dtype[np.bool_]]
    took_s: float
    memory_gib: float
    disk_mib: float
    ended: bool

    @property
    def accuracies(self) -> list[float]:
        """Share of right answers at every time."""
        return [round(float(row.mean()), 4) for row in self.right]


def run(tool: str, folder: Path, *, weights: Path, cap_s: float) -> Curve:
    """Return what a tool knew when, after a run from the shell on a folder with `train/` and `test/`.

    Raises:
        ToolFailedError: It did not answer once.
    """
    with tempfile.TemporaryDirectory(prefix="thawline-peer-") as scratch:
        place = Path(scratch)
        command = command_of(tool, folder, place, cap_s)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" or tool in THAWLINE}
        environment |= {"HF_HOME": str(weights), "HF_HUB_OFFLINE": "1", "PEERS_ANSWERS": str(place / "answers.jsonl")}
        environment |= {"THAWLINE_CACHE": str(place / "cache"), "PEERS_STARTED": repr(time.time())}
        environment |= {"HF_DATASETS_CACHE": str(place / "datasets"), "TOKENIZERS_PARALLELISM": "false"}
        start, started = time.perf_counter(), time.time()
        with (place / "said.txt").open("w") as said:
            process = subprocess.Popen(
                command, cwd=place, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
            memory = watch(process, place / "answers.jsonl", cap_s=cap_s)
        took_s, ended = time.perf_counter() - start, process.returncode == 0
        if tool in THAWLINE and ended:
            rows, model = test_rows(place / "run" / "predictions.csv"), place / "run" / "model"
            written = max(file.stat().st_mtime for file in model.rglob("*"))
            answers = [(written - started, rows), (took_s, rows)]
        else:
            answers = read_answers(place / "answers.jsonl")
        if not answers:
            raise ToolFailedError((place / "said.txt").read_text(encoding="utf-8", errors="replace"))
        disk = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 2**20
    names = sorted(answers[0][1])
    right = np.array([[bool(row[name]) for name in names] for _, row in answers])
    return Curve(tuple(seconds for seconds, _ in answers), right, took_s, memory, disk, ended)


def command_of(tool: str, folder: Path, place: Path, cap_s: float) -> list[str]:
    """Return what a person would type."""
    if tool in THAWLINE:
        budget = ["--budget", f"{cap_s:g}s"] if tool == "budget" else []
        return [sys.executable, "-m", "thawline", "fit", str(folder), "-o", str(place / "run"), *budget]
    python = sys.executable if tool == "sklearn" else str(PEERS)
    return [python, str(HERE / "peers" / f"{SCRIPTS[tool][1]}.py"), str(folder)]


def watch(process: subprocess.Popen[bytes], told: Path, *, cap_s: float) -> float:
    """Wait for a process, ending its group once it has told its answers past the cap; return its peak memory in GiB."""
    start, peak = time.perf_counter(), 0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            peak = max(peak, sum(memory_of(member) for member in [parent, *parent.children(recursive=True)]))
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY_S)
        late = any(seconds > cap_s for seconds, _ in read_answers(told))
        if process.returncode is None and (late or time.perf_counter() - start > 1.6 * cap_s):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return peak / 2**30


def memory_of(process: psutil.Process) -> int:
    """Return the bytes of a process, those that it shares with others counted in part where the system tells."""
    used = process.memory_full_info()
    return int(getattr(used, "pss", used.rss))


def read_answers(file: Path) -> list[tuple[float, dict[str, int]]]:
    """Return (seconds, picture → whether it was right) of what a peer told, in order; a cut last line is left out."""
    answers = []
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        try:
            told = json.loads(line)
        except ValueError:
            break
        answers.append((float(told["seconds"]), told["right"]))
    return answers


def test_rows(file: Path) -> dict[str, int]:
    """Return picture → whether it was right, of the held-out pictures in a run's predictions."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["part"] == "test"]
    return {Path(row["path"]).name: int(row["predicted"] == row["label"]) for row in rows}


def lines_of(tool: str) -> int:
    """Return how many lines a person writes: without the docstring, blank lines, and what tells the answers."""
    if tool in THAWLINE:
        return 1
    text = (HERE / "peers" / f"{SCRIPTS[tool][1]}.py").read_text("utf-8").split('"""', 2)[2]
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith('"""')]
    return sum(not any(word in line for word in ("tell", "Tell", "answering", "answers")) for line in lines)


def at(curve: Mapping[str, Any], seconds: float) -> str | None:
    """Return the last answers that were there by then, a bit a picture; None where there were none."""
    there = [bits for when, bits in zip(curve["seconds"], curve["bits"], strict=True) if when <= seconds]
    return there[-1] if there else None


def difference(ours: str, theirs: str) -> tuple[float, float, float]:
    """Return the paired difference of two accuracies on the same pictures with its 95 % interval.

    Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions based on paired
    data", method 10: Wilson's intervals of both shares, joined by the correlation of the answers (phi, which is
    corrected for continuity where it is positive).
    """
    a, b = (np.array(list(bits)) == "1" for bits in (ours, theirs))
    n, both, only_a, only_b = len(a), int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum())
    neither = n - both - only_a - only_b
    p, q = float(a.mean()), float(b.mean())
    (low_p, high_p), (low_q, high_q) = wilson(int(a.sum()), n), wilson(int(b.sum()), n)
    across = both * neither - only_a * only_b
    product = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    phi = (max(across - n / 2, 0) if across > 0 else across) / product**0.5 if product else 0.0
    below, above, under, over = p - low_p, high_p - p, q - low_q, high_q - q
    low = p - q - max(0.0, below**2 - 2 * phi * below * over + over**2) ** 0.5
    high = p - q + max(0.0, above**2 - 2 * phi * above * under + under**2) ** 0.5
    return p - q, low, high


def measure(
    tools: Sequence[str], sets: Sequence[str], *, data: Path, scratch: Path, cap_s: float, repeats: int
) -> None:
    """Run tools on sets, in turn, and record each one's curve."""
    sys.path.insert(0, str(HERE / "peers"))
    from pictures_of_peers import lay_out, lay_weights

    lay_weights(scratch / "weights")
    for name in sets:
        folder = lay_out(name, data, scratch / "pictures")
        curves: dict[str, list[Curve]] = {tool: [] for tool in tools}
        for _ in range(repeats):
            for tool in tools:
                if tool == "budget" and cap_s < TIMES_S[0]:
                    continue
                try:
                    curves[tool].append(run(tool, folder, weights=scratch / "weights", cap_s=cap_s))
                except ToolFailedError as error:
                    if tool in THAWLINE or is_quick():
                        raise SystemExit(f"{tool} on {name} told nothing:\n{str(error)[-3000:]}") from None
                    record_failure(tool, name, str(error))
        for tool, made in curves.items():
            if made:
                record_curve(tool, name, sorted(made, key=lambda one: one.took_s)[(len(made) - 1) // 2], made)


def label_of(tool: str) -> str:
    """Return what a tool is called in tables."""
    return THAWLINE.get(tool) or SCRIPTS[tool][0]


def record_failure(tool: str, name: str, said: str) -> None:
    """Record that a tool stopped with an error, with the line that tells it."""
    last = [line for line in said.splitlines() if re.match(r"\w+(Error|Exception)\b", line)][-1:] or ["no answer"]
    print(said[-3000:], flush=True)
    record("against_peers", label_of(tool), {"accuracy at its end": "–", "ended": f"no: {last[0][:90]}"}, group=name)


def record_curve(tool: str, name: str, curve: Curve, all_runs: Sequence[Curve]) -> None:
    """Record the run of median time of a tool on a set."""
    cells = {
        "accuracy at its end": f"{curve.accuracies[-1]:.3f} of {curve.right.shape[1]:,}",
        "seconds": f"{curve.seconds[0]:.1f}; with its report {curve.took_s:.1f}"
        if tool in THAWLINE
        else round(curve.seconds[-1], 1),
        "memory": f"{curve.memory_gib:.1f} GiB",
        "written": f"{curve.disk_mib:,.0f} MiB",
        "lines": lines_of(tool),
        "ended": "yes" if curve.ended else f"{len(curve.seconds)} epochs in time",
    }
    record(
        "against_peers",
        label_of(tool),
        cells,
        group=name,
        tool=tool,
        times=list(curve.seconds),
        accuracies=curve.accuracies,
        bits=["".join("01"[int(hit)] for hit in row) for row in curve.right],
        all_seconds=[round(one.took_s, 1) for one in all_runs],
    )


def newest() -> dict[str, dict[str, dict[str, Any]]]:
    """Return set → tool → its newest curve in the records."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    file = RESULTS / "against_peers.jsonl"
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        row = json.loads(line)
        facts = row["facts"]
        if row["group"] in SETS and "tool" in facts:
            curve = {"seconds": facts["times"], "accuracies": facts["accuracies"], "bits": facts["bits"]}
            found.setdefault(row["group"], {})[facts["tool"]] = {**curve, "all_seconds": facts["all_seconds"]}
    return found


def compare() -> None:
    """Record what the newest curves say: times to the best peer's accuracy, and accuracies at equal time."""
    for name, curves in newest().items():
        peers = {tool: curve for tool, curve in curves.items() if tool in SCRIPTS}
        ours = [curves[tool] for tool in THAWLINE if tool in curves]
        if not peers or not ours:
            continue
        time_to(name, peers, ours, "the best peer")
        time_to(name, {tool: one for tool, one in peers.items() if tool in FINE_TUNE}, ours, "the best that fine-tunes")
        for seconds in TIMES_S:
            equal_time(name, peers, ours, seconds)
        if {"thawline", "sklearn"} <= set(curves):
            beside_sklearn(name, curves["thawline"], curves["sklearn"])


def time_to(name: str, peers: Mapping[str, Any], ours: Sequence[Any], of: str) -> None:
    """Record the time to the accuracy that the best of some peers ends with ÷ its time; Thawline's to its model."""
    if not peers:
        return
    best = max(peers, key=lambda tool: (peers[tool]["accuracies"][-1], -peers[tool]["seconds"][-1]))
    goal, theirs_s = peers[best]["accuracies"][-1], peers[best]["seconds"][-1]
    reached = [
        when for one in ours for when, share in zip(one["seconds"], one["accuracies"], strict=True) if share >= goal
    ]
    what = f"`{name}/`: time to the accuracy that {of} ends with ÷ its time"
    if reached:
        note = f"{min(reached):.1f} ÷ {theirs_s:.1f} s; {SCRIPTS[best][0]} ends with {goal:.3f}"
        record("against_peers", what, min(reached) / theirs_s, reach=REACH[name], group="", note=note)
    else:
        note = f"{SCRIPTS[best][0]} ends with {goal:.3f} after {theirs_s:.1f} s"
        record("against_peers", what, "not reached", reach=REACH[name], holds=False, group="", note=note)


def equal_time(name: str, peers: Mapping[str, Any], ours: Sequence[Any], seconds: float) -> None:
    """Record Thawline's accuracy less the best peer's, of what both had by then; a budget counts once it ended."""
    mine = [bits for one in ours if (bits := at(one, seconds))]
    theirs = {tool: bits for tool, one in peers.items() if (bits := at(one, seconds))}
    if not mine or not theirs:
        return
    best = max(theirs, key=lambda tool: theirs[tool].count("1"))
    bits = mine[-1]
    mean, low, high = difference(bits, theirs[best])
    share, other = bits.count("1") / len(bits), theirs[best].count("1") / len(bits)
    record(
        "against_peers",
        f"`{name}/`: accuracy after {seconds:.0f} s less that of the best peer",
        f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]",
        reach="not below",
        holds=mean >= 0 or high > 0,
        note=f"{share:.3f}; {SCRIPTS[best][0]} {other:.3f}",
    )


def beside_sklearn(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Record the whole time and the accuracy beside features and scikit-learn by hand."""
    mine_s, their_s = median(ours["all_seconds"]), median(theirs["all_seconds"])
    runs = min(len(ours["all_seconds"]), len(theirs["all_seconds"]))
    note = f"{mine_s:.1f} ÷ {their_s:.1f} s, medians of {runs}"
    what = f"`{name}/`: whole `fit` ÷ timm features and scikit-learn by hand"
    record("against_peers", what, mine_s / their_s, reach="≤ 1.1", note=note)
    mean, low, high = difference(ours["bits"][-1], theirs["bits"][-1])
    what = f"`{name}/`: accuracy less that of timm features and scikit-learn by hand"
    value = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    record("against_peers", what, value, reach="not below", holds=mean >= 0 or high > 0)


def main() -> None:
    """Measure what is asked, then compare and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two tools on a few drawn pictures")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=[*THAWLINE, *SCRIPTS],
        help="tools to run, not compared yet; none named: compare and draw",
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--cap", type=float, default=TIMES_S[-1], help="seconds that a tool may take")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each, in turn; the one of median time counts")
    parser.add_argument("--scratch", type=Path, help="where pictures and weights are laid out; kept")
    args = parser.parse_args()
    tools = [*THAWLINE, *SCRIPTS] if args.only is None else args.only
    data = drawn() if args.quick else Path(os.environ.get("THAWLINE_DATA", HERE.parents[1] / "shared" / "data"))
    if args.quick:
        tools, args.sets = ["thawline", "sklearn"], ("celebrities",)
    elif tools:
        need(*args.sets)
    scratch = args.scratch or Path(tempfile.mkdtemp(prefix="thawline-peers-"))
    try:
        if tools:
            measure(tools, args.sets, data=data, scratch=scratch, cap_s=args.cap, repeats=args.repeats)
        if not is_quick() and not args.only:
            compare()
            write_figure(newest(), RESULTS / "against_peers.svg")
    finally:
        if args.scratch is None:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
