"""The rows of a manifest -> candidates, and what was odd about them.

The one idea: a row is never dropped in silence. What has no label, names a file elsewhere or repeats another row gets a
row in the ledger; what was assumed for many rows at once is one note.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Role
from thawline.data.sources.delimited import CsvRow
from thawline.data.sources.group_columns import group_of
from thawline.data.sources.headings import Columns
from thawline.data.sources.label_values import label_of, several_in_one, spelt_alike
from thawline.data.sources.listing import Candidate, FileSource, Skipped, display_path
from thawline.data.sources.picture_files import OUTSIDE, NoFile, PictureFiles
from thawline.data.sources.row_parts import row_parts

__all__ = ["label_notes", "manifest_rows"]

MOST_SEARCHED = 100_000
"""Files among which the folder is looked for that the paths may start from."""


@dataclass
class _Collected:
    """What the rows of a table give, one after the other."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    lines_by_file: dict[tuple[str, str], int] = field(default_factory=dict)
    labels_by_file: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cells_by_suffix: dict[Path, set[str]] = field(default_factory=lambda: defaultdict(set))
    prefixes: Counter[str] = field(default_factory=Counter)
    respelt: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)


def manifest_rows(
    rows: Sequence[CsvRow], columns: Columns, *, file: Path, files: PictureFiles, group: int | None = None
) -> tuple[list[Candidate], list[Skipped], tuple[str, ...]]:
    """Return candidates, rows that cannot take part, and notes, in the order of the rows.

    Args:
        rows: Rows below the names of the columns.
        columns: Where in a row what stands.
        file: The manifest, for messages.
        files: Finds the pictures.
        group: Where in a row its group stands, or None.

    Raises:
        DataError: A part of the data that is none, or parts for some pictures and none for others.
    """
    found = _Collected()
    width = max([len(columns.names), columns.path + 1, columns.label + 1, *(at + 1 for at, _ in columns.splits)])
    lines = [row.line for row in rows]
    cells = [(*row.cells, *[""] * (width - len(row.cells))) for row in rows]
    texts = [([row[at] for row in cells], means) for at, means in columns.splits]
    parts = row_parts(texts, lines=lines, where=display_path(file))
    unsplit = []
    for line, row, part in zip(lines, cells, parts, strict=True):
        path, (label, problem) = row[columns.path], label_of(row[columns.label])
        if any(row[width:]):
            problem = f"{len(row)} cells in a table of {width} columns; put quotes around a cell that holds a separator"
        elif part == "unlabelled":
            problem = "in a part without labels"
        if problem or not path:
            shown = display_path(path) if path else f"{display_path(file.name)}#{line}"
            found.skipped.append(Skipped(shown, problem if path else "no path"))
            continue
        if part is None:
            unsplit.append(path)
        found.labels[row[columns.label]] += 1
        num_before = len(found.candidates)
        role = None if part == "unlabelled" else part
        _take(found, line, path, files=files, label=label, role=role)
        if group is not None and len(found.candidates) > num_before:
            found.candidates[-1] = replace(found.candidates[-1], group=group_of(row[group]))
    if unsplit and len(unsplit) < len(found.candidates):
        raise DataError(
            f"list: {display_path(file)} names a split for some pictures and none for {first_few(unsplit)}. "
            "Name it for all, or leave the column out."
        )
    _refuse_shared_ends(found)
    return found.candidates, found.skipped, (*_file_notes(found, files), *label_notes(found.labels), *_twice(found))


def _take(found: _Collected, line: int, cell: str, *, files: PictureFiles, label: str, role: Role | None) -> None:
    """Add the candidate of one row, or say that another row has it already."""
    try:
        at = files.find(cell)
    except DataError as error:
        if str(error) == OUTSIDE:
            found.outside.append(cell)
        found.candidates.append(Candidate(display_path(cell), label, role, NoFile(str(error))))
        return
    if at.prefix:
        found.prefixes[at.prefix] += 1
        found.cells_by_suffix[at.path].add(cell)
    if at.is_respelt:
        found.respelt.append(f"{display_path(cell)} is {display_path(at.name)}")
    if not at.is_there:
        found.missing.append(cell)
    first = found.lines_by_file.setdefault((at.name, label), line)
    shown = display_path(at.name)
    if first != line:
        found.skipped.append(Skipped(shown, f"named again in line {line}; the row in line {first} counts"))
        return
    found.labels_by_file[shown].append(label)
    found.candidates.append(Candidate(shown, label, role, FileSource(at.path)))


