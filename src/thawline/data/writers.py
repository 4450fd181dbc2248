"""Pictures with a part and a class each -> a tree of files, or Parquet tables, in a folder; the bytes stay as they are.

The one idea: pictures stream through, read ahead by threads and written in order, and nothing that a person typed
becomes a path: names of classes and files are made safe and unique first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from thawline.core.progress import Advance
from thawline.core.spreadsheet import csv_text
from thawline.data.dataset import Role, Sample
from thawline.data.formats import format_of
from thawline.data.load import map_ordered, read_checked
from thawline.data.safe_names import SafeNames, picture_stem

__all__ = ["PARTS", "Form", "Kept", "Names", "write_folders", "write_tables"]

Form = Literal["folder", "parquet"]
PARTS: tuple[Role, ...] = ("train", "validation", "test")

SHARD_BYTES = 400 * 10**6
"""Pictures of about this size go into one Parquet table."""

GROUP_ROWS, GROUP_BYTES = 100, 32 * 2**20
"""A row group is closed at either: whoever streams a table holds one of them."""


@dataclass(frozen=True)
class Kept:
    """A picture that is written.

    Attributes:
        sample: The picture.
        label: Name of its class.
        part: The part it goes to.
        size_bytes: Encoded size.
    """

    sample: Sample
    label: str
    part: Role
    size_bytes: int


class Names:
    """Places of an export below its root, as `SafeNames` gives them.

    Attributes:
        folders: Class name → name of its folder.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = SafeNames()
        self.folders = {name: self._names.give(name) for name in class_names}

    def place(self, item: Kept, data: bytes) -> str:
        """Return `part/class/name.extension` for a picture; the extension is that of its content."""
        folder = f"{item.part}/{self.folders[item.label]}/"
        return self._names.give(picture_stem(item.sample.path), folder=folder, extension=format_of(data).endings[0])


def write_folders(items: Sequence[Kept], root: Path, *, class_names: Sequence[str], advance: Advance) -> dict[str, str]:
    """Write `part/class/picture` below `root`, and `pictures.csv`: a manifest that `list_pictures` reads too.

    Args:
        items: What to write, in order.
        root: An empty folder.
        class_names: Every class of theirs.
        advance: Called for every picture.

    Returns:
        Class name → name of its folder.

    Raises:
        DataError: A picture is gone or has changed since it was checked.
    """
    names = Names(class_names)
    with (root / "pictures.csv").open("w", encoding="utf-8", newline="") as stream:
        stream.write(csv_text([["path", "label", "split", "sha256", "group", "source"]]))
        for item, data in _read(items):
            place = names.place(item, data)
            file = root / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            sample = item.sample
            cells = [place, item.label, item.part, sample.sha256, sample.group, sample.path]
            stream.write(csv_text([cells]))
            advance(1)
    return names.folders


def write_tables(items: Sequence[Kept], root: Path, *, class_names: Sequence[str], advance: Advance) -> dict[str, str]:
    """Write `train-00000-of-00001.parquet` and its like below `root`, as Hugging Face's `datasets` writes them.

    Columns: `image` (struct of bytes and path), `label` (int64, an index into `class_names`, which the schema's
    metadata holds), `group` (copies share one) and `source` (the path it came from). Memory: one row group of at most
    100 pictures, and the pictures read ahead.

    Args:
        items: What to write, in order.
        root: An empty folder.
        class_names: Every class of theirs, sorted.
        advance: Called for every picture.

    Returns:
        Empty: tables keep the classes' own names.

    Raises:
        DataError: A picture is gone or has changed since it was checked.
    """
    import pyarrow.parquet as pq

    names, schema = Names(class_names), _schema(class_names)
    numbers = {name: number for number, name in enumerate(class_names)}
    for part in PARTS:
        shards = _shards([item for item in items if item.part == part])
        for number, shard in enumerate(shards):
            file = root / f"{part}-{number:05}-of-{len(shards):05}.parquet"
            # encoded pictures neither compress nor repeat, and a range of their bytes tells nothing
            with pq.ParquetWriter(
                file, schema, compression="none", use_dictionary=False, write_statistics=False
            ) as table:
                for rows in _groups(_read(shard)):
                    table.write_batch(_batch(rows, names, numbers, schema), row_group_size=len(rows))
                    advance(len(rows))
    return {}


def _read(items: Sequence[Kept]) -> Iterator[tuple[Kept, bytes]]:
    """Yield every picture with its bytes, the same that were checked, in order."""
    return zip(items, map_ordered(lambda item: read_checked(item.sample), items), strict=True)


def _shards(items: Sequence[Kept]) -> list[list[Kept]]:
    """Return the pictures in runs of about `SHARD_BYTES`."""
    shards: list[list[Kept]] = []
    room = 0
    for item in items:
        if not shards or room < item.size_bytes:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(item)
        room -= item.size_bytes
    return shards


def _groups(rows: Iterable[tuple[Kept, bytes]]) -> Iterator[list[tuple[Kept, bytes]]]:
    """Yield rows in runs that one row group takes."""
    group: list[tuple[Kept, bytes]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[1])
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _schema(class_names: Sequence[str]) -> Any:
    """Return the Arrow schema, with the features in its metadata as `datasets` keeps them."""
    import pyarrow as pa

    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(class_names), "_type": "ClassLabel"},
        "group": {"dtype": "int64", "_type": "Value"},
        "source": {"dtype": "string", "_type": "Value"},
    }
    columns = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        ("group", pa.int64()),
        ("source", pa.string()),
    ]
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _batch(rows: Sequence[tuple[Kept, bytes]], names: Names, numbers: dict[str, int], schema: Any) -> Any:
    """Return rows as a record batch."""
    import pyarrow as pa

    cells = [
        {
            "image": {"bytes": data, "path": names.place(item, data)},
            "label": numbers[item.label],
            "group": item.sample.group,
            "source": item.sample.path,
        }
        for item, data in rows
    ]
    return pa.RecordBatch.from_pylist(cells, schema=schema)
