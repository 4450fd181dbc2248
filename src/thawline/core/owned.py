"""A folder that Thawline writes into -> a marker of what it wrote there, and what of it is still as it was written.

One idea: only what can be proven ours is replaced or removed. `.thawline.json` names every file with its size and
SHA-256; a file that is not named, or no longer as it was, is somebody else's and is refused or left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from thawline.core.errors import StoreError, first_few
from thawline.core.store import content_key, disk_errors, file_sha256, write_bytes
from thawline.core.version import __version__

__all__ = [
    "MARKER",
    "Marker",
    "Written",
    "contains",
    "foreign_names",
    "measure",
    "read_marker",
    "replace_file",
    "write_marker",
]

MARKER = ".thawline.json"
FORMAT = 1
SHOWN = 5


@dataclass(frozen=True)
class Written:
    """A file as it was written.

    Attributes:
        size_bytes: Its size.
        sha256: Of its bytes, 64 hex digits.
    """

    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Written:
        """Return what a file with these bytes is."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Marker:
    """What Thawline wrote into a folder.

    Attributes:
        kind: `run` or `data`.
        of: What it was made of and by: texts that tell one run or data set from another.
        files: Path below the folder, with slashes → each form that the file may have there. Two while it is replaced,
            so that a kill in between leaves nothing unproven.
    """

    kind: str
    of: Mapping[str, str]
    files: Mapping[str, tuple[Written, ...]] = field(default_factory=dict, repr=False)

    def with_files(self, files: Mapping[str, Written]) -> Marker:
        """Return the marker while these files are being written: each may be as it was or as it will be."""
        both = {name: {*self.files.get(name, ()), written} for name, written in files.items()}
        forms = {name: tuple(sorted(each, key=lambda one: one.sha256)) for name, each in both.items()}
        return Marker(self.kind, self.of, {**self.files, **forms})


def measure(folder: Path, names: Iterable[str]) -> dict[str, Written]:
    """Return size and digest of files below a folder; a whole file is read, never held."""
    return {name: _written(folder / name) for name in names}


def read_marker(folder: Path) -> Marker | None:
    """Return what a folder's marker says, or None where there is none.

    Raises:
        StoreError: It is damaged, or not one that Thawline wrote: then nothing in the folder can be proven.
    """
    path = folder / MARKER
    try:
        content = path.read_bytes()
        facts = json.loads(content)
        sealed = {name: value for name, value in facts.items() if name != "seal"}
        if path.is_symlink() or facts["seal"] != content_key(sealed) or facts["format"] != FORMAT:
            raise ValueError
        files = {
            name: tuple(Written(int(size), str(digest)) for size, digest in forms)
            for name, forms in facts["files"].items()
        }
        return Marker(facts["kind"], dict(facts["of"]), files)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreError(
            f"write: {path} is damaged or not a marker that Thawline wrote, so nothing in that folder can be proven to "
            "be Thawline's. Choose another place with -o, or remove that file to have the folder treated as an older "
            "run."
        ) from None


def write_marker(folder: Path, marker: Marker) -> None:
    """Write a folder's marker, atomically; equal markers have equal bytes.

    Raises:
        StoreError: The disk is full or cannot be written; the older marker stays.
    """
    facts: dict[str, Any] = {
        "format": FORMAT,
        "thawline": __version__,
        "kind": marker.kind,
        "of": dict(marker.of),
        "files": {
            name: [[form.size_bytes, form.sha256] for form in forms] for name, forms in sorted(marker.files.items())
        },
    }
    content = json.dumps({**facts, "seal": content_key(facts)})  # ASCII: names may be no text at all
    write_bytes(folder / MARKER, content.encode())


def foreign_names(folder: Path, files: Mapping[str, tuple[Written, ...]], *, below: Iterable[str]) -> list[str]:
    """Return what is not ours of what stands at some names, each with why: foreign, or changed since it was written.

    Args:
        folder: Where the files lie.
        files: Path below the folder → the forms that Thawline wrote.
        below: Names in the folder to look at, files or whole folders; names that nothing stands at are fine.
    """
    found, folders = [], {str(parent) for file in files for parent in PurePosixPath(file).parents}
    for name in below:
        for path in (folder / name, *sorted((folder / name).rglob("*"))):
            relative = path.relative_to(folder).as_posix()
            if not os.path.lexists(path) or (relative in folders and _is_folder(path)):
                continue
            if relative not in files:
                found.append(f"{relative} (not written by Thawline)")
            elif not _is_file(path) or not _is_one_of(path, files[relative]):
                found.append(f"{relative} (changed since it was written)")
    return found


def replace_file(folder: Path, name: str, *, data: bytes, doing: str, older: bytes | None = None) -> None:
    """Write a file again into a folder with a marker, unless what stands there is somebody else's.

    Args:
        folder: With its marker, or of an older version without one.
        name: Of the file.
        data: What it is to hold.
        doing: Names the operation in errors.
        older: Without a marker, what a file of an older version contains; None: then one that stands there is refused.

    Raises:
        StoreError: What stands there is not ours, or cannot be written; it is intact.
    """
    marker, path = read_marker(folder), folder / name
    if marker is None:
        if os.path.lexists(path) and (older is None or not contains(path, older)):
            raise StoreError(
                f"{doing}: {path} stands there, and no marker proves that Thawline wrote it. Move it away; or pass "
                "--replace if an older version wrote it."
            )
        write_bytes(path, data)
        return
    if foreign := foreign_names(folder, marker.files, below=[name]):
        raise StoreError(f"{doing}: {folder} holds {first_few(foreign, SHOWN)}. Move it away, and run again.")
    written = Written.of(data)
    write_marker(folder, marker.with_files({name: written}))
    write_bytes(path, data)
    write_marker(folder, Marker(marker.kind, marker.of, {**marker.files, name: (written,)}))


def contains(path: Path, part: bytes) -> bool:
    """Return whether what stands at a path is a file, not a link, that holds these bytes."""
    return _is_file(path) and part in path.read_bytes()


def _written(path: Path) -> Written:
    with disk_errors("read", path):
        return Written(path.stat().st_size, file_sha256(path))


def _is_one_of(path: Path, forms: Iterable[Written]) -> bool:
    size = path.lstat().st_size
    return any(form.size_bytes == size for form in forms) and _written(path) in forms


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
