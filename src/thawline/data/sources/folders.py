"""A folder of class folders, or an archive of one -> a Listing.

The one idea: the whole tree is walked first into paths relative to the root, and the layout is then read off those
paths alone: `class/…/file`, or `train/class/…/file` beside `validation/` and `test/`. Files are candidates whatever
their names end in; `check` decides by content.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Source
from thawline.data.sources.listing import Candidate, FileSource, Listing, Skipped, display_path, settle_roles
from thawline.data.sources.parts import name_role
from thawline.data.sources.places import Place

__all__ = ["is_hidden", "lay_out", "list_folder"]

_HIDDEN = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}


@dataclass
class _Walk:
    """What a walk collects in addition to the files."""

    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)


def list_folder(root: Path) -> Listing:
    """Return every file under `root` as a candidate of the class whose folder it lies in.

    Hidden files are ignored. Files with no class folder around them are listed as skipped. A link to a folder is
    followed once, after all real folders, so that loops end and a folder keeps its own name.

    Raises:
        DataError: Not readable, empty, or a layout that leaves unclear which pictures are for training.
    """
    walk = _Walk()
    files = sorted(_files(root, walk), key=lambda item: item[0])
    return lay_out(root, [(parts, FileSource(path)) for parts, path in files], skipped=walk.skipped, notes=walk.notes)


def lay_out(
    root: Path,
    files: Sequence[tuple[tuple[str, ...], Source]],
    *,
    skipped: Sequence[Skipped] = (),
    notes: Sequence[str] = (),
) -> Listing:
    """Return files as candidates of the classes that their paths below the root name.

    Args:
        root: What the person named: a folder, or an archive of one.
        files: The parts of every path below the root, and the source of its bytes, in order.
        skipped: Files that are known not to take part.
        notes: Remarks on the layout.

    Raises:
        DataError: No files, no class folders, or a layout that leaves unclear which pictures are for training.
    """
    if not files:
        hint = f" ({first_few([f'{item.path}: {item.reason}' for item in skipped])})" if skipped else ""
        raise DataError(
            f"list: {display_path(root)} holds no files{hint}. "
            "Put the pictures of each class into a folder named after the class."
        )
    split_names = _split_folders(root, [parts for parts, _ in files])
    candidates, unplaced, remarks = [], [], set(notes)
    for parts, source in files:
        shown = "/".join(display_path(part) for part in parts)
        inner = parts[1:] if parts[0] in split_names else parts
        if len(inner) < 2:
            unplaced.append(Skipped(shown, "no class folder"))
            continue
        role = name_role(parts[0]) if parts[0] in split_names else None
        candidates.append(Candidate(shown, display_path(inner[0]), role, source))
        if len(inner) > 2:
            folder = "/".join(display_path(part) for part in parts[:-1])
            remarks.add(f"{folder} is inside a class folder; its pictures are labelled {display_path(inner[0])}")
    if not candidates:
        raise DataError(
            f"list: {display_path(root)} holds {len(files):,} files but no class folders. "
            "Put the pictures of each class into a folder named after the class."
        )
    return Listing(
        root=Place.of(root),
        class_names=tuple(sorted({candidate.label for candidate in candidates})),
        candidates=settle_roles(candidates),
        skipped=(*skipped, *unplaced),
        notes=tuple(sorted(remarks)),
    )


def is_hidden(name: str) -> bool:
    """Return whether a file was put there by an operating system or a tool."""
    return name.startswith((".", "~$")) or name.lower() in _HIDDEN


def _files(root: Path, walk: _Walk) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield (parts below the root, path) of every file, real folders first, then linked folders not seen before."""
    yield from _enter(root, (), walk)
    while walk.links:
        waiting, walk.links = sorted(walk.links, key=lambda item: item[1]), []
        for path, parts in waiting:
            yield from _enter(path, parts, walk)


def _enter(folder: Path, parts: tuple[str, ...], walk: _Walk) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the files of one folder and of the real folders below it; collect links to folders."""
    shown = "/".join(display_path(part) for part in parts)
    try:
        facts = folder.stat()
        if (facts.st_dev, facts.st_ino) in walk.seen:
            walk.notes.append(f"{shown} is a link to a folder already read; it was not read again")
            return
        walk.seen.add((facts.st_dev, facts.st_ino))
        with os.scandir(folder) as scan:
            entries = sorted((entry for entry in scan if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        reason = "no permission to open the folder" if isinstance(error, PermissionError) else str(error.strerror)
        if not parts:
            raise DataError(
                f"list: {display_path(folder)}: {reason}. Make it readable, or name another folder."
            ) from None
        walk.skipped.append(Skipped(shown, reason))
        return
    if not entries and parts:
        walk.notes.append(f"{shown} is an empty folder")
    for entry in entries:
        below = (*parts, entry.name)
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _enter(path, below, walk)
        elif not entry.is_symlink():
            yield below, path
        else:
            yield from _follow(path, below, walk)


def _follow(link: Path, parts: tuple[str, ...], walk: _Walk) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield a link to a file; keep a link to a folder for later; skip a link that leads nowhere."""
    try:
        is_folder = link.is_dir()
        exists = link.exists()
    except OSError:  # a link to itself
        is_folder = exists = False
    if is_folder:
        walk.links.append((link, parts))
    elif exists:
        yield parts, link
    else:
        walk.skipped.append(Skipped("/".join(display_path(part) for part in parts), "a link that leads nowhere"))


def _split_folders(root: Path, files: list[tuple[str, ...]]) -> set[str]:
    """Return which folders at the root are `train`, `validation` or `test`, by their own spelling; none when flat.

    A folder counts only when it holds class folders (or another such folder at the root does): `train/` among `car/`
    and `bus/` is a class of trains.
    """
    top = sorted({parts[0] for parts in files if len(parts) > 1})
    named = {name for name in top if name_role(name) is not None}
    holding = {parts[0] for parts in files if len(parts) > 2 and parts[0] in named}
    where = display_path(root)
    if not holding:
        if named and len(named) == len(top):
            raise DataError(
                f"list: {where} holds {first_few(sorted(named))} but no class folders inside. "
                "Put the pictures of each class into a folder named after the class, as in train/cat/1.jpg."
            )
        return set()
    outside = [name for name in top if name not in named]
    if outside:
        raise DataError(
            f"list: {where} holds pictures both inside {first_few(sorted(holding))} and in class folders outside it "
            f"({first_few([display_path(name) for name in outside])}). "
            "Move all class folders inside, or name the folder that holds them."
        )
    roles = [name_role(name) for name in sorted(holding)]
    if len(set(roles)) < len(roles):
        raise DataError(
            f"list: {where} holds two folders for the same part of the data: {first_few(sorted(holding))}. "
            "Merge them, or rename one."
        )
    if "train" not in roles:
        raise DataError(
            f"list: {where} holds {first_few(sorted(holding))} but no training pictures. "
            "Add a folder train/ with the same class folders, or name the folder with the classes itself."
        )
    return named
