"""A manifest (CSV or Parquet with path and label) or Parquet that holds the pictures themselves -> a Listing.

The one idea: listing reads only the label column; a picture's bytes are read when they are needed, a small block of
rows at a time, so that memory stays bounded however long the table and however large its row groups.
"""

from __future__ import annotations

import bisect
import csv
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, first_few
from thawline.data.dataset import Role
from thawline.data.sources.listing import Candidate, FileSource, Listing, Skipped, display_path, settle_roles
from thawline.data.sources.parts import name_role
from thawline.data.sources.places import Place

__all__ = ["ParquetSource", "ParquetTable", "list_csv", "list_parquet"]

_BLOCK_ROWS = 32
_BLOCKS_KEPT = 8


class ParquetTable:
    """One column of encoded pictures, read in blocks of 32 rows of which the last 8 stay in memory.

    Reading in order, from any number of threads that stay close together, reads every page once. A jump backwards
    starts again at the beginning of its row group.
    """

    def __init__(self, file: Path, column: str) -> None:
        self.file = file
        self.column = column
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, int], list[Any]] = OrderedDict()
        self._starts: list[int] | None = None
        self._cursor: tuple[int, int, Iterator[Any]] | None = None

    def read(self, row: int) -> bytes:
        """Return the encoded picture of a row.

        Raises:
            DataError: The table is gone or damaged, or the cell is empty.
        """
        try:
            with self._lock:
                cell = self._cell(row)
        except (OSError, ValueError, StopIteration) as error:  # pyarrow's errors are both
            raise DataError(f"row {row} of {self.file.name} cannot be read: {str(error)[:100]}") from None
        if isinstance(cell, dict):
            if cell.get("bytes") is None and cell.get("path"):
                return FileSource(self.file.parent / cell["path"]).read()
            cell = cell.get("bytes")
        if not cell:
            raise DataError("the cell is empty")
        return bytes(cell)

    def _cell(self, row: int) -> Any:
        """Return a cell, reading forward from where the last read stopped where that is possible."""
        import pyarrow.parquet as pq

        if self._starts is None:
            facts = pq.read_metadata(self.file)
            self._starts = [0]
            for index in range(facts.num_row_groups):
                self._starts.append(self._starts[-1] + facts.row_group(index).num_rows)
        group = bisect.bisect_right(self._starts, row) - 1
        block, offset = divmod(row - self._starts[group], _BLOCK_ROWS)
        if (group, block) in self._blocks:
            self._blocks.move_to_end((group, block))
            return self._blocks[group, block][offset]
        if self._cursor is None or self._cursor[0] != group or self._cursor[1] > block:
            table = pq.ParquetFile(self.file, pre_buffer=False, buffer_size=1 << 16)
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


@dataclass(frozen=True)
class ParquetSource:
    """A picture that is a cell of a Parquet table."""

    file: Path
    row: int
    table: ParquetTable = field(compare=False, repr=False)

    def read(self) -> bytes:
        """Return the encoded bytes; raises `DataError` when the table is gone or the cell empty."""
        return self.table.read(self.row)


def list_parquet(root: Path, files: Sequence[Path]) -> Listing:
    """Return the rows of Parquet tables as candidates: pictures as `datasets` writes them, or a manifest.

    Args:
        root: What the person named: the table itself, or the folder that holds `train-….parquet` and its like.
        files: The tables, in order. Where one is named after a part of the data, all must be.

    Raises:
        DataError: Not Parquet, no usable columns (says which were found), or tables of which only some are named after
            parts of the data.
    """
    roles = [name_role(re.split(r"[-_.]", file.name)[0]) for file in files] if root not in files else [None]
    if None in roles and set(roles) != {None}:
        odd = [file.name for file, role in zip(files, roles, strict=True) if role is None]
        raise DataError(
            f"list: {display_path(root)} holds tables named after parts of the data and others that are not: "
            f"{first_few(odd)}. Name each train-…, validation-… or test-…, or move the others away."
        )
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    for file, role in zip(files, roles, strict=True):
        rows, bad = _list_table(file, role)
        candidates += rows
        skipped += bad
    if roles != [None] * len(roles) and "train" not in roles:
        raise DataError(f"list: {display_path(root)} holds no training table. Add train-….parquet.")
    return _finish(root, candidates, skipped)


