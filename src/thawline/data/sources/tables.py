"""A manifest (CSV or Parquet with path and label) or Parquet that holds the pictures themselves -> a Listing.

The one idea: listing reads only the label column; a picture's bytes are read when they are needed, a small block of
rows at a time, so that memory stays bounded however long the table and however large its row groups.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Role
from thawline.data.sources.delimited import CsvRow, read_csv
from thawline.data.sources.far_file import FarFile, FarStream
from thawline.data.sources.group_columns import choose_group, group_of
from thawline.data.sources.headings import (
    BY_ITSELF,
    PATHS,
    Wanted,
    choose_columns,
    choose_label,
    fold_heading,
    split_columns,
)
from thawline.data.sources.label_values import label_of, text_of
from thawline.data.sources.listing import (
    Candidate,
    FileSource,
    Listing,
    Skipped,
    display_path,
    refuse_untrained,
    settle_roles,
)
from thawline.data.sources.manifest_rows import label_notes, manifest_rows
from thawline.data.sources.one_hot import with_labels
from thawline.data.sources.parquet_text import class_names_of, first_cells, texts_of
from thawline.data.sources.parts import file_roles
from thawline.data.sources.picture_columns import (
    choose_label_column,
    choose_picture_column,
    refuse_several,
    text_columns,
    unknown_columns,
)
from thawline.data.sources.picture_files import PictureFiles
from thawline.data.sources.places import Place
from thawline.data.sources.row_parts import row_parts

__all__ = ["ParquetSource", "ParquetTable", "list_csv", "list_parquet"]


_BLOCK_ROWS = 32
_BLOCKS_KEPT = 8


class ParquetTable:
    """One column of encoded pictures, read in blocks of 32 rows of which the last 8 stay in memory.

    Reading in order, from any number of threads that stay close together, reads every page once. A jump backwards
    starts again at the beginning of its row group.

    Args:
        file: The table.
        column: Its column of pictures.
        files: Finds the file of a cell that names one instead of holding bytes; by default next to the table.
        far: Where the table is read from by whoever has no copy of it; None for one on a disk.
    """

    def __init__(
        self, file: Path, column: str, *, files: PictureFiles | None = None, far: FarFile | None = None
    ) -> None:
        self.file = file
        self.column = column
        self.files = files or PictureFiles(file.parent)
        self.far = far
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, int], list[Any]] = OrderedDict()
        self._starts: list[int] | None = None
        self._cursor: tuple[int, int, Iterator[Any]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the table again, once, however many of its pictures are handed over."""
        return _opened, (self.file.absolute(), self.column, (self.files.folder, self.files.start), self.far)

    def read(self, row: int) -> bytes:
        """Return the encoded picture of a row.

        Raises:
            DataError: The table is gone or damaged, or the cell is empty.
        """
        import pyarrow as pa

        try:
            with self._lock:
                cell = self._cell(row)
        except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
            raise DataError(f"row {row} of {self.file.name} cannot be read: {str(error)[:100]}") from None
        if isinstance(cell, dict):
            if cell.get("bytes") is None and cell.get("path"):
                return FileSource(self.files.find(cell["path"]).path).read()
            cell = cell.get("bytes")
        if not cell:
            raise DataError("the cell is empty")
        return bytes(cell)

    def _place(self) -> Path | FarStream:
        """Return what pyarrow opens: the table, or a stream of one that is not on this machine."""
        return self.file if self.far is None or self.file.is_file() else self.far.open()

    def _cell(self, row: int) -> Any:
        """Return a cell, reading forward from where the last read stopped where that is possible."""
        import pyarrow.parquet as pq

        if self._starts is None:
            facts = pq.read_metadata(self._place())
            self._starts = [0]
            for index in range(facts.num_row_groups):
                self._starts.append(self._starts[-1] + facts.row_group(index).num_rows)
        group = bisect.bisect_right(self._starts, row) - 1
        block, offset = divmod(row - self._starts[group], _BLOCK_ROWS)
        if (group, block) in self._blocks:
            self._blocks.move_to_end((group, block))
            return self._blocks[group, block][offset]
        if self._cursor is None or self._cursor[0] != group or self._cursor[1] > block:
            table = pq.ParquetFile(self._place(), pre_buffer=False, buffer_size=1 << 16)
            batches = table.iter_batches(_BLOCK_ROWS, row_groups=[group], columns=[self.column], use_threads=False)
            self._cursor = (group, 0, batches)
        _, position, batches = self._cursor
        cells: list[Any] = []
        while position <= block:
            cells = next(batches).column(0).to_pylist()
            self._blocks[group, position] = cells
            position += 1
            if len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        self._cursor = (group, position, batches)
        return cells[offset]


