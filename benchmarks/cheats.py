"""Does `check` find a planted cheat, and nothing where none was planted? Real pictures, drawn again and again.

`python benchmarks/cheats.py` records a row a plant; `--sets monkeys --draws 5` makes fewer draws of one set. A draw
is 60 to 100 pictures of each class, or all where there are fewer, written into a temporary folder that is then checked.
Planted is one class, drawn too: made brighter by 8 % (Pillow's `Brightness`; every picture of the draw is then saved
again as JPEG of quality 90, so that saving gives nothing away), or saved as PNG while the others stay as they are.
Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pictures import DATA, fewer, need
from record import record
from thawline.data.cheats import Cheat
from thawline.data.check import CheckOptions, check

SETS = {
    "monkeys": "monkeys/training",
    "celebrities": "celebrities",
    "instruments": "instruments/train-00000-of-00001.parquet",
    "cifar10": "cifar10/test-00000-of-00001.parquet",
}
PLANTS = ("brighter by 8 %", "PNG", "none, saved again", "none, as they are")
FEWEST, MOST = fewer(60, 8), fewer(100, 12)
BRIGHTER = 1.08
QUALITY = 90
KEPT_OF_A_CLASS = 150
MAX_PX = 640


def main() -> None:
    """Draw, plant, check, and print how often the plant was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--draws", type=int, default=fewer(20, 1))
    parser.add_argument("--quick", action="store_true", help="drawn pictures, one draw: whether it runs")
    parser.add_argument("--plants", nargs="*", default=list(PLANTS), choices=PLANTS)
    parser.add_argument("--quality", type=int, default=QUALITY, help="of the JPEGs that are saved again")
    arguments = parser.parse_args()
    need(*arguments.sets)
    for name in arguments.sets:
        pictures, started = read(DATA / SETS[name]), time.perf_counter()
        for plant in arguments.plants:
            results = [draw(pictures, plant, seed=seed, quality=arguments.quality) for seed in range(arguments.draws)]
            again = "" if arguments.quality == QUALITY else f", `--quality {arguments.quality}`"
            record_row(f"`{name}`{again}: {plant}", plant, results, reach=reach_of(name, plant))
        print(f"<!-- {name}: {time.perf_counter() - started:.0f} s -->", flush=True)


def read(photos: Path) -> dict[str, list[bytes]]:
    """Return class name -> encoded pictures; of copies one, of very large ones a smaller one."""
    dataset, _ = check(photos, CheckOptions(on_bad="skip"))
    pictures: dict[str, list[bytes]] = defaultdict(list)
    seen = set()
    for sample in dataset.samples:
        name = dataset.class_names[sample.label]
        if sample.group not in seen and len(pictures[name]) < KEPT_OF_A_CLASS:
            seen.add(sample.group)
            pictures[name].append(smaller(sample.source.read()))
    return pictures


def smaller(data: bytes) -> bytes:
    """Return a picture as it is, or a large one at 640 px, saved as JPEG of quality 90."""
    image = Image.open(io.BytesIO(data))
    if max(image.size) <= MAX_PX:
        return data
    image = image.convert("RGB")
    image.thumbnail((MAX_PX, MAX_PX))
    return saved(image, "JPEG")


def saved(image: Image.Image, kind: str, *, quality: int = QUALITY) -> bytes:
    """Return an encoded picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": quality} if kind == "JPEG" else {"compress_level": 1}))
    return buffer.getvalue()


def planted(data: bytes, plant: str, *, is_chosen: bool, quality: int) -> bytes:
    """Return a picture as the plant has it."""
    if plant == "none, as they are" or (plant == "PNG" and not is_chosen):
        return data
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if plant == "PNG":
        return saved(image, "PNG")
    if is_chosen and plant == PLANTS[0]:
        image = ImageEnhance.Brightness(image).enhance(BRIGHTER)
    return saved(image, "JPEG", quality=quality)


def draw(pictures: dict[str, list[bytes]], plant: str, *, seed: int, quality: int) -> tuple[str, tuple[Cheat, ...]]:
    """Return which class was chosen, and what was found."""
    rng = np.random.default_rng(seed)
    names = sorted(pictures)
    chosen, size = names[rng.integers(len(names))], int(rng.integers(FEWEST, MOST + 1))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).mkdir()
            for place in rng.permutation(len(pictures[name]))[:size].tolist():
                data = planted(pictures[name][place], plant, is_chosen=name == chosen, quality=quality)
                (Path(folder) / name / f"{place}.jpg").write_bytes(data)
        return chosen, check(folder)[1].cheats


def record_row(what: str, plant: str, results: list[tuple[str, tuple[Cheat, ...]]], *, reach: str) -> None:
    """Record how often a plant was found."""
    fact = {"PNG": "format"}.get(plant, "brightness")
    hits = [
        max(
            (one.auroc for one in found if (one.fact, one.class_name, one.is_technical) == (fact, chosen, True)),
            default=0,
        )
        for chosen, found in results
    ]
    is_none = plant.startswith("none")
    others = sum(
        any(one.is_technical and (is_none or one.class_name != chosen) for one in found) for chosen, found in results
    )
    content = sum(any(not one.is_technical for one in found) for _, found in results)
    weakest = min((hit for hit in hits if hit), default=0.0)
    shown = ("–", "–") if is_none else (str(sum(hit > 0 for hit in hits)), f"{weakest:.2f}")
    cells = {"draws": str(len(results)), "found": shown[0], "another class found": str(others)}
    cells |= {"content findings": str(content), "weakest AUROC": shown[1]}
    all_found = others <= 1 if is_none else sum(hit > 0 for hit in hits) == len(hits)
    record("cheats", what, cells, reach=reach, holds=None if reach == "stated" else all_found)


def reach_of(name: str, plant: str) -> str:
    """Return what is to be reached: every plant in monkeys and in CIFAR-10's brightness, nothing where none is."""
    if name == "monkeys":
        return "≤ 1" if plant.startswith("none") else "all"
    return "all" if (name, plant) == ("cifar10", PLANTS[0]) else "stated"


if __name__ == "__main__":
    main()
