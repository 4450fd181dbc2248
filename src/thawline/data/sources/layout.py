"""Paths below a root -> a Listing: which folder is a class, which a part of the data, which neither.

The one idea: the layout is read off the paths alone, in the same way for folders and archives. It is one of
`class/…/picture`, `part/class/…/picture` and `class/part/…/picture`, perhaps inside folders that hold all others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Source
from thawline.data.sources.listing import (
    Candidate,
    Listing,
    Skipped,
    class_label,
    display_path,
    settle_roles,
    shown_path,
)
from thawline.data.sources.next_steps import step_for_labels, tables_among
from thawline.data.sources.part_folders import Branch, Parts, find_branches, lone_folder
from thawline.data.sources.parts import name_role, name_roles
from thawline.data.sources.places import Place
from thawline.data.sources.system_files import HIDDEN_FILE, is_hidden, is_picture_name

__all__ = ["hidden_notes", "lay_out", "unwrap", "wrapper_notes"]

Item = TypeVar("Item")

_CLASS = Branch()


def lay_out(
    root: Path,
    files: Sequence[tuple[Parts, Source]],
    *,
    skipped: Sequence[Skipped] = (),
    notes: Sequence[str] = (),
) -> Listing:
    """Return files as candidates of the classes that their paths below the root name.

    Class names are compared in Unicode's composed form; folders that differ by their spelling alone are one class.

    Args:
        root: What the person named: a folder, or an archive of one.
        files: The parts of every path below the root, and the source of its bytes, in order.
        skipped: Files that are known not to take part.
        notes: Remarks on the layout.

    Raises:
        DataError: No files, no class folders, or a layout that leaves unclear which pictures are for training.
    """
    where = display_path(root)
    if not files:
        hint = f" ({first_few([f'{item.path}: {item.reason}' for item in skipped])})" if skipped else ""
        raise DataError(
            f"list: {where} holds no files{hint}. Put the pictures of each class into a folder named after the class."
        )
    inner, wrapper = unwrap(files)
    paths = [parts for parts, _ in files]
    by_top: dict[str, list[Parts]] = defaultdict(list)
    for parts, _ in inner:
        if len(parts) > 1:
            by_top[parts[0]].append(parts)
    step = partial(step_for_labels, root, paths)
    branches, remarks = find_branches(f"{where}/{wrapper}" if wrapper else where, by_top, step_if_flat=step)
    remarks += [*wrapper_notes(wrapper), *hidden_notes(skipped)]
    sorted_in = _SortedIn()
    for (full, source), (parts, _) in zip(files, inner, strict=True):
        branch = branches.get(parts[:2]) or branches.get(parts[:1]) or _CLASS
        sorted_in.add(full, parts, branch=branch, source=source)
    if not sorted_in.candidates:
        number = f"{len(files):,} {'file' if len(files) == 1 else 'files'}"
        raise DataError(f"list: {where} holds {number} but no class folders. {step()}")
    class_names = tuple(sorted(sorted_in.spellings))
    if len(class_names) == 1 and root.is_dir():
        remarks += [f"{table} may have the labels: name it itself, as {where}/{table}" for table in tables_among(paths)]
    return Listing(
        root=Place.of(root),
        class_names=class_names,
        candidates=settle_roles(sorted_in.candidates),
        skipped=(*skipped, *sorted_in.skipped),
        notes=tuple(sorted({*notes, *remarks, *sorted_in.notes, *_spelling_notes(sorted_in.spellings)})),
    )


@dataclass
class _SortedIn:
    """Files by what becomes of them; the folders that each class has, by their own spelling; remarks."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    spellings: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    notes: set[str] = field(default_factory=set)

    def add(self, full: Parts, parts: Parts, *, branch: Branch, source: Source) -> None:
        """Sort a file in, by the parts of its path below the root (for people) and below what is taken as the root."""
        shown = shown_path(full)
        if branch.why_passed or len(parts) <= branch.depth:
            self.skipped.append(Skipped(shown, branch.why_passed or "no class folder"))
            return
        label = class_label(parts[branch.label_at])
        self.spellings[label].add(parts[branch.label_at])
        self.candidates.append(Candidate(shown, label, branch.role, source))
        if len(parts) > branch.depth + 1:
            self.notes.add(f"{shown_path(full[:-1])} is inside a class folder; its pictures are labelled {label}")


def unwrap(files: Sequence[tuple[Parts, Item]]) -> tuple[list[tuple[Parts, Item]], str]:
    """Return the files without the one folder that holds all others, and that folder, or an empty text.

    `photos/cat/1.jpg` alone in an archive means the class `cat`. A folder stays that holds no further folders; and,
    unless it holds parts, one that is named after a part itself or holds pictures next to its folders.

    Args:
        files: The parts of every name, and an item for it.
    """
    paths = [parts for parts, _ in files]
    depth = 0
    while (lone := lone_folder(paths, depth)) is not None:
        inside = name_roles({parts[depth + 1] for parts in paths if len(parts) > depth + 2})
        holds_pictures = any(len(parts) == depth + 2 and is_picture_name(parts[-1]) for parts in paths)
        if (holds_pictures or name_role(lone) is not None) and "train" not in inside.values():
            break
        depth += 1
    longest = max(paths, key=len, default=())
    inner = [(parts[min(depth, len(parts) - 1) :], item) for parts, item in files]
    return inner, "/".join(display_path(part) for part in longest[:depth])


def wrapper_notes(wrapper: str) -> list[str]:
    """Return a remark on the folder that `unwrap` has taken off, if it has."""
    return [f"everything is inside {wrapper}/, which was taken as the root"] if wrapper else []


def hidden_notes(skipped: Iterable[Skipped]) -> list[str]:
    """Return a remark on every hidden folder with pictures in it, which may be a class.

    Args:
        skipped: What was left out so far.
    """
    hidden: Counter[str] = Counter()
    for item in skipped:
        folders = item.path.split("/")[:-1]
        depth = next((depth for depth, folder in enumerate(folders, 1) if is_hidden(folder)), None)
        if item.reason == HIDDEN_FILE and depth:
            hidden["/".join(folders[:depth])] += 1
    return [
        f"{folder}/ is hidden by its name, so that its pictures ({number:,}) take no part: rename it to include them, "
        "and give the class its own name with --class-names"
        for folder, number in sorted(hidden.items())
    ]


def _spelling_notes(spellings: Mapping[str, Set[str]]) -> Iterator[str]:
    """Yield remarks on classes whose folders are spelled in several ways, and on names in an unknown encoding."""
    several = sorted(label for label, names in spellings.items() if len(names) > 1)
    odd = sorted(
        label
        for label, names in spellings.items()
        if any("\\" in display_path(name) and "\\" not in name for name in names)
    )
    if several:
        yield (
            f"{first_few(several)}: folders whose names look alike and differ in their bytes (accents composed or "
            "decomposed, as Linux and Mac write them, or another encoding) were taken as one class"
        )
    if odd:
        yield (
            f"{first_few(odd)}: the name of the folder is not UTF-8 and was read as Western European; rename it where "
            "that is wrong"
        )
