"""Predictions and their pictures -> copies or links in class folders, and a list from which it can all be undone.

One idea: nothing is overwritten and nothing is lost. A picture gets a name that is free; `sorted.csv` has a row for it,
with the SHA-256 of its bytes, before it stands there; and only what is still as that row says is ever removed.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from thawline.core.errors import DataError, StoreError
from thawline.core.spreadsheet import csv_line, true_cell
from thawline.core.store import disk_errors, staging_directory, write_bytes
from thawline.core.types import Prediction
from thawline.data.dataset import Source
from thawline.data.formats import format_of
from thawline.data.safe_names import SafeNames, picture_stem
from thawline.data.sources.listing import FileSource, display_path

__all__ = ["LIST", "How", "SortedFolder", "Undone", "require_apart", "undo"]

LIST = "sorted.csv"
COLUMNS = ("place", "picture", "label", "probability", "doubt", "how", "sha256")

How = Literal["copy", "link"]


class SortedFolder:
    """A folder that pictures are sorted into.

    Attributes:
        folder: Where the class folders are.
        counts: Pictures that were put there, by folder.
        num_known: Pictures that stood there already, with the same bytes under the same answer.
    """

    def __init__(self, folder: Path, *, how: How = "copy") -> None:
        """Take note of what is there.

        Args:
            folder: Made if need be; what stands there stays.
            how: `link` makes links to pictures that are files of their own; others are copied.

        Raises:
            StoreError: It cannot be written, or its list is not one that sorting wrote.
        """
        self.folder, self.how = folder, how
        self.counts: Counter[str] = Counter()
        self.num_known = 0
        with disk_errors("sort", folder):
            folder.mkdir(parents=True, exist_ok=True)
        rows = _read_list(folder / LIST)
        self._known = {(row["sha256"], PurePosixPath(row["place"]).parts[0]): row["place"] for row in rows}
        self._names = SafeNames(lambda path: os.path.lexists(folder / path))
        self._folders = {
            (bool(row["doubt"]), row["doubt"] or row["label"]): PurePosixPath(row["place"]).parts[0] for row in rows
        }
        self._class_names = SafeNames()
        for name in self._folders.values():
            self._class_names.give(name)

    def put(self, row: Prediction, source: Source) -> str | None:
        """Copy or link one picture into the folder of its answer; return its place below the folder.

        An answer that the model is not sure of lies in the folder `not sure` or `none of these`. A picture without an
        answer, or that stands there already, is left out: None.

        Args:
            row: Its prediction.
            source: Where its bytes come from.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        if row.label is None:
            return None
        try:
            data = source.read()
        except (DataError, OSError):
            return None  # gone since it was answered
        answer = (row.doubt is not None, row.doubt or row.label)  # a class may be called `not sure` too
        if answer not in self._folders:
            self._folders[answer] = self._class_names.give(answer[1])
        folder = self._folders[answer]
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._known.get((sha256, folder))
        if known is not None and os.path.lexists(self.folder / known):
            self.num_known += 1
            return None
        ending = _ending(data, row.path)
        with disk_errors("sort", self.folder):
            (self.folder / folder).mkdir(exist_ok=True)
            place = self._names.give(picture_stem(row.path), folder=f"{folder}/", extension=ending)
            link = source.path if self.how == "link" and isinstance(source, FileSource) else None
            how = "copy" if link is None else "link"
            self._note(place, row, how=how, sha256=sha256)
            _stand(self.folder / place, data, link=link)
        self._known[sha256, folder] = place
        self.counts[folder] += 1
        return place

    def _note(self, place: str, row: Prediction, *, how: str, sha256: str) -> None:
        """Append a row to the list, so that what comes next can be undone whatever happens."""
        path = self.folder / LIST
        is_new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as stream:
            if is_new:
                stream.write(csv_line(COLUMNS) + "\n")
            cells = [place, row.path, row.label, row.probability, row.doubt, how, sha256]
            stream.write(csv_line(cells) + "\n")


