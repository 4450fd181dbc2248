"""An address such as `s3://bucket/train-{000..099}.tar` -> a Listing of the pictures in its shards or tables.

The one idea: what is far away becomes files that the readers of shards and tables know, and every picture keeps the
address of its shard as well. Whoever has no copy, such as a worker of a cluster, reads it from there.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Any

from thawline.core.errors import DataError, UsageError, first_few
from thawline.core.progress import Progress
from thawline.core.remote_files import file_system, remote_errors
from thawline.core.store import cache_root, disk_errors, staging_directory, sweep_staging
from thawline.data.dataset import Source
from thawline.data.load import map_ordered
from thawline.data.sources.far_copies import copy_here
from thawline.data.sources.far_file import FarFile
from thawline.data.sources.headings import BY_ITSELF, Wanted, refuse_columns
from thawline.data.sources.listing import Listing, display_path
from thawline.data.sources.members import member_parts
from thawline.data.sources.parts import name_role
from thawline.data.sources.places import Place
from thawline.data.sources.shards import MAX_SHARDS, expand_braces, list_files, list_tar
from thawline.data.sources.tables import ParquetSource, ParquetTable, list_parquet
from thawline.data.sources.tars import TarSource

__all__ = ["far_files", "list_far"]

AT_ONCE = 16
MAX_NAME_BYTES = 255
MAX_NAMES_BYTES = 1 << 20
ENDINGS = (".tar", ".parquet")
STAMPS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems call that by which a file tells that it was written again; the first one counts."""


def list_far(
    place: Place, *, cache_dir: Path | None = None, wanted: Wanted = BY_ITSELF, progress: Progress | None = None
) -> Listing:
    """Return the pictures of WebDataset shards, tar archives or Parquet tables at an address.

    They are copied into the cache, several at once; a copy is used again as long as the file is the same.

    Args:
        place: An address of a file, of a folder, of several with braces or with `*`; also after `webdataset:`.
        cache_dir: Our cache, or None for the usual one.
        wanted: Which columns of tables are meant, and what belongs together.
        progress: Where to report to.

    Raises:
        DataError: There is nothing, or nothing that can be read there; or as `list_tar`, `list_shards`, `list_parquet`.
        UsageError: Columns are named of what is no table.
        NoRoomError: The disk does not hold the copies.
        StoreError: The cache cannot be written.
    """
    files = far_files(place.rest)
    is_table = files[0].name.endswith(".parquet")
    if is_table and wanted.picture_folder is not None:
        raise UsageError(f"list: {place}: tables at an address hold their pictures. Leave --picture-folder out.")
    if not is_table or place.scheme:
        refuse_columns(display_path(place), wanted)
    base, parts = _parts(files)
    cache = cache_root(cache_dir)
    sweep_staging(cache)
    copies = copy_here(files, cache=cache, progress=progress)
    with disk_errors("list", cache), staging_directory(cache) as tree:
        seen = [tree.joinpath(*names) for names in parts]
        for copy, path in zip(copies, seen, strict=True):
            _link(copy, path)
        if not is_table:
            _bring_class_names(files[0].place, base, {path.parent for path in seen}, tree=tree)
        try:
            listing = _listed(place, seen, is_table=is_table, wanted=wanted)
        except DataError as error:
            raise DataError(_as_named(str(error), tree, files)) from None
    sources = _Sources(dict(zip(seen, zip(copies, files, strict=True), strict=True)))
    candidates = tuple(replace(item, source=sources.of(item.source, item.path)) for item in listing.candidates)
    notes = tuple(_as_named(note, tree, files) for note in listing.notes)
    return replace(listing, root=place, candidates=candidates, notes=notes)


def _listed(place: Place, files: Sequence[Path], *, is_table: bool, wanted: Wanted) -> Listing:
    if is_table:
        root = files[0] if len(files) == 1 else files[0].parent
        return list_parquet(root, files, wanted=wanted)
    if len(files) == 1 and not place.scheme:
        return list_tar(files[0], wanted=wanted)
    root = Path(os.path.commonpath([file.parent for file in files]))
    return list_files(Place("webdataset", str(root)), files, wanted=wanted)


class _Sources:
    """Sources in files that are about to go -> the same in their copies, with the address next to it."""

    def __init__(self, places: Mapping[Path, tuple[Path, FarFile]]) -> None:
        self._places = places
        self._tables: dict[Path, ParquetTable] = {}

    def of(self, source: Source, shown: str) -> Source:
        """Return the source of a picture.

        Raises:
            DataError: It is a file of its own, which a table only names.
        """
        if isinstance(source, TarSource):
            copy, far = self._places[source.file]
            return replace(source, file=copy, far=far)
        if isinstance(source, ParquetSource):
            copy, far = self._places[source.file]
            if copy not in self._tables:
                self._tables[copy] = ParquetTable(copy, source.table.column, far=far)
            return ParquetSource(copy, source.row, self._tables[copy])
        raise DataError(
            f"list: {shown}: the table names its pictures and does not hold them. At an address tables with the "
            "pictures inside are read: `thawline export-data PICTURES --format parquet -o FOLDER` writes them."
        )


