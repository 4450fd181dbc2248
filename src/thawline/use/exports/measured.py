"""An export -> how far it is from its golden answers, how fast it is, what memory it takes.

One idea: memory is that of a process which does nothing else, so each export has one: it reads
the place of the export from its standard input and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from thawline.core.errors import BundleError, ThawlineError, UsageError
from thawline.use.exports.open_export import Opened, opened
from thawline.use.exports.proof import prove
from thawline.use.neighbours import neighbours_beside, neighbours_path
from thawline.use.onnx_facts import OnnxFacts

__all__ = ["measure_apart", "peak_bytes"]

TIMED = 32
"""Golden pictures that are timed, one after the other."""


def measure_apart(path: Path) -> dict[str, Any]:
    """Return what a fresh process finds of an export: `kind`, the proof's facts, `milliseconds`, `memory_bytes`.

    Args:
        path: The file or folder.

    Raises:
        BundleError: It is damaged, altered or none of ours; or the process came to no end.
        UsageError: What runs it is not installed.
    """
    command = [sys.executable, "-c", f"import {__name__} as measured; measured.main()"]
    done = subprocess.run(command, input=str(path), capture_output=True, text=True, check=False)  # noqa: S603
    try:
        facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        reason = " ".join(done.stderr.split())[-200:] or f"it ended with code {done.returncode}"
        raise BundleError(f"verify {path}: the process that opened it gave no answer: {reason}.") from None
    if "error" in facts:
        raise (UsageError if facts["usage"] else BundleError)(facts["error"])
    return facts


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # what `resource` says there is at least what the parent held
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _measure(path: Path) -> dict[str, Any]:
    export = opened(path)
    try:
        facts = _facts_of(export)
        if wrong := _wrong_beside(path, export.facts):
            facts |= {"passed": False, "words": wrong}
        return facts
    finally:
        export.close()


def _facts_of(export: Opened) -> dict[str, Any]:
    golden = export.golden
    proof = prove(export.model, golden.pictures, allowed=golden.allowed, least_agreement=golden.least_agreement)
    seconds = []
    for picture in golden.pictures[:TIMED]:
        data = picture.picture
        start = time.perf_counter()
        export.model.answers_to([export.model.prepare(data)[0]])
        seconds.append(time.perf_counter() - start)
    return {
        "kind": export.kind,
        "passed": proof.passed,
        "max_difference": proof.max_difference,
        "agreement": proof.agreement,
        "num_golden": proof.num_pictures,
        "words": f"{proof.words()}{export.note and '. '}{export.note}",
        "milliseconds": 1000 * statistics.median(seconds),
        "memory_bytes": peak_bytes() if export.runs_here else None,
    }


def _wrong_beside(path: Path, facts: OnnxFacts) -> str:
    """Return what is wrong with training pictures next to an export, or nothing; it need not have them with it."""
    if os.path.lexists(neighbours_path(path)):
        try:
            neighbours_beside(path, facts)
        except BundleError as error:
            return str(error)
    return ""


def main() -> None:
    """Print what is found of the export that standard input names, or why nothing is, as one line of JSON."""
    try:
        facts = _measure(Path(sys.stdin.read()))
    except ThawlineError as error:
        facts = {"error": str(error), "usage": isinstance(error, UsageError)}
    sys.stdout.write(json.dumps(facts) + "\n")
