"""Pictures that come from elsewhere -> Parquet tables in the cache, written once, with the pictures inside.

The one idea: what is expensive to fetch or to take apart becomes tables, which are read like any others. A shelf is
keyed by what it is to hold; it is committed whole or not at all, and stays as it is until it is pruned.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError
from thawline.core.progress import Advance, Progress, SilentProgress
from thawline.core.store import (
    cache_root,
    commit_directory,
    content_key,
    disk_errors,
    staging_directory,
    sweep_staging,
    write_json,
)
from thawline.data.sources.headings import BY_ITSELF, Wanted
from thawline.data.sources.listing import Listing
from thawline.data.sources.places import Place
from thawline.data.sources.tables import list_parquet

__all__ = ["Part", "Row", "Shelf", "open_shelf"]

Row = tuple[bytes, int | str] | tuple[bytes, int | str, str]
"""An encoded picture, its label, and perhaps its group."""

KIND = "pictures"
FORMAT = 1
ROWS_A_GROUP, GROUP_BYTES, TABLE_BYTES = 256, 1 << 25, 1 << 30


@dataclass(frozen=True)
class Part:
    """The rows of one part of the data.

    Attributes:
        name: `train`, `validation`, `test`, or `all` where the source has no parts.
        rows: Encoded picture and label: an index into the class names, or a name; perhaps the group.
        num_rows: How many there will be, or None where that is unknown.
        has_groups: Whether a row has a third item, the name of its group.
    """

    name: str
    rows: Iterable[Row]
    num_rows: int | None = None
    has_groups: bool = False


@dataclass(frozen=True)
class Shelf:
    """A place in the cache for the pictures of one source.

    Attributes:
        directory: Where the tables are, once they are written.
        request: What the shelf is to hold.
        cache: The cache.
    """

    directory: Path
    request: Mapping[str, object]
    cache: Path

    @property
    def is_filled(self) -> bool:
        """Whether the tables have been written."""
        return (self.directory / "source.json").is_file()

    def fill(
        self,
        parts: Iterable[Part],
        *,
        class_names: Sequence[str],
        facts: Mapping[str, object] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the tables: `train-00000.parquet` and so on, of about a GiB each.

        Memory: one row group, 32 MiB and a picture. A kill leaves nothing but a staging folder.

        Args:
            parts: Written one after the other.
            class_names: Names of numbered labels; empty where labels are names.
            facts: Stored with the request, for people to read.
            progress: Where to report to.

        Raises:
            StoreError: No space or no permission; nothing is left half-written.
        """
        with disk_errors("keep pictures", self.directory), staging_directory(self.cache) as staged:
            counts = {}
            for part in parts:
                with (progress or SilentProgress()).stage(f"fetch {part.name}", total=part.num_rows) as advance:
                    counts[part.name] = _write_part(staged, part, class_names, advance)
            write_json(staged / "source.json", {**self.request, **(facts or {}), "pictures": counts})
            commit_directory(staged, self.directory)

    def list(self, place: Place, *, wanted: Wanted = BY_ITSELF) -> Listing:
        """Return the listing of the tables, under the place that the person named.

        Args:
            place: The place.
            wanted: Whether groups are.

        Raises:
            DataError: They are damaged, or hold no pictures with labels.
        """
        os.utime(self.directory)  # pruning goes by the time of last use
        try:
            listing = list_parquet(self.directory, sorted(self.directory.glob("*.parquet")), wanted=wanted)
        except DataError as error:
            raise DataError(
                f"{error} It is the stored copy of {place}: remove {self.directory}, and run again to fetch it."
            ) from None
        return replace(listing, root=place)


def open_shelf(request: Mapping[str, object], cache_dir: Path | None = None) -> Shelf:
    """Return the place in the cache for what `request` describes, filled or not.

    Args:
        request: JSON-like; equal requests share a shelf.
        cache_dir: The cache, or None for the usual one.

    Raises:
        StoreError: The cache cannot be made.
    """
    cache = cache_root(cache_dir)
    sweep_staging(cache)
    key = content_key({**request, "format": FORMAT})
    return Shelf(cache / KIND / key, request, cache)


def _write_part(folder: Path, part: Part, class_names: Sequence[str], advance: Advance) -> int:
    """Write the tables of one part and return how many pictures they hold; at least one table, be it empty."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    label_type = pa.int64() if class_names else pa.string()
    cell = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if class_names:
        features["label"] = {"_type": "ClassLabel", "names": list(class_names)}
    columns = [("image", cell), ("label", label_type), *([("group", pa.string())] if part.has_groups else [])]
    schema = pa.schema(
        columns,
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    groups = _groups(part.rows)
    num_rows = 0
    for number in itertools.count():
        written = 0
        file = folder / f"{part.name}-{number:05d}.parquet"
        with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["label"]) as writer:
            for rows in groups:
                cells = [{"bytes": data, "path": None} for data, *_ in rows]
                facts = {name: [row[at] for row in rows] for at, (name, _) in enumerate(columns[1:], start=1)}
                writer.write_table(pa.table({"image": cells, **facts}, schema=schema))
                advance(len(rows))
                num_rows += len(rows)
                written += sum(len(data) for data, *_ in rows)
                if written >= TABLE_BYTES:
                    break
            else:
                return num_rows
    raise AssertionError  # the loop ends with the groups


def _groups(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """Yield up to 256 rows or 32 MiB of pictures at a time."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[0])
        if len(group) >= ROWS_A_GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
