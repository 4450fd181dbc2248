"""A figure that was measured -> one line of JSON in `benchmarks/results/SUITE.jsonl`, with all it takes to believe it.

One idea: whoever measures says only what was measured; date, commit, machine and versions are added here. Nothing is
written by a `--quick` run, whose figures mean nothing. THAWLINE_RECORDS names another folder to write to.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from thawline.core.runtime import num_workers

RESULTS = Path(__file__).resolve().parent / "results"
SKIPPED = 77
"""Exit code of a benchmark that cannot run here."""
PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn", "onnxruntime", "openvino", "ray")
_NUMBER = re.compile(r"^[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
_LIMIT = re.compile(r"^([≤≥]) ?(\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?: (s|ms|%|MB|GB|MiB|GiB|points?))?$")
_RANGE = re.compile(r"^(\d+(?:\.\d+)?)\s?[–-]\s?(\d+(?:\.\d+)?)$")
_STARTED_S = time.perf_counter()

Value = float | int | str | Mapping[str, float | int | str]


def record(
    suite: str,
    what: str,
    value: Value,
    *,
    unit: str = "",
    reach: str | None = None,
    holds: bool | None = None,
    group: str = "",
    note: str = "",
    quick: bool | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Print a figure, append it to its suite's records unless the run is a quick one, and return the record.

    Args:
        suite: Names the file: the script that measures, or the section of RESULTS.md that its figures stand in.
        what: What was measured, in words. A newer record of the same suite, group and words takes the place of an
            older one in RESULTS.md; the older line stays in the file.
        value: A number, or words that begin with one; or a row of a table: a cell for each column's name.
        unit: Of a number: "s", "GiB", "%".
        reach: What is to be reached: "≤ 1.15", "0.95–1.05", or in words; None where nothing is.
        holds: Whether it is reached; told from `value` and `reach` where None and both are numbers.
        group: The table that it stands in, named in SUITE.md as `{{group}}`; "" is the suite's first.
        note: What else belongs to the figure: the numbers that a ratio is made of.
        quick: Whether to print only; by default whether `--quick` is among the arguments of the program.
        **facts: Whatever else should be kept with it, such as `points=[[x, y], …]`, which are drawn.
    """
    made: dict[str, Any] = {"suite": suite, "what": what, "value": value, "unit": unit, "reach": reach, "group": group}
    made |= {"holds": holds_by(value, reach, unit=unit) if holds is None else holds, "note": note, "facts": facts}
    print(f"- {what}: {text_of(made)}" + (f" (to reach: {reach})" if reach else ""), flush=True)
    if is_quick() if quick is None else quick:
        return made
    made |= {"date": date.today().isoformat(), "seconds": round(time.perf_counter() - _STARTED_S, 1)}
    made |= {**commit(), "machine": machine(), "python": platform.python_version(), "versions": versions()}
    folder = Path(os.environ.get("THAWLINE_RECORDS") or RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{suite}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(made, ensure_ascii=False) + "\n")
    return made


def skip(reason: str) -> NoReturn:
    """End this program with SKIPPED and the reason, which `run_all.py` prints: what it needs is not here."""
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIPPED)


def is_quick() -> bool:
    """Return whether this program was asked for its quick form."""
    return "--quick" in sys.argv[1:]


def text_of(row: Mapping[str, Any]) -> str:
    """Return a record's figure as it is read: number, unit, and in brackets what belongs to it."""
    value, unit = row["value"], row["unit"]
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {cell_text(cell)}" for name, cell in value.items())
    note = f" ({row['note']})" if row["note"] else ""
    return f"{cell_text(value)}{' ' if unit else ''}{unit}{note}"


def cell_text(value: float | int | str) -> str:
    """Return a number with three digits that count, or four below one; words as they are."""
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == 0 or abs(value) >= 1e-3:
        return f"{value:.4g}" if abs(value) < 1 else f"{value:.3g}"
    return f"{value:.1e}"


def number_of(value: Value) -> float | None:
    """Return the number that a figure is or begins with; None where it is none, or a row."""
    if isinstance(value, int | float):
        return float(value)
    found = _NUMBER.match(value.replace("**", "")) if isinstance(value, str) else None
    return float(found[0].replace(",", "").replace("−", "-")) if found else None


def limit_of(reach: str | None) -> tuple[str, float] | None:
    """Return ("≤" or "≥", limit) where what is to be reached is exactly that."""
    found = _LIMIT.match(reach or "")
    return (found[1], float(found[2].replace(",", ""))) if found else None


def holds_by(value: Value, reach: str | None, *, unit: str = "") -> bool | None:
    """Return whether a figure is what is to be reached; None where numbers alone do not tell, or units differ."""
    number, limit, between = number_of(value), limit_of(reach), _RANGE.match(reach or "")
    asked = _LIMIT.match(reach or "")
    has = f"{_NUMBER.sub('', value) if isinstance(value, str) else ''} {unit}".split()
    if number is None or (asked and asked[3] and has[:1] != [asked[3]]):
        return None
    if limit is not None:
        return number <= limit[1] if limit[0] == "≤" else number >= limit[1]
    return float(between[1]) <= number <= float(between[2]) if between else None


@cache
def commit() -> dict[str, Any]:
    """Return the commit and whether tracked files differ from it; None where this is no checkout."""
    here = RESULTS.parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results", "../src")
        return {"commit": git("rev-parse", "--short=10", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


@cache
def machine() -> dict[str, Any]:
    """Return processor, the cores that this program may use, memory, and the accelerator where there is one."""
    import torch

    found: dict[str, Any] = {"processor": platform.processor() or platform.machine(), "cores": num_workers()}
    with_model = re.search(r"^model name\s*: (.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    if with_model:
        found["processor"] = with_model[1].strip()
    if memory:
        found["memory_gib"] = round(int(memory[1]) / 2**20)
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that figures depend on, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