def _list_table(file: Path, role: Role | None) -> tuple[list[Candidate], list[Skipped]]:
    """Return candidates and skipped rows of one table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
        names = set(schema.names)
        if {"path", "label"} <= names and pa.types.is_string(schema.field("path").type):
            wanted = [name for name in ("path", "label", "split") if name in names]
            return _manifest_rows(file, pq.read_table(file, columns=wanted).to_pylist())
        image, label, class_names = _picture_columns(file, schema)
        values = pq.read_table(file, columns=[label]).column(0).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0][:100].rstrip(".")
        raise DataError(
            f"list: {display_path(file)} is not a Parquet table that can be read: {reason}. "
            "Write it again, or name a folder of class folders."
        ) from None
    table = ParquetTable(file, image)
    candidates, skipped = [], []
    for row, value in enumerate(values):
        path = f"{display_path(file.name)}#{row}"
        name = class_names[value] if class_names and isinstance(value, int) and 0 <= value < len(class_names) else value
        if value is None or value == "" or (class_names and name is value and isinstance(value, int)):
            skipped.append(Skipped(path, "no label" if value in {None, ""} else f"label {value} has no name"))
        else:
            candidates.append(Candidate(path, str(name), role, ParquetSource(file, row, table)))
    return candidates, skipped


def _picture_columns(file: Path, schema: Any) -> tuple[str, str, tuple[str, ...]]:
    """Return the picture column, the label column and the class names of a table as `datasets` writes it."""
    import pyarrow as pa

    images = [
        item.name
        for item in schema
        if (pa.types.is_struct(item.type) and item.type.get_field_index("bytes") >= 0)
        or pa.types.is_binary(item.type)
        or pa.types.is_large_binary(item.type)
    ]
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    named = {
        name: tuple(feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and name in schema.names
    }
    label = "label" if "label" in schema.names else next(iter(named)) if len(named) == 1 else None
    if not images or label is None:
        raise DataError(
            f"list: {display_path(file)} has the columns {first_few(schema.names)}; required are a picture column "
            "(bytes, as datasets writes it) and `label`, or `path` and `label`. "
            "Rename the columns, or name another table."
        )
    return ("image" if "image" in images else images[0]), label, named.get(label, ())


def list_csv(file: Path) -> Listing:
    """Return the rows of a manifest with the columns `path,label[,split]`; paths are relative to the manifest.

    Raises:
        DataError: Not UTF-8 text, without those columns (says which were found), empty, or with unknown splits.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            if not {"path", "label"} <= set(columns):
                raise DataError(
                    f"list: {display_path(file)} has the columns {first_few(columns) or 'none'}; required are path and "
                    "label, and optionally split, separated by commas, named in the first line."
                )
            candidates, skipped = _manifest_rows(file, list(reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"list: {display_path(file)} is not a CSV table in UTF-8: {error}. "
            "Save it as CSV (UTF-8), or name a folder."
        ) from None
    return _finish(file, candidates, skipped)


def _manifest_rows(file: Path, rows: list[dict[str, Any]]) -> tuple[list[Candidate], list[Skipped]]:
    """Return candidates and skipped rows of a manifest."""
    candidates, skipped = [], []
    unsplit: list[str] = []
    for number, row in enumerate(rows, start=2):  # the line as an editor counts it, the names being the first
        path, label, part = (str(row.get(key) if row.get(key) is not None else "").strip() for key in _COLUMNS)
        role = name_role(part)
        if part and role is None:
            raise DataError(
                f"list: {display_path(file)}, line {number}: split {part!r} is not one of train, validation, "
                "test. Fix it."
            )
        if not path or not label:
            shown = display_path(path) if path else f"{display_path(file.name)}#{number}"
            skipped.append(Skipped(shown, "no label" if path else "no path"))
            continue
        if not part:
            unsplit.append(path)
        candidates.append(Candidate(display_path(path), label, role, FileSource(file.parent / path)))
    if unsplit and len(unsplit) < len(candidates):
        raise DataError(
            f"list: {display_path(file)} names a split for some pictures and none for {first_few(unsplit)}. "
            "Name it for all, or leave the column out."
        )
    return candidates, skipped


_COLUMNS = ("path", "label", "split")


def _finish(root: Path, candidates: list[Candidate], skipped: list[Skipped]) -> Listing:
    """Return the listing of a table, refusing an empty one and one without training pictures."""
    if not candidates:
        raise DataError(
            f"list: {display_path(root)} has no rows with a picture and a label. Add some, or name a folder."
        )
    parts = {candidate.split for candidate in candidates}
    if parts != {None} and "train" not in parts:
        raise DataError(f"list: {display_path(root)} has no picture in the split train. Put some into it.")
    names = tuple(sorted({candidate.label for candidate in candidates}))
    return Listing(Place.of(root), names, settle_roles(candidates), tuple(skipped))
