"""The pictures that benchmarks measure with: the real ones, or with `--quick` a few that are drawn here.

One idea: a quick run has the same folders and files with a few drawn pictures in them, so that every benchmark runs
in seconds, from a fresh clone, without being told that its pictures are few. Features of a quick run are cached with
them and removed with them. THAWLINE_QUICK names a folder that several quick runs share and that somebody else removes.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from record import is_quick, skip
from thawline.core.store import write_bytes


def drawn() -> Path:
    """Return the folder of a few drawn pictures, drawn if they are not there; the cache of features lies in it."""
    folder = Path(os.environ.get("THAWLINE_QUICK") or tempfile.mkdtemp(prefix="thawline-quick-"))
    if "THAWLINE_QUICK" not in os.environ:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["THAWLINE_QUICK"] = str(folder)  # for the processes that this one starts
    os.environ.setdefault("THAWLINE_CACHE", str(folder / "cache"))
    if not (folder / "data" / "cifar10").is_dir():
        draw_all(folder / "data")
    return folder / "data"


def draw_all(place: Path) -> None:
    """Draw small sets in the forms of the real ones: folders with parts, folders, and Parquet files."""
    for part, count in (("training", 12), ("validation", 6)):
        draw_folder(place / "monkeys" / part, [f"n{label}" for label in range(3)], count, start=10 * len(part))
    draw_folder(place / "celebrities", ["ann", "bob", "cyd"], 16, start=500)
    draw_table(place / "instruments" / "train-00000-of-00001.parquet", ["banjo", "harp", "violin"], 16, side=96)
    names = [f"thing{label}" for label in range(10)]
    draw_table(place / "cifar10" / "train-00000-of-00001.parquet", names, 24, side=32)
    draw_table(place / "cifar10" / "test-00000-of-00001.parquet", names, 12, side=32, start=5000)


def draw_folder(folder: Path, names: list[str], count: int, *, start: int) -> None:
    """Draw a folder of JPEGs a class."""
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            data = encoded(label, seed=start + 1000 * label + number, side=96 + 8 * (number % 3), kind="JPEG")
            (folder / name / f"{name}{start + number}.jpg").write_bytes(data)


def draw_table(file: Path, names: list[str], count: int, *, side: int, start: int = 0) -> None:
    """Draw a Parquet file of pictures as Hugging Face's datasets write it."""
    import pyarrow as pa
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [(label, number) for number in range(count) for label in range(len(names))]
    pictures = [
        {"bytes": encoded(label, seed=start + 7919 * (label + 1) + number, side=side, kind="PNG"), "path": None}
        for label, number in rows
    ]
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    columns = {
        "image": pa.array(pictures, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "label": pa.array([label for label, _ in rows], pa.int64()),
    }
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    write_bytes(file, buffer.getvalue())


def encoded(label: int, *, seed: int, side: int, kind: str) -> bytes:
    """Return a picture of blobs, whose colour says its class more often than not."""
    rng = np.random.default_rng(seed)
    colour = np.random.default_rng(label).integers(0, 256, 3)
    blobs = np.clip(rng.normal(colour, 90, (6, 6, 3)), 0, 255).astype(np.uint8)
    image = Image.fromarray(blobs).resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def fitted(out: Path, *, part: str = "") -> Path:
    """Return a run of the monkeys in a folder: fitted, or with `--quick` the copy of one that is there already."""
    shared = Path(os.environ.get("THAWLINE_QUICK", "-")) / "run"
    if is_quick() and shared.is_dir():
        shutil.copytree(shared, out)
        return out
    pictures = DATA / "monkeys" / part
    command = [sys.executable, "-m", "thawline", "fit", str(pictures), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=is_quick())
    return out


def need(*names: str) -> None:
    """End this program as skipped where a set of pictures is not there."""
    missing = [name for name in names if not (DATA / name).is_dir()]
    if missing:
        skip(f"the real pictures {', '.join(missing)} are not in {DATA.name}/; set THAWLINE_DATA")


def fewer(whole: int, quick: int) -> int:
    """Return how many of something a run takes: all, or with `--quick` a few."""
    return quick if is_quick() else whole


DATA = drawn() if is_quick() else Path(os.environ.get("THAWLINE_DATA") or Path(__file__).parents[1] / "../shared/data")
DATA = DATA.resolve()
if is_quick():
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