@dataclass(frozen=True)
class Undone:
    """What undoing did.

    Attributes:
        num_removed: Copies and links that are gone.
        changed: Places that were left, since what stands there is no longer what was put there.
    """

    num_removed: int
    changed: tuple[str, ...]


def undo(folder: Path) -> Undone:
    """Remove what sorting put into a folder, where it is still as it was put, and return what was left.

    Class folders that are empty then go too, and the list where nothing of it is left; everything else stays.

    Raises:
        StoreError: The folder has no list of sorting, or cannot be written.
    """
    rows = list({row["place"]: row for row in _read_list(folder / LIST)}.values())  # of a place the last one counts
    if not rows:
        raise StoreError(
            f"undo: {display_path(folder)} has no {LIST} that sorting wrote. Name the folder that --sort-into named."
        )
    num_removed, left = 0, []
    with disk_errors("undo", folder):
        for row in rows:
            path = folder / row["place"]
            if not os.path.lexists(path):
                continue
            if _is_as_it_was(path, row):
                path.unlink()
                num_removed += 1
            else:
                left.append(row)
        for name in {PurePosixPath(row["place"]).parts[0] for row in rows}:
            with suppress(OSError):  # not empty: somebody put more there
                (folder / name).rmdir()
        if left:
            _write_list(folder / LIST, left)
        else:
            (folder / LIST).unlink()
    return Undone(num_removed, tuple(row["place"] for row in left))


def require_apart(folder: Path, named: Path) -> None:
    """Refuse to sort pictures into a folder that lies in theirs, or that they lie in: they would be found again.

    Args:
        folder: To sort into.
        named: A folder of pictures.

    Raises:
        DataError: One is inside the other.
    """
    one, other = folder.resolve(), named.resolve()
    if other.is_dir() and (one.is_relative_to(other) or other.is_relative_to(one)):
        raise DataError(
            f"sort: {display_path(folder)} and the pictures in {display_path(named)} are inside one another, so sorted "
            "pictures would be answered again. Name a folder elsewhere with --sort-into."
        )


def _stand(path: Path, data: bytes, *, link: Path | None) -> None:
    """Put a picture in its place, whole or not at all, and never over something else."""
    with staging_directory(path.parent) as staged:
        made = staged / "picture"
        if link is None:
            made.write_bytes(data)
        else:
            made.symlink_to(link.absolute())
        try:
            os.link(made, path, follow_symlinks=False)  # unlike a rename it fails where something stands
        except (OSError, NotImplementedError) as error:
            if isinstance(error, FileExistsError) or os.path.lexists(path):
                raise
            made.rename(path)  # a file system without hard links


def _is_as_it_was(path: Path, row: dict[str, str]) -> bool:
    """Return whether what stands at a place is what a row of the list put there."""
    if path.is_symlink() != (row["how"] == "link"):
        return False
    if path.is_symlink() and not path.exists():
        return True  # its picture is gone, and nothing is lost with it
    if not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]


def _ending(data: bytes, name: str) -> str:
    """Return the ending of a picture's own name where its format has it, else the format's first."""
    endings = format_of(data).endings
    own = PurePosixPath(name).suffix.lower()
    return own if own in endings else endings[0]


def _read_list(path: Path) -> list[dict[str, str]]:
    """Return the rows of a list; none where there is no list."""
    if not os.path.lexists(path):
        return []
    with _damage(path), disk_errors("read", path), path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, strict=True)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError
        found = []
        for cells in rows:
            row = {name: true_cell(cells[name]) for name in COLUMNS}
            parts = PurePosixPath(row["place"]).parts
            if len(parts) != 2 or ".." in parts or row["place"].startswith("/") or "\\" in row["place"]:
                raise ValueError
            found.append(row)
        return found


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise StoreError(
            f"sort: {display_path(path)} is not a list that sorting wrote, or it was changed. Move it away, or choose "
            "another folder."
        ) from None


def _write_list(path: Path, rows: list[dict[str, str]]) -> None:
    lines = [csv_line(COLUMNS), *(csv_line(row[name] for name in COLUMNS) for row in rows)]
    write_bytes(path, "".join(line + "\n" for line in lines).encode())
