"""Flipped bits and cut files in a bank, a model folder and an ONNX file -> is each found?

    python benchmarks/attack/bitflips.py

200 flips and 50 truncations of the bank, 200 flips of the model folder and of its ONNX file. A figure is a line; exit
code 1 where damage passed unnoticed and changed something, or gave more than one sentence.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thawline.core.errors import BundleError
from thawline.core.types import InputSpec
from thawline.features.bank import BankSpec, open_bank
from thawline.features.row_index import INDEX_FILE
from thawline.features.row_places import Places
from thawline.features.segment import write_segment
from thawline.features.verification import verify_bank
from thawline.use.manifest import read_manifest
from thawline.use.onnx_model import is_sealed, open_onnx

SPEC = BankSpec(
    backbone_name="net",
    weights_sha256="0" * 64,
    input=InputSpec(32, (0.5,) * 3, (0.5,) * 3, interpolation="bilinear", fit="crop"),
    views=("plain",),
    compute="float32",
    storage="float16",
    cuts=(("a", 8),),
    poolings=("mean",),
    blocks=((0, "mean", 8),),
)


def damage(file: Path, moments: random.Random, *, cut: bool) -> None:
    """Flip one bit of a file, or cut it short."""
    data = bytearray(file.read_bytes())
    at = moments.randrange(8 * len(data))
    if cut:
        data = data[: at // 8]
    else:
        data[at // 8] ^= 1 << at % 8
    file.write_bytes(data)


def bank(place: Path, moments: random.Random, *, number: int, cut: bool) -> int:
    """Return how many damaged banks gave every row right, those extracted again that were damaged, and no others."""
    generator, right = np.random.default_rng(0), 0
    digests = generator.integers(0, 256, (64, 32), dtype=np.uint8)
    rows = generator.normal(size=(64, 1, 8)).astype(np.float16)
    names = [digest.tobytes().hex() for digest in digests]
    for attempt in range(number):
        root = place / f"{cut} {attempt}"
        opened = open_bank(root, SPEC)
        for start in range(0, 64, 16):
            write_segment(root, opened.directory, digests=digests[start : start + 16], rows=rows[start : start + 16])
        Places(root, opened.directory).write_index()
        file = moments.choice(sorted(path for path in opened.directory.rglob("*") if path.is_file()))
        damage(file, moments, cut=cut)
        remade: list[str] = []

        def remake(hashes: Sequence[str], root: Path = root, remade: list[str] = remade) -> None:
            at = [names.index(name) for name in hashes]
            write_segment(root, open_bank(root, SPEC).directory, digests=digests[at], rows=rows[at])
            remade += hashes

        again = open_bank(root, SPEC)
        again.remake = remake
        remake([names[at] for at in again.missing(names)])  # a segment whose hashes no index knows
        again.look()
        is_right = np.array_equal(again.read(names, [(0, "mean")]), rows[:, 0].astype(np.float32))
        is_counted = bool(remade) == bool(again.num_damaged)
        form = {"storage": SPEC.storage, "shape": (1, SPEC.width)}
        is_whole = verify_bank(root, opened.directory, **form).is_whole
        right += is_right and is_counted and is_whole and (bool(remade) or file.name in ("bank.json", INDEX_FILE))
    return right


def main() -> int:
    """Damage and look."""
    moments, misses = random.Random(0), 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for words, number, cut in (("bits flipped", 200, False), ("files cut short", 50, True)):
            right = bank(place, moments, number=number, cut=cut)
            misses += number - right
            sys.stdout.write(f"bank, {words}: {right} of {number} found and healed, every row right\n")
        model = _model(place)
        misses += _flip_model(model, moments)
        misses += _flip_onnx(model, place, moments)
    return 1 if misses else 0


def _model(place: Path) -> Path:
    """Return the model folder of a small run."""
    import thawline
    from thawline.data.digits import write_digits

    photos = write_digits(place / "digits", labels_per_class=3) / "train"
    options = thawline.make_options(backbone="simple_cnn", size=32, cache_dir=place / "cache")
    return thawline.fit(photos, place / "run", options=options).out / "model"


def _flip_model(model: Path, moments: random.Random) -> int:
    found = 0
    files = sorted(path for path in model.rglob("*") if path.is_file())
    for _ in range(200):
        file = moments.choice(files)
        before = file.read_bytes()
        damage(file, moments, cut=False)
        try:
            read_manifest(model)
        except BundleError:
            found += 1
        file.write_bytes(before)
    sys.stdout.write(f"model folder, bits flipped: {found} of 200 refused in one sentence\n")
    return 200 - found


def _flip_onnx(model: Path, place: Path, moments: random.Random) -> int:
    import thawline

    file = thawline.export(model, out=place / "model.onnx").path
    before, found = file.read_bytes(), 0
    for _ in range(200):
        damage(file, moments, cut=False)
        try:
            open_onnx(file)
        except BundleError:
            found += 1
        file.write_bytes(before)
    assert is_sealed(before)
    sys.stdout.write(f"ONNX file, bits flipped: {found} of 200 refused in one sentence\n")
    return 200 - found


if __name__ == "__main__":
    sys.exit(main())
