"""Every form of three winners side by side: `python benchmarks/exports.py`, or `--quick` on a few pictures.

A frozen fused winner, a tuned network and a winner that reads two backbones are fitted on the monkeys and exported in
every form whose packages are installed. Records size, memory and time of `thawline verify`, the
largest difference on golden pictures, and on the held-out pictures the largest difference from the folder and the
share of equal classes. A form that a model does not have is a line with the reason. Needs the real pictures
(THAWLINE_DATA, or ../shared/data next to the project); the second backbone comes with the extra `backbones`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import thawline
from pictures import DATA, need
from record import record
from thawline.core.errors import ThawlineError
from thawline.core.types import Floats
from thawline.data.check import check
from thawline.data.dataset import Sample
from thawline.use.bundle import load_bundle
from thawline.use.classify import classify_samples
from thawline.use.exports.kinds import KINDS
from thawline.use.exports.open_export import open_export
from thawline.use.exports.verify import Verified

TWO = ("--backbone", "efficientnet_lite0", "--backbone", "efficientnet_lite1")
WINNERS: dict[str, tuple[str, ...]] = {
    "frozen, fused": ("fit",),
    "tuned": ("tune", "--plan", "head, then all"),
    "two backbones": ("fit", *TWO),
}
QUICK = ("--size", "64", "--score-folds", "1")
SLOW = ("coreml", "openvino", "onnx-int8", "web")
"""Forms that a quick run leaves to the tests."""
COLUMNS = (
    *("winner", "form", "MiB", "memory, MiB", "ms a picture", "golden: differs by"),
    *("held out: differs by", "held out: same class", "passed"),
)


def fitted(name: str, scratch: Path, *, quick: bool) -> Path:
    """Run the command of a winner on the monkeys and return its folder."""
    verb, *words = WINNERS[name]
    out = scratch / name.replace(" ", "-").replace(",", "")
    words += [*QUICK, *(["--epochs", "1"] if verb == "tune" else [])] if quick else []
    command = [sys.executable, "-m", "thawline", verb, str(DATA / "monkeys"), "-o", str(out), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def held_out(*, quick: bool) -> list[Sample]:
    """Return the monkeys of the validation folder, or a few of them."""
    samples = [sample for sample in check(DATA / "monkeys")[0].samples if "validation" in sample.path]
    return samples[::5] if quick else samples


def row(name: str, result: Verified, *, expected: Floats, samples: list[Sample]) -> tuple[str, ...]:
    """Return the cells of a form: what verifying it found, and its answers to held-out pictures."""
    off = same = "not opened here"
    try:
        shares = classify_samples(open_export(result.path, num_threads=1), samples)
        off = f"{np.abs(shares - expected).max():.1e}"
        same = f"{(shares.argmax(axis=1) == expected.argmax(axis=1)).mean():.1%}"
    except ThawlineError as error:
        print(f"  {result.kind}: {error}", flush=True)
    memory, time_ms, golden = result.memory_bytes, result.milliseconds, result.max_difference
    return (
        name,
        result.kind,
        f"{result.bytes / 2**20:.1f}",
        "-" if memory is None else f"{memory / 2**20:.0f}",
        "-" if time_ms is None else f"{time_ms:.1f}",
        "-" if golden is None else f"{golden:.1e}",
        off,
        same,
        "yes" if result.passed else "no",
    )


def main() -> None:
    """Fit, export, verify and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few drawn pictures, one winner: whether it runs")
    parser.add_argument("--only", choices=sorted(WINNERS), action="append", help="one winner; may be repeated")
    arguments = parser.parse_args()
    need("monkeys")
    samples = held_out(quick=arguments.quick)
    rows = []
    with tempfile.TemporaryDirectory(prefix="thawline-exports-") as scratch:
        for name in arguments.only or ["tuned"] if arguments.quick else arguments.only or WINNERS:
            run = fitted(name, Path(scratch), quick=arguments.quick)
            bundle = load_bundle(run / "model", device="cpu")
            print(f"- {name}: {bundle.manifest.strategy}", flush=True)
            expected = classify_samples(bundle.classifier, samples)
            for kind in [kind for kind in KINDS if not (arguments.quick and kind.name in SLOW)]:
                try:
                    thawline.export(bundle, kind.name)
                except ThawlineError as error:
                    print(f"  {kind.name}: {error}", flush=True)
            rows += [row(name, each, expected=expected, samples=samples) for each in thawline.verify(run)]
    for winner, form, *cells in rows:
        record("exports", f"`{form}`", dict(zip(COLUMNS[2:], cells, strict=True)), group=f"winner: {winner}")


if __name__ == "__main__":
    main()