def far_files(address: str) -> list[FarFile]:
    """Return the shards or tables at an address, sorted by their paths; they are asked for many at once.

    Args:
        address: Of a file, a folder with files and perhaps `train/`, `val/`, `test/`, `data/` in it, or a pattern.

    Raises:
        DataError: Nothing is there, it cannot be reached, or it is of both kinds or of neither.
    """
    patterns = expand_braces(address)
    system, _ = file_system(patterns[0], doing="list", kind=DataError)
    system.invalidate_cache()
    look = partial(_look, system)
    answers = list(map_ordered(look, patterns, num_threads=AT_ONCE, ahead=4 * AT_ONCE))
    absent = [pattern for pattern, found in zip(patterns, answers, strict=True) if found is None]
    if absent:
        raise DataError(
            f"list: {address}: {len(absent):,} of {len(patterns):,} do not exist: {first_few(absent, 3)}. Check the "
            "spelling of bucket and folder; put braces in quotes."
        )
    every = {str(facts["name"]): facts for found in answers for facts in found or ()}
    names = [name for name in sorted(every) if not name.rpartition("/")[2].startswith(".")]
    files = [_far_file(address, system, every[name]) for name in names if name.endswith(ENDINGS)]
    if not files:
        others = f" It holds {first_few(names, 3)}." if names else ""
        raise DataError(
            f"list: {address} holds no .tar and no .parquet files.{others} At an address shards and Parquet tables are "
            "read: write them with `thawline export-data PICTURES --format parquet -o FOLDER`, and copy that there."
        )
    if len({name.name.endswith(".tar") for name in files}) > 1:
        raise DataError(f"list: {address} holds both .tar and .parquet files. Name one kind, such as …/*.tar.")
    if len(files) > MAX_SHARDS:
        raise DataError(f"list: {address} holds {len(files):,} files, {MAX_SHARDS:,} are possible. Name fewer.")
    return files


def _look(system: Any, pattern: str) -> list[dict[str, Any]] | None:
    """Return what file systems say of the files that one address without braces means; None: there are none."""
    with remote_errors("list", pattern, kind=DataError), suppress(FileNotFoundError):
        path = str(system._strip_protocol(pattern))
        if has_magic(path):
            found = list(system.glob(path, detail=True).values())
            return [facts for facts in found if facts.get("type") == "file"] or None
        facts = system.info(path)
        if facts.get("type") != "directory":
            return [facts]
        inside = system.ls(path, detail=True)
        folders = [str(item["name"]).rstrip("/") for item in inside if item.get("type") == "directory"]
        wanted = [name for name in folders if name_role(name.rpartition("/")[2]) or name.endswith("/data")]
        listed = map_ordered(partial(system.ls, detail=True), wanted, num_threads=AT_ONCE, ahead=AT_ONCE)
        return [item for items in (inside, *listed) for item in items if item.get("type") == "file"]
    return None


def _far_file(place: str, system: Any, facts: Mapping[str, Any]) -> FarFile:
    path, size = str(facts["name"]), facts.get("size")
    address = str(system.unstrip_protocol(path))
    if not isinstance(size, int) or size < 0:
        raise DataError(f"list: {address}: its length is not known, so it cannot be read. Copy it to this machine.")
    stamp = next((str(facts[name]) for name in STAMPS if facts.get(name)), "")
    return FarFile(place, path, address, size, stamp)


def _parts(files: Sequence[FarFile]) -> tuple[str, list[tuple[str, ...]]]:
    """Return the folder around all files, and the folders and name of each from there on, fit to be those of a file.

    The folder above the first shard is among them, since its name may be that of a part, and class names may lie in it.
    """
    levels = zip(*(file.path.split("/")[:-1] for file in files), strict=False)
    shared = [names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, levels)]
    kept = max(0, len(shared) - 1)
    parts = []
    for file in files:
        names = file.path.split("/")[kept:]
        safe = member_parts("/".join(names))
        if safe != tuple(names) or any(len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES for name in names):
            raise DataError(f"list: {display_path(file.address)} cannot be the name of a file here. Rename it.")
        parts.append(tuple(names))
    return "/".join(shared[:kept]), parts


def _link(copy: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(copy)
    except OSError:  # a disk without such links
        path.symlink_to(copy.absolute())


def _bring_class_names(place: str, base: str, folders: Iterable[Path], *, tree: Path) -> None:
    """Bring the names of numbered classes that lie next to shards, or in the folder above."""
    system, _ = file_system(place, doing="list", kind=DataError)
    here = set(folders) | {folder.parent for folder in folders if folder != tree}
    wanted = [folder / name for folder in sorted(here) for name in ("classnames.txt", "classes.json")]

    def bring(file: Path) -> None:
        path = f"{base}/{file.relative_to(tree).as_posix()}" if base else file.relative_to(tree).as_posix()
        with remote_errors("list", place, kind=DataError), suppress(FileNotFoundError, PermissionError):
            data = system.cat_file(path, start=0, end=MAX_NAMES_BYTES + 1)
            if len(data) > MAX_NAMES_BYTES:
                raise DataError(f"list: {path} is longer than {MAX_NAMES_BYTES:,} bytes and names no classes.")
            file.write_bytes(data)

    for _ in map_ordered(bring, wanted, num_threads=AT_ONCE, ahead=AT_ONCE):
        pass


def _as_named(text: str, tree: Path, files: Sequence[FarFile]) -> str:
    """Return a sentence with the addresses of files in place of where they were read."""
    base, parts = _parts(files)
    for names, far in zip(parts, files, strict=True):
        text = text.replace(display_path(tree.joinpath(*names)), display_path(far.address))
    first = files[0].address
    above = first.removesuffix("/".join(parts[0])).rstrip("/")
    return text.replace(display_path(tree), above or base)
