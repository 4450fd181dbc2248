"""What a person names -> a Listing of everything that may be a picture under it.

A path is a folder of class folders (`folders.py`), an archive of one (`archives.py`, `shards.py`), a manifest, or
Parquet that holds the pictures (`tables.py`). `webdataset:`, `hf:` and `torchvision:` name the rest (`shards.py`,
`hubsets.py`, `torchsets.py`); what is at an address such as `s3://bucket/train-000.tar` comes by `far_places.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from thawline.core.errors import DataError, first_few
from thawline.core.progress import Progress
from thawline.data.sources.archives import list_zip
from thawline.data.sources.far_places import list_far
from thawline.data.sources.folders import list_folder
from thawline.data.sources.headings import Wanted, refuse_columns
from thawline.data.sources.hubsets import list_hub
from thawline.data.sources.listing import Candidate, FileSource, Listing, Skipped, display_path
from thawline.data.sources.places import SCHEMES, Place
from thawline.data.sources.shards import list_shards, list_tar
from thawline.data.sources.system_files import is_picture_name
from thawline.data.sources.tables import ParquetSource, list_csv, list_parquet
from thawline.data.sources.torchsets import list_torchvision

__all__ = [
    "Candidate",
    "FileSource",
    "Form",
    "Listing",
    "ParquetSource",
    "Skipped",
    "form_of",
    "list_pictures",
    "tables_in",
]

Form = Literal["parquet", "no parquet", "csv", "workbook", "zip", "compressed", "tar"]

_DELIMITED = {".csv", ".tsv", ".tab", ".psv", ".txt", ".lst"}
_WORKBOOKS = {".xlsx", ".xls", ".xlsm", ".ods", ".numbers"}
_COMPRESSED = (".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".tar.zst", ".7z", ".rar")


def list_pictures(
    root: str | Path | Place,
    *,
    cache_dir: Path | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Listing:
    """Return every file or row under `root` with its label and its part of the data; no picture is opened.

    The order is that of the sorted paths, or of the rows; it is the same on every machine. A data set that has to be
    fetched is kept in a cache.

    Args:
        root: A folder of class folders (flat, or under `train`, `validation`, `test`), a zip or tar archive of one, a
            folder of Parquet tables, one Parquet table, or a CSV manifest; or `webdataset:SHARDS`, `hf:OWNER/NAME`,
            `torchvision:NAME`, or an address of shards or tables: `s3://bucket/train-{000..099}.tar`.
        cache_dir: Where fetched pictures are kept, or None for the usual cache.
        wanted: What the person says of a table: its columns, and where its pictures are.
        progress: Where fetching reports to.

    Raises:
        DataError: It does not exist, cannot be read, is empty, or has none of these forms.
        UsageError: An invalid name after `hf:` or `torchvision:`; or columns are named of what is no table.
    """
    wanted = Wanted() if wanted is None else wanted
    place = Place.of(root)
    if place.scheme and not place.rest:
        raise DataError(f"list: {place} names no pictures. Name them after it, as in {_EXAMPLES[place.scheme]}.")
    if place.is_far:
        return list_far(place, cache_dir=cache_dir, wanted=wanted, progress=progress)
    if place.scheme in {"webdataset", "torchvision"}:
        refuse_columns(display_path(place), wanted)
    if place.scheme == "webdataset":
        return list_shards(place, wanted=wanted)
    if place.scheme == "hf":
        return list_hub(place, cache_dir=cache_dir, wanted=wanted, progress=progress)
    if place.scheme == "torchvision":
        return list_torchvision(place, cache_dir=cache_dir, progress=progress)
    return _list_path(place, wanted)


_EXAMPLES = {
    "webdataset": "'webdataset:shards/train-{000..003}.tar'",
    "hf": "hf:OWNER/NAME",
    "torchvision": "torchvision:CIFAR10",
}


def _list_path(place: Place, wanted: Wanted) -> Listing:
    """Return the listing of a folder or file."""
    path, shown = Path(place.rest), display_path(place)
    try:
        if path.is_dir():
            tables = tables_in(path)
            if tables:
                return _list_next_to_tables(path, tables, wanted)
            refuse_columns(display_path(place), wanted)
            return list_folder(path)
        if not path.exists():
            raise DataError(f"list: {shown} does not exist. {_spelling(place.rest)}")
        with path.open("rb") as stream:
            head = stream.read(512)
    except PermissionError:
        raise DataError(f"list: {shown}: no permission to read it. Change its permissions, or name another.") from None
    except OSError as error:  # a link to itself, a name too long
        raise DataError(f"list: {shown} cannot be read: {error.strerror}. Name another folder or table.") from None
    return _list_file(place, head, wanted)


def form_of(path: Path, head: bytes) -> Form | None:
    """Return what a file that is read as several pictures is, by its beginning or its name; None for any other.

    Args:
        path: The file.
        head: Its first 512 bytes.
    """
    ending = path.suffix.lower()
    if head.startswith(b"PAR1"):
        return "parquet"
    if ending in {".parquet", ".pq"}:
        return "no parquet"
    if ending in _DELIMITED:
        return "csv"
    if ending in _WORKBOOKS:
        return "workbook"
    if ending == ".zip" or head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if path.name.lower().endswith(_COMPRESSED):
        return "compressed"
    return "tar" if ending == ".tar" or head[257:262] == b"ustar" else None


def _list_file(place: Place, head: bytes, wanted: Wanted) -> Listing:
    """Return the listing of a file that begins with `head`."""
    path, shown = Path(place.rest), display_path(place)
    form = form_of(path, head)
    if form == "parquet":
        return list_parquet(path, [path], wanted=wanted)
    if form == "no parquet":
        raise DataError(
            f"list: {shown} is named like a Parquet table but is not one. Write it again, or name a folder."
        )
    if form == "csv":
        return list_csv(path, wanted=wanted)
    if form == "workbook":
        raise DataError(f"list: {shown} is a workbook. Save its sheet as CSV (UTF-8) and name that.")
    refuse_columns(display_path(place), wanted)
    if form == "zip":
        return list_zip(path)
    if form == "compressed":
        raise DataError(
            f"list: {shown} is a compressed archive, in which no picture can be found without unpacking all before it. "
            "Unpack it and name the folder, or name a .zip or a plain .tar."
        )
    if form == "tar":
        return list_tar(path, wanted=wanted)
    raise DataError(
        f"list: {shown} is a single file. Name a folder of class folders, a zip or tar archive of one, a CSV manifest "
        "or a Parquet table."
    )


def _list_next_to_tables(folder: Path, tables: list[Path], wanted: Wanted) -> Listing:
    """Return the class folders of a folder with tables in it, or the rows of the tables where there are none.

    Columns that the person names are columns of the tables.
    """
    try:
        listing = None if wanted else list_folder(folder)
    except DataError:
        listing = None
    if listing is None or len({item.label for item in listing.candidates if is_picture_name(item.path)}) < 2:
        return list_parquet(folder, tables, wanted=wanted)
    names = first_few([display_path(table.relative_to(folder)) for table in tables], 3)
    note = f"{names}: next to class folders, which are read; name the table itself to read it instead"
    return replace(listing, notes=(*listing.notes, note))


def _spelling(text: str) -> str:
    """Return what may be wrong with a path that does not exist."""
    scheme = re.match(r"([A-Za-z][\w-]+):", text)
    if scheme:
        forms = ", ".join(f"{known}:" for known in SCHEMES)
        return f"Name a path, or what begins with {forms}, s3://, gs:// or az://; {scheme[1]}: is not supported."
    return f"Check the spelling; relative paths start at {Path.cwd()}."


def tables_in(folder: Path) -> list[Path]:
    """Return the Parquet tables in a folder, or in its folder `data`; none where there are only other files."""
    for place in (folder, folder / "data"):
        tables = sorted(place.glob("*.parquet")) if place.is_dir() else []
        if tables:
            return tables
    return []
