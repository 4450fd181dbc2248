"""The demo's pictures: scikit-learn's scanned digits -> class folders of PNG files under `train/` and `test/`.

One idea: the pictures come with a package that is installed anyway, so `thawline demo` needs no download; they are far
from the photos that the backbone was trained on, so the best cut is well before its last one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thawline.core.errors import DataError
from thawline.core.store import commit_directory, staging_directory, sweep_staging
from thawline.core.types import Ints, Pixels

__all__ = ["is_digits", "write_digits"]

_SIDE_PX = 64  # enlarged smoothly: nearest neighbour's hard squares cost every cut a tenth of its score
_NUM_CLASSES = 10
_PARTS = ("train", "test")


def write_digits(directory: Path, *, labels_per_class: int = 5, seed: int = 0) -> Path:
    """Return `directory`, now holding 1,797 scanned digits as grey PNG pictures of 64 × 64 pixels.

    `train/<digit>/` gets `labels_per_class` of each digit, `test/<digit>/` all the others. A file's name is the scan's
    number in scikit-learn's order: `train/3/0013.png`. The scans are 8×8 amounts of ink from 0 to 16, from Alpaydin
    and Kaynak (1998), "Optical recognition of handwritten digits", UCI repository; here they are dark on white.

    Equal arguments choose the same pictures and write the same pixels. The folder is written next to its destination
    and renamed, so it is whole or absent.

    Args:
        directory: Must not exist yet; missing parents are created.
        labels_per_class: Training pictures of each digit, from 1 to 150.
        seed: Chooses which.

    Raises:
        DataError: The directory exists, the number is out of range, or the folder cannot be written.
    """
    if not 1 <= labels_per_class <= 150:
        raise DataError(
            f"demo: {labels_per_class} labels a class: from 1 to 150 are possible. Pass a number in that range."
        )
    if directory.exists():
        raise DataError(f"demo: {directory} exists already. Name a new directory, or remove that one first.")
    pixels, labels = _load_digits()
    chosen = _choose(labels, labels_per_class, seed)
    try:
        sweep_staging(directory.parent)
        with staging_directory(directory.parent) as unfinished:
            _write(unfinished, pixels, labels, chosen)
            if not commit_directory(unfinished, directory):
                raise DataError(f"demo: {directory} was made by somebody else meanwhile. Name a new directory.")
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"demo: {directory} cannot be written ({reason}). Name another place.") from None
    return directory


def is_digits(directory: Path) -> bool:
    """Return whether a folder has the parts and the classes that `write_digits` makes, and no others."""
    classes = {f"{part}/{label}" for part in _PARTS for label in range(_NUM_CLASSES)}
    return {path.relative_to(directory).as_posix() for path in directory.glob("*/*")} == classes


def _load_digits() -> tuple[Pixels, Ints]:
    """Return (1797, 8, 8) uint8 pixels, 0 for full ink and 255 for paper, and (1797,) labels."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    return np.round(255 - scans.images * (255 / 16)).astype(np.uint8), scans.target.astype(np.int64)


def _choose(labels: Ints, labels_per_class: int, seed: int) -> set[int]:
    """Return the indices of the training pictures, equally many of each class."""
    rng = np.random.default_rng(seed)
    of_class = [rng.permutation(np.flatnonzero(labels == label)) for label in range(_NUM_CLASSES)]
    return {int(index) for indices in of_class for index in indices[:labels_per_class]}


def _write(directory: Path, pixels: Pixels, labels: Ints, chosen: set[int]) -> None:
    from PIL import Image

    for part in _PARTS:
        for label in range(_NUM_CLASSES):
            (directory / part / str(label)).mkdir(parents=True)
    for index, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        part = "train" if index in chosen else "test"
        enlarged = Image.fromarray(picture).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
        enlarged.save(directory / part / str(label) / f"{index:04}.png", compress_level=1)
