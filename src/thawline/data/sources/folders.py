"""A folder of class folders -> a Listing.

The one idea: the whole tree is walked first into paths relative to the root, and the layout is then read off those
paths alone (`layout.py`). Files are candidates whatever their names end in; `check` decides by content.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from thawline.core.errors import DataError
from thawline.data.sources.layout import lay_out
from thawline.data.sources.listing import FileSource, Listing, Skipped, display_path, shown_path
from thawline.data.sources.part_folders import Parts
from thawline.data.sources.parts import name_roles
from thawline.data.sources.system_files import HIDDEN_FILE, SYSTEM_FOLDER, hidden_kind, is_picture_name

__all__ = ["DEAD_LINK", "READ_ALREADY", "folder_files", "list_folder"]

DEAD_LINK = "a link that leads nowhere"
READ_ALREADY = "a link to a folder already read"

_Id = tuple[int, int]


@dataclass(frozen=True)
class _Spot:
    """Where a walk stands.

    Attributes:
        path: The folder.
        parts: The same, below the root.
        above: Device and number of this folder's own folders: a link to one of them would lead round in a circle.
        part: The outermost folder around it that is named after a part of the data, or nothing.
        is_hidden: Whether it is inside a hidden folder.
    """

    path: Path
    parts: Parts = ()
    above: tuple[_Id, ...] = ()
    part: str = ""
    is_hidden: bool = False

    @property
    def shown(self) -> str:
        return shown_path(self.parts)


@dataclass
class _Walk:
    """What a walk collects in addition to the files."""

    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: list[_Spot] = field(default_factory=list)
    seen: set[tuple[_Id, str]] = field(default_factory=set)


def list_folder(root: Path) -> Listing:
    """Return every file under `root` as a candidate of the class whose folder it lies in.

    What systems put there is left out, and so is what is hidden, with a row for each picture in it. Files with no class
    folder around them are listed as skipped. A link to a folder is followed after all real folders, once within a part
    of the data, so that loops end, a folder keeps its own name, and pictures that are in two parts are seen in both.

    Raises:
        DataError: Not readable, empty, or a layout that leaves unclear which pictures are for training.
    """
    files, skipped, notes = folder_files(root)
    return lay_out(root, files, skipped=skipped, notes=notes)


def folder_files(root: Path) -> tuple[list[tuple[Parts, FileSource]], list[Skipped], list[str]]:
    """Return the files under a folder, sorted by the parts of their paths below it; what is left out; and remarks.

    Raises:
        DataError: The folder cannot be opened.
    """
    walk = _Walk()
    files = sorted(_files(root, walk), key=lambda item: item[0])
    return [(parts, FileSource(path)) for parts, path in files], walk.skipped, walk.notes


def _files(root: Path, walk: _Walk) -> Iterator[tuple[Parts, Path]]:
    """Yield (parts below the root, path) of every file, real folders first, then linked folders not seen before."""
    yield from _enter(_Spot(root), walk)
    while walk.links:
        waiting, walk.links = sorted(walk.links, key=lambda spot: spot.parts), []
        for spot in waiting:
            yield from _enter(spot, walk)


def _enter(spot: _Spot, walk: _Walk) -> Iterator[tuple[Parts, Path]]:
    """Yield the files of one folder and of the real folders below it; collect links to folders."""
    try:
        facts = spot.path.stat()
        own = (facts.st_dev, facts.st_ino)
        if own in spot.above or (own, spot.part) in walk.seen:
            walk.notes.append(f"{spot.shown} is {READ_ALREADY}; it was not read again")
            walk.skipped.append(Skipped(spot.shown, READ_ALREADY))
            return
        walk.seen.add((own, spot.part))
        with os.scandir(spot.path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        reason = "no permission to open the folder" if isinstance(error, PermissionError) else str(error.strerror)
        if not spot.parts:
            raise DataError(
                f"list: {display_path(spot.path)}: {reason}. Make it readable, or name another folder."
            ) from None
        walk.skipped.append(Skipped(spot.shown, reason))
        return
    kinds = {entry.name: hidden_kind(entry.name) for entry in entries}
    entries = [entry for entry in entries if kinds[entry.name] != "litter"]
    if not entries and spot.parts:
        walk.notes.append(f"{spot.shown} is an empty folder")
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) or entry.is_symlink()]
    roles = {} if spot.part else name_roles(folders)
    for entry in entries:
        kind = kinds[entry.name]
        below = _Spot(
            spot.path / entry.name,
            (*spot.parts, entry.name),
            (*spot.above, own),
            spot.part or (entry.name if roles.get(entry.name) else ""),
            spot.is_hidden or kind == "hidden",
        )
        if kind == "system":
            walk.skipped.append(Skipped(below.shown, SYSTEM_FOLDER))
        elif entry.is_dir(follow_symlinks=False):
            yield from _enter(below, walk)
        elif below.is_hidden:
            walk.skipped += [Skipped(below.shown, HIDDEN_FILE)] if is_picture_name(entry.name) else []
        elif not entry.is_symlink():
            yield below.parts, below.path
        else:
            yield from _follow(below, walk)


def _follow(spot: _Spot, walk: _Walk) -> Iterator[tuple[Parts, Path]]:
    """Yield a link to a file; keep a link to a folder for later; skip a link that leads nowhere."""
    try:
        is_folder = spot.path.is_dir()
        exists = spot.path.exists()
    except OSError:  # a link to itself
        is_folder = exists = False
    if is_folder:
        walk.links.append(spot)
    elif exists:
        yield spot.parts, spot.path
    else:
        walk.skipped.append(Skipped(spot.shown, DEAD_LINK))
