"""The folder of an export: refused before any work unless it is new, empty, or an export that nobody has changed.

One idea: an export is replaced as a whole, so every file in it must be proven ours: its marker names them all.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, StoreError, first_few
from thawline.core.owned import MARKER, Marker, Written, foreign_names, measure, read_marker, write_marker
from thawline.core.store import disk_errors
from thawline.data.sources.listing import display_path
from thawline.data.sources.places import Place

__all__ = ["CARD", "CARD_VERSION", "folder_size", "mark_export", "refuse_place", "require_own_export"]

CARD, CARD_VERSION = "dataset.json", 1
KIND = "data"


def refuse_place(photos: Place, out: Path, *, replace: bool = False) -> None:
    """Refuse a place that holds anything but an unchanged export, or that the pictures are read from.

    Args:
        photos: The pictures.
        out: Where they are to be exported to.
        replace: Whether an export of other pictures, or by an older version, may be replaced.

    Raises:
        DataError: `out` and the pictures are inside one another.
        StoreError: Something would be lost.
    """
    pictures = photos.folder or photos.path
    pictures = pictures and pictures.resolve()
    if pictures and pictures.exists() and (out.is_relative_to(pictures) or pictures.is_relative_to(out)):
        raise DataError(
            f"export: {display_path(out)} and the pictures in {display_path(photos)} are inside one another. "
            "Choose another place with -o."
        )
    with disk_errors("export", out):
        if not os.path.lexists(out):
            return
        require_own_export(out, older=replace)
        marker = read_marker(out)
    if marker is not None and dict(marker.of) != _made_of(photos) and not replace:
        raise StoreError(
            f"export: {display_path(out)} holds an export of {marker.of.get('pictures')}, and this is one of "
            f"{photos.title}. Choose another place with -o, or pass --replace to have that export replaced."
        )


def require_own_export(out: Path, *, older: bool) -> None:
    """Refuse to replace a folder in which one file is not as an export wrote it; an empty one is fine.

    Args:
        out: What stands where an export is to be written.
        older: Whether one of an older version, without a marker, is enough: then numbers and bytes of files must be
            those of its card.

    Raises:
        StoreError: Says what was found.
    """
    name = display_path(out)
    if not out.is_dir():
        raise StoreError(f"export: {name} is a file. Choose another place with -o.")
    if not any(out.iterdir()):
        return
    marker, card = read_marker(out), _read_card(out)
    if marker is not None and marker.kind == KIND:
        names = [path.name for path in sorted(out.iterdir()) if path.name != MARKER]
        missing = [f"{name} (missing)" for name in marker.files if not (out / name).exists()]
        if foreign := [*foreign_names(out, marker.files, below=names), *missing]:
            raise StoreError(
                f"export: {name} would be replaced, and was changed since it was exported: "
                f"{first_few(foreign, 5)}. Choose another place with -o, or move that away."
            )
    elif marker is not None or card is None:
        raise StoreError(f"export: {name} holds files that no export wrote. Choose a new or empty folder with -o.")
    elif (card.get("num_files"), card.get("size_bytes")) != folder_size(out):
        raise StoreError(
            f"export: {name} was changed since it was exported. Choose another place with -o, or remove that folder if "
            "nothing in it is needed."
        )
    elif not older:
        raise StoreError(
            f"export: {name} holds an export of an older version, and no marker proves that nobody has changed it. "
            "Choose another place with -o, or pass --replace to have it replaced."
        )


def mark_export(folder: Path, photos: Place) -> None:
    """Write the marker of a finished export: every file with its size and SHA-256.

    Args:
        folder: Holds everything else.
        photos: What was exported.
    """
    known = _checked_digests(folder / "pictures.csv")  # pictures were hashed when they were checked
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files = measure(folder, [name for name in names if name not in known])
    files |= {name: Written((folder / name).stat().st_size, known[name]) for name in names if name in known}
    write_marker(folder, Marker(KIND, _made_of(photos)).with_files(files))


def folder_size(folder: Path) -> tuple[int, int]:
    """Return how many files an export holds, without card and marker, and their bytes."""
    passed = {folder / CARD, folder / MARKER}
    sizes = [path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() and path not in passed]
    return len(sizes), sum(sizes)


def _made_of(photos: Place) -> dict[str, str]:
    return {"pictures": photos.title, "place": photos.key}


def _checked_digests(manifest: Path) -> dict[str, str]:
    """Return path → SHA-256 of the pictures that a manifest of class folders names; of tables there is none."""
    if not manifest.exists():
        return {}
    with manifest.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["sha256"] for row in csv.DictReader(stream)}


def _read_card(folder: Path) -> Mapping[str, Any] | None:
    """Return the card of an earlier export, or None where there is none that can be read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return card if isinstance(card, dict) and card.get("thawline_data") == CARD_VERSION else None