def _refuse_shared_ends(found: _Collected) -> None:
    """Take the picture from rows whose different absolute paths end in the same file: one of them is wrong."""
    shared = {path: cells for path, cells in found.cells_by_suffix.items() if len(cells) > 1}
    for place, item in enumerate(found.candidates) if shared else ():
        cells = shared.get(item.source.path) if isinstance(item.source, FileSource) else None
        if cells:
            source = NoFile(f"several paths end in it: {first_few(sorted(cells), 3)}")
            found.candidates[place] = replace(item, source=source)


def label_notes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what is odd about the labels of a table as they are written, each a sentence.

    Args:
        counts: Label -> rows.
    """
    notes = []
    example = several_in_one(counts)
    if example:
        notes.append(
            f"{example!r} looks like several labels a picture: Thawline gives each picture one class, and takes every "
            "combination for a class of its own. Write one label a row, or name another column with --label-column"
        )
    alike = spelt_alike(counts)
    if alike:
        notes.append(f"{first_few(alike)}: written with composed and with decomposed accents; taken as one class")
    return tuple(notes)


def _twice(found: _Collected) -> tuple[str, ...]:
    """Return a note on pictures that stand in several rows under different labels."""
    twice = [f"{name} ({first_few(labels, 3)})" for name, labels in found.labels_by_file.items() if len(labels) > 1]
    note = (
        f"several labels for one picture: {first_few(twice, 3)}. Thawline gives each picture one class; keep one row a "
        "picture"
    )
    return (note,) if twice else ()


def _file_notes(found: _Collected, files: PictureFiles) -> tuple[str, ...]:
    """Return what was assumed about the paths, and where the pictures may be that were not found."""
    notes = []
    if found.prefixes:
        shown = first_few([f"{prefix} ({count:,})" for prefix, count in found.prefixes.most_common()], 3)
        notes.append(f"paths start in {shown}, which is not here; what follows it was looked up in the table's folder")
    if found.respelt:
        notes.append(
            f"files called otherwise than in the table, by case, ending or accents: {first_few(found.respelt, 1)}"
        )
    if found.outside:
        folder = _common(found.outside, files)
        notes.append(
            f"files outside the folder of the table, which are not read: {first_few(found.outside, 3)}. If they are "
            f"your own, pass --picture-folder {folder}"
        )
    if found.missing and len(found.missing) == len(found.candidates):
        folder = _folder_with([found.missing[0], found.missing[-1]], files)
        at = display_path(files.folder)
        notes.append(
            f"none of its files is where the paths lead from {at}; they are in {folder}: pass --picture-folder {folder}"
            if folder
            else f"none of its files is where the paths lead from {at}; name another folder with --picture-folder"
        )
    return tuple(notes)


def _common(cells: Sequence[str], files: PictureFiles) -> str:
    """Return the folder that all files lie in which are named outside."""
    try:
        return os.path.commonpath([Path(os.path.normpath(files.start / cell)).parent for cell in cells])
    except ValueError:  # several drives
        return "FOLDER"


def _folder_with(cells: Sequence[str], files: PictureFiles) -> str:
    """Return the one folder below in which paths of the table lead to files, else an empty text."""
    seen = 0
    fitting = []
    for place, folders, names in os.walk(files.folder):
        folders.sort()
        seen += len(names) + 1
        if seen > MOST_SEARCHED:
            break
        if Path(place) != files.folder and all(map(PictureFiles(Path(place)).holds, cells)):
            fitting.append(display_path(place))
    return fitting[0] if len(fitting) == 1 else ""