@lru_cache(maxsize=256)
def _opened(file: Path, column: str, places: tuple[Path, Path], far: FarFile | None) -> ParquetTable:
    return ParquetTable(file, column, files=PictureFiles(places[0], start=places[1]), far=far)


@dataclass(frozen=True)
class ParquetSource:
    """A picture that is a cell of a Parquet table."""

    file: Path
    row: int
    table: ParquetTable = field(compare=False, repr=False)

    def read(self) -> bytes:
        """Return the encoded bytes; raises `DataError` when the table is gone or the cell empty."""
        return self.table.read(self.row)


_Found = tuple[list[Candidate], list[Skipped], tuple[str, ...], str]  # the last one: where groups come from


def list_parquet(root: Path, files: Sequence[Path], *, wanted: Wanted = BY_ITSELF) -> Listing:
    """Return the rows of Parquet tables as candidates: pictures as `datasets` writes them, or a manifest.

    Args:
        root: What the person named: the table itself, or the folder that holds `train-….parquet` and its like.
        files: The tables, in order. Where one is named after a part of the data, all must be.
        wanted: Columns that the person named, and where the pictures are that the tables only name.

    Raises:
        DataError: Not Parquet, no usable columns (says which were found), several labels a picture, or tables of which
            only some are named after parts of the data.
    """
    named = file_roles(file.name for file in files) if root not in files else {}
    roles = [named.get(file.name) for file in files]
    if None in roles and set(roles) != {None}:
        odd = [file.name for file, role in zip(files, roles, strict=True) if role is None]
        raise DataError(
            f"list: {display_path(root)} holds tables named after parts of the data and others that are not: "
            f"{first_few(odd)}. Name each train-…, validation-… or test-…, or move the others away."
        )
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    notes: list[str] = []
    sources: list[str] = []
    for file, role in zip(files, roles, strict=True):
        rows, bad, remarks, grouped_by = _list_table(file, role, wanted)
        candidates += rows
        skipped += bad
        notes += remarks
        sources += [grouped_by] if grouped_by else []
    if roles != [None] * len(roles) and "train" not in roles:
        refuse_untrained(f"list: {display_path(root)} holds no training table. Add train-….parquet.")
    return _finish(root, (candidates, skipped, tuple(dict.fromkeys(notes)), " and ".join(dict.fromkeys(sources))))


def list_csv(file: Path, *, wanted: Wanted = BY_ITSELF) -> Listing:
    """Return the rows of a CSV manifest; paths are relative to it, or to the folder that the person named.

    Args:
        file: The manifest, as `read_csv` takes it.
        wanted: Columns that the person named, and the folder of the pictures.

    Raises:
        DataError: Not CSV, no usable columns (says which were found), empty, or with unknown splits.
    """
    try:
        table = read_csv(file)
    except DataError as error:
        raise DataError(f"list: {display_path(file)}: {error}. Save it as CSV (UTF-8), or name a folder.") from None
    rows = [CsvRow(0, tuple(table.comment.split(table.separator))), *table.rows] if table.comment else table.rows
    if table.comment and not _are_names(rows[0].cells):
        rows = table.rows
    names, rows = (rows[0].cells, rows[1:]) if rows else ((), ())
    listing = _finish(file, _manifest(file, names, rows, wanted=wanted))
    return replace(listing, notes=(*table.notes, *listing.notes))


def _manifest(file: Path, names: Sequence[str], rows: Sequence[CsvRow], *, wanted: Wanted) -> _Found:
    """Return candidates, skipped rows and notes of a manifest."""
    files = _picture_files(file, wanted)
    where = display_path(file)
    names, rows, told = with_labels(names, rows, where=where, wanted=wanted)
    cells = [row.cells for row in rows]
    columns = choose_columns(names, cells, where=where, wanted=wanted, is_picture=files.holds)
    rows = rows if columns.names else [CsvRow(1, tuple(names)), *rows]
    taken = {columns.path, columns.label, *(at for at, _ in columns.splits)}
    others = [name for at, name in enumerate(columns.names) if at not in taken]
    chosen, remarks = choose_group(others, where=where, wanted=wanted)
    group = None if chosen is None else max(at for at, name in enumerate(names) if name == chosen and at not in taken)
    candidates, skipped, notes = manifest_rows(rows, columns, file=file, files=files, group=group)
    return candidates, skipped, (*told, *columns.notes, *remarks, *notes), f"the column {chosen}" if chosen else ""


def _picture_files(file: Path, wanted: Wanted) -> PictureFiles:
    """Return what finds the pictures that a table names."""
    folder = wanted.picture_folder
    if folder is not None and not folder.is_dir():
        raise DataError(f"list: --picture-folder {display_path(folder)} is no folder. Name one that is there.")
    return PictureFiles(folder or file.parent, start=file.parent)


