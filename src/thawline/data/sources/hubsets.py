"""`hf:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]`, or `hf:./FOLDER`, read by the `datasets` library -> a Listing.

The one idea: `datasets` fetches, verifies and keeps a data set in its own cache; here the encoded pictures are read
from there, row by row. A data set too large to be stored twice is streamed once onto a shelf in our cache.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.progress import Progress
from thawline.core.store import expand_user
from thawline.data.dataset import Role
from thawline.data.sources.group_columns import NO_GROUPS, choose_group, group_of
from thawline.data.sources.headings import Wanted
from thawline.data.sources.hubload import (
    HubName,
    hub_errors,
    hub_or_cache,
    load_builder,
    load_splits,
    parse_hub,
    require_datasets,
)
from thawline.data.sources.label_values import label_of
from thawline.data.sources.listing import Candidate, FileSource, Listing, Skipped, refuse_untrained, settle_roles
from thawline.data.sources.manifest_rows import label_notes
from thawline.data.sources.parquet_text import FIRST_ROWS
from thawline.data.sources.parts import name_roles
from thawline.data.sources.picture_columns import choose_label_column, choose_picture_column, unknown_columns
from thawline.data.sources.picture_files import Within
from thawline.data.sources.places import Place
from thawline.data.sources.shelf import Part, Row, Shelf, open_shelf

__all__ = ["HubSource", "HubTable", "list_hub"]

NO_PICTURES = frozenset({"Audio", "Video", "Pdf", "Nifti"})
"""Kinds of `datasets` whose cells are bytes as those of pictures are."""

STREAMED_BYTES = 4 << 30
"""A data set whose declared download is larger is streamed onto a shelf, so that its pictures are on the disk once."""


class HubTable:
    """The pictures of one split, in their original bytes, read in any order from any thread.

    Args:
        rows: A `datasets.Dataset` of the one column.
        column: Its name.
        folders: A cell that names a file instead of holding bytes may only name one in these.
    """

    def __init__(self, rows: Any, column: str, folders: tuple[Path, ...]) -> None:
        self.rows = rows
        self.column = column
        self._folders = [Within(folder) for folder in folders]

    def read(self, row: int) -> bytes:
        """Return the encoded picture of a row.

        Raises:
            DataError: The cell is empty, or names a file elsewhere, or the cache was emptied meanwhile.
        """
        try:
            cell = self.rows[row][self.column] or {}
        except (OSError, ValueError, IndexError) as error:  # pyarrow's errors are the first two
            raise DataError(f"row {row} cannot be read: {str(error)[:100]}") from None
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        if not cell.get("path"):
            raise DataError("the cell is empty")
        path = os.path.normpath(cell["path"])
        if not Path(path).is_absolute() or not any(path in folder for folder in self._folders):
            raise DataError("the cell names a file outside the data set")
        return FileSource(Path(path)).read()


@dataclass(frozen=True)
class HubSource:
    """A picture that is a cell of a data set in the cache of `datasets`."""

    row: int
    table: HubTable = field(compare=False, repr=False)

    def read(self) -> bytes:
        """Return the encoded bytes; raises `DataError` as `HubTable.read` does."""
        return self.table.read(self.row)


def list_hub(
    place: Place,
    *,
    cache_dir: Path | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Listing:
    """Return the rows of a data set as candidates; its splits are the parts of the data.

    Writes to the cache of `datasets` (`HF_HOME`), or, for a data set of more than 4 GiB, to a shelf in ours; either is
    read again without a network.

    Args:
        place: What the person named.
        cache_dir: Our cache, or None for the usual one.
        wanted: Columns that the person named.
        progress: Where to report to.

    Raises:
        UsageError: The name has no known form.
        DataError: `datasets` is not installed; there is no such data set, split or column; or it is not in the cache
            and the network cannot be reached.
    """
    wanted = Wanted() if wanted is None else wanted
    name = parse_hub(place.rest)
    if wanted.picture_folder is not None:
        raise UsageError(f"list: {place} holds its pictures, so --picture-folder says nothing. Leave it out.")
    if name.is_local:
        return _from_arrow(place, name, load_splits(place, name, datasets=require_datasets(place)), wanted=wanted)
    if Path(name.path).is_dir():
        raise UsageError(f"{place}: a folder has that name. Write hf:./{name.path} for it, or run from another folder.")
    request = {"source": "hf", "name": name.path, "config": name.config, "revision": name.revision, "split": name.split}
    if wanted:
        request |= {"columns": f"{wanted.path_column}/{wanted.label_column}"}
    if wanted.group_column not in {None, NO_GROUPS}:
        request |= {"groups": wanted.group_column}
    kept = Wanted(group_column=NO_GROUPS if wanted.group_column == NO_GROUPS else None)
    shelf = open_shelf(request, cache_dir)
    if shelf.is_filled:
        return shelf.list(place, wanted=kept)
    datasets = require_datasets(place)
    with hub_or_cache(datasets) as notes:
        builder = load_builder(place, name, datasets=datasets, is_online=not notes)
        is_large = (builder.info.download_size or 0) > STREAMED_BYTES and builder.info.features is not None
        if is_large and not notes and not Path(builder.cache_dir).is_dir():
            _stream(place, name, builder, shelf=shelf, wanted=replace(wanted, needs_labels=True), progress=progress)
            return shelf.list(place, wanted=kept)
        splits = load_splits(place, name, datasets=datasets)
        return _from_arrow(place, name, splits, wanted=wanted, notes=notes)


def _from_arrow(
    place: Place, name: HubName, splits: Mapping[str, Any], *, wanted: Wanted, notes: tuple[str, ...] = ()
) -> Listing:
    """Return the rows of splits in the cache of `datasets`."""
    import datasets
    from huggingface_hub import constants

    folders: tuple[Path, ...] = (Path(datasets.config.HF_DATASETS_CACHE), Path(constants.HF_HUB_CACHE))
    if name.is_local:
        folders = (*folders, expand_user(name.path))
    left_out: tuple[str, ...] = ()
    parts: dict[str, Role | None] = dict.fromkeys(splits)
    if wanted.needs_labels:
        parts, left_out = _roles(place, name, list(splits))
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    told, sources = [*notes, *left_out], list[str]()
    for split, role in parts.items():
        rows = splits[split]
        first = rows.with_format("arrow")[:FIRST_ROWS].to_pydict
        image, label, names, remarks = _columns(place, rows.features, first=first, wanted=wanted)
        labels: Sequence[Any] = range(len(rows))
        if wanted.needs_labels:
            labels = rows.select_columns([label]).with_format("arrow")[:].column(0).to_pylist()
        odd = label_notes(Counter(value for value in labels if isinstance(value, str)))
        group, more = choose_group(_plain(rows.features, image, label), where=str(place), wanted=wanted)
        told += [*remarks, *odd, *more]
        sources += [f"the column {group}"] if group else []
        groups = rows.select_columns([group]).with_format("arrow")[:].column(0).to_pylist() if group else labels
        pictures = rows.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        table = HubTable(pictures, image, folders)
        for row, (value, own) in enumerate(zip(labels, groups, strict=True)):
            text, problem = label_of(value, names)
            if problem:
                skipped.append(Skipped(f"{split}#{row}", problem))
            else:
                named = group_of(own) if group else ""
                candidates.append(Candidate(f"{split}#{row}", text, role, HubSource(row, table), named))
    if not candidates:
        raise DataError(f"list: {place} has no rows with a picture and a label. Name another data set.")
    class_names = tuple(sorted({candidate.label for candidate in candidates}))
    by = " and ".join(dict.fromkeys(sources))
    return Listing(place, class_names, settle_roles(candidates), tuple(skipped), tuple(dict.fromkeys(told)), by)


def _plain(features: Mapping[str, Any], *taken: str) -> list[str]:
    """Return the columns of single values, such as texts and numbers, but those that are taken."""
    import datasets

    kinds = (datasets.Value, datasets.ClassLabel)
    return [name for name, kind in features.items() if isinstance(kind, kinds) and name not in taken]


def _stream(
    place: Place, name: HubName, builder: Any, *, shelf: Shelf, wanted: Wanted, progress: Progress | None
) -> None:
    """Write a data set onto a shelf while it comes in, each picture once."""
    import datasets

    sizes = {split: facts.num_examples for split, facts in (builder.info.splits or {}).items()}
    with hub_errors(place, name):
        streamed = builder.as_streaming_dataset(split=name.split)
        splits = {name.split: streamed} if name.split else dict(streamed)
    roles, _ = _roles(place, name, list(splits))
    image, label, class_names, _ = _columns(place, builder.info.features, first=dict, wanted=wanted)

    asked = Wanted() if wanted.group_column == NO_GROUPS else wanted  # kept for those who want them later
    group, _ = choose_group(_plain(builder.info.features, image, label), where=str(place), wanted=asked)
    columns = [image, label, *([group] if group else [])]

    def rows(split: str) -> Iterator[Row]:
        stream = splits[split].select_columns(columns).cast_column(image, datasets.Image(decode=False))
        with hub_errors(place, name):
            for row in stream:
                value = -1 if row[label] is None and class_names else row[label]
                data, text = _streamed_bytes(row[image] or {}, name), value if class_names else str(value or "")
                yield (data, text, group_of(row[group])) if group else (data, text)

    parts = [Part(role or "all", rows(split), sizes.get(split), bool(group)) for split, role in roles.items()]
    shelf.fill(parts, class_names=class_names, facts={"commit": builder.hash}, progress=progress)


def _streamed_bytes(cell: Mapping[str, Any], name: HubName) -> bytes:
    """Return the bytes of a streamed cell; a file that it names is fetched only from the data set itself."""
    path = str(cell.get("path") or "")
    if cell.get("bytes") or not path.split("::")[-1].startswith(f"hf://datasets/{name.path}@"):
        return cell.get("bytes") or b""
    import fsspec

    with fsspec.open(path, "rb") as stream:
        return bytes(stream.read())


def _roles(place: Place, name: HubName, splits: list[str]) -> tuple[dict[str, Role | None], tuple[str, ...]]:
    """Return the part of the data of every split that takes part, and a note on those that do not."""
    if name.split or len(splits) == 1:
        return dict.fromkeys(splits), ()
    roles = name_roles(splits)
    if "train" not in roles.values():
        problem = (
            f"list: {place} has the splits {first_few(splits)}, none for training. Choose one, from which a "
            f"test is then held out: {place}:{splits[0]}."
        )
        if not any(roles.values()):
            raise DataError(problem)
        refuse_untrained(problem)
    others = [split for split, role in roles.items() if role is None]
    notes = (f"left out: {first_few(others)}, not named train, validation or test",) if others else ()
    return {split: role for split, role in roles.items() if role is not None}, notes


def _columns(
    place: Place, features: Mapping[str, Any], *, first: Callable[[], Mapping[str, Sequence[Any]]], wanted: Wanted
) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Return the columns of pictures and of classes, the names of numbered classes, and notes; as of a local table."""
    import datasets

    kinds = {name: kind for name, kind in features.items() if type(kind).__name__ not in NO_PICTURES}
    schema = datasets.Features(kinds).arrow_schema
    names = {name: tuple(kind.names) for name, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)}
    where = str(place)
    cells = first()
    image, _, notes = choose_picture_column(schema, lambda name: cells.get(name, ()), where=where, wanted=wanted)
    if image is None:
        raise unknown_columns(list(features), where)
    if not wanted.needs_labels:
        return image, image, (), notes
    label, remarks = choose_label_column(schema, image, class_names=names, where=where, wanted=wanted)
    return image, label, names.get(label, ()), (*notes, *remarks)
