"""A path that a person names -> a Listing of everything that may be a picture under it.

Three forms are read: a folder of class folders (`folders.py`), a manifest (CSV or Parquet) and Parquet that holds the
pictures, alone or as a folder of tables (`tables.py`).
"""

from __future__ import annotations

from pathlib import Path

from thawline.core.errors import DataError
from thawline.data.folders import list_folder
from thawline.data.listing import Candidate, FileSource, Listing, Skipped, display_path
from thawline.data.tables import ParquetSource, list_csv, list_parquet

__all__ = ["Candidate", "FileSource", "Listing", "ParquetSource", "Skipped", "list_pictures"]


def list_pictures(root: str | Path) -> Listing:
    """Return every file or row under `root` with its label and its part of the data; no picture is opened.

    The order is that of the sorted paths, or of the rows; it is the same on every machine.

    Args:
        root: A folder of class folders (flat, or under `train`, `validation`, `test`), a folder of Parquet tables, one
            Parquet table, or a CSV manifest.

    Raises:
        DataError: It does not exist, cannot be read, is empty, or has none of these forms.
    """
    path = Path(root)
    shown = display_path(path)
    try:
        if path.is_dir():
            tables = _tables_in(path)
            return list_parquet(path, tables) if tables else list_folder(path)
        if not path.exists():
            raise DataError(f"list: {shown} does not exist. Check the spelling; relative paths start at {Path.cwd()}.")
        with path.open("rb") as stream:
            magic = stream.read(4)
    except PermissionError:
        raise DataError(f"list: {shown}: no permission to read it. Change its permissions, or name another.") from None
    except OSError as error:  # a link to itself, a name too long
        raise DataError(f"list: {shown} cannot be read: {error.strerror}. Name another folder or table.") from None
    if magic == b"PAR1":
        return list_parquet(path, [path])
    if path.suffix.lower() in {".parquet", ".pq"}:
        raise DataError(f"list: {shown} is named like a Parquet table but is none. Write it again, or name a folder.")
    if path.suffix.lower() in {".csv", ".txt"}:
        return list_csv(path)
    raise DataError(
        f"list: {shown} is a single file. Name a folder of class folders, a CSV manifest or a Parquet table."
    )


def _tables_in(folder: Path) -> list[Path]:
    """Return the Parquet tables that lie in a folder or in its `data` folder, where there are no pictures besides."""
    for place in (folder, folder / "data"):
        tables = sorted(place.glob("*.parquet")) if place.is_dir() else []
        if tables:
            return tables
    return []