def _are_names(cells: Sequence[str]) -> bool:
    """Return whether a line names columns, one of them of paths."""
    return len(cells) > 1 and any(fold_heading(cell) in PATHS for cell in cells)


def _list_table(file: Path, role: Role | None, wanted: Wanted) -> _Found:
    """Return candidates, skipped rows and notes of one table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = display_path(file)
    try:
        schema = pq.read_schema(file)
        class_names = class_names_of(schema)
        picture, is_sure, notes = choose_picture_column(
            schema, lambda name: first_cells(file, name), where=where, wanted=wanted
        )
        texts = text_columns(schema, wanted=wanted)
        if picture is None or (not is_sure and {"path", "label"} <= {fold_heading(name) for name in texts}):
            label, _ = choose_label(schema.names, class_names, where=where, wanted=wanted)
            if label is not None and wanted.needs_labels:
                refuse_several(schema, label, where=where)
            if not texts or (len(texts) == 1 and wanted.path_column is None and wanted.needs_labels):
                raise unknown_columns(schema.names, where)
            rows = [
                CsvRow(line, row) for line, row in enumerate(texts_of(file, texts, class_names=class_names), start=1)
            ]
            candidates, skipped, told, group = _manifest(file, texts, rows, wanted=wanted)
            return [replace(item, split=role or item.split) for item in candidates], skipped, told, group
        return _pictures(file, schema, picture=picture, role=role, wanted=wanted, notes=notes)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0][:100].rstrip(".")
        raise DataError(
            f"list: {where} is not a Parquet table that can be read: {reason}. "
            "Write it again, or name a folder of class folders."
        ) from None


def _pictures(
    file: Path, schema: Any, *, picture: str, role: Role | None, wanted: Wanted, notes: Sequence[str]
) -> _Found:
    """Return candidates, skipped rows and notes of a table that holds the pictures themselves."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = display_path(file)
    names = class_names_of(schema)
    label, remarks = "", tuple[str, ...]()
    if wanted.needs_labels:
        label, remarks = choose_label_column(schema, picture, class_names=names, where=where, wanted=wanted)
    others = [name for name in schema.names if name not in {picture, label}]
    columns: dict[str, list[str]] = {}

    def texts(name: str) -> list[str]:
        if name not in columns:
            columns[name] = [row[0] for row in texts_of(file, [name])]
        return columns[name]

    values: Sequence[Any]
    if label:
        values = pq.read_table(file, columns=[label]).column(0).to_pylist()
    else:
        values = range(pq.read_metadata(file).num_rows)
    usable = others if role is None and label else []
    splits = [(texts(name), means) for name, means in split_columns(usable, texts)]
    parts = row_parts(splits, lines=range(len(values)), where=where)
    plain = [item.name for item in schema if item.name in others and not pa.types.is_nested(item.type)]
    chosen, more = choose_group(plain, where=where, wanted=wanted)
    groups = [group_of(text) for text in texts(chosen)] if chosen else [""] * len(values)
    table = ParquetTable(file, picture, files=_picture_files(file, wanted))
    candidates, skipped = [], []
    for row, (value, part, group) in enumerate(zip(values, parts, groups, strict=True)):
        path = f"{display_path(file.name)}#{row}"
        text, problem = label_of(value, names.get(label, ()))
        problem = "in a part without labels" if part == "unlabelled" else problem
        if problem:
            skipped.append(Skipped(path, problem))
            continue
        own = None if part == "unlabelled" else part
        candidates.append(Candidate(path, text, role or own, ParquetSource(file, row, table), group))
    odd = label_notes(Counter(text_of(value) for value in values if isinstance(value, str)))
    notes = (*notes, *remarks, *more, *odd)
    return candidates, skipped, notes, f"the column {chosen}" if chosen else ""


def _finish(root: Path, found: _Found) -> Listing:
    """Return the listing of a table, refusing an empty one and one without training pictures."""
    candidates, skipped, notes, grouped_by = found
    if not candidates:
        reasons = first_few([f"{item.path}: {item.reason}" for item in skipped], 3)
        raise DataError(
            f"list: {display_path(root)} has no rows with a picture and a label{f' ({reasons})' if reasons else ''}. "
            "Add some, or name a folder."
        )
    parts = {candidate.split for candidate in candidates}
    if parts != {None} and "train" not in parts:
        refuse_untrained(f"list: {display_path(root)} has no picture in the split train. Put some into it.")
    names = tuple(sorted({candidate.label for candidate in candidates}))
    return Listing(Place.of(root), names, settle_roles(candidates), tuple(skipped), notes, grouped_by)
