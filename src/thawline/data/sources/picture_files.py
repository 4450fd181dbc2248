"""What a cell of a table calls a picture -> the file, always inside one folder.

The one idea: a table may come from anywhere, so a cell can only name a file inside the folder that the person named
(the table's own, unless told otherwise), whatever it says: `..`, an absolute path, an address. A link inside that
folder is the person's own and is followed, as in class folders. Where no file has exactly that name, the ways in which
a list parts from its pictures are tried, each only where one file alone fits.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from thawline.core.errors import DataError, first_few
from thawline.data.formats import ENDINGS

__all__ = ["OUTSIDE", "FoundFile", "NoFile", "PictureFiles", "Within"]

OUTSIDE = "outside the folder of the table"
"""Reason of a row that names a file elsewhere."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ROOTS = frozenset({"/", os.sep})
_UNUSUAL = re.compile(r"[\\:\0]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Within:
    """A folder whose own links were followed once -> whether a path lies inside it; no file is opened.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.written = _with_end(os.path.normpath(folder.absolute()))
        self._real = os.path.normcase(_with_end(os.path.realpath(self.written)))

    def __contains__(self, place: str) -> bool:
        """Return whether a path, absolute and without `..`, is inside as it is written or with its links followed."""
        if _with_end(place).startswith(self.written):
            return True
        return os.path.normcase(_with_end(os.path.realpath(place))).startswith(self._real)


@dataclass(frozen=True)
class FoundFile:
    """The file that a cell names.

    Attributes:
        path: Where it is, or would be.
        name: The same relative to the folder, with `/` between its parts.
        prefix: What was taken off the front of the cell's path because it is another place than here; else empty.
        is_respelt: Whether the file's name differs from the cell's: in case, ending, or the form of its accents.
        is_there: Whether there is something at that place.
    """

    path: Path
    name: str
    prefix: str = ""
    is_respelt: bool = False
    is_there: bool = True


@dataclass(frozen=True)
class NoFile:
    """The source of a row whose picture cannot be read, for a reason that is known before anything is opened."""

    reason: str

    def read(self) -> bytes:
        """Raise the reason as a `DataError`."""
        raise DataError(self.reason)


@dataclass
class _Folder:
    """The names in a folder, as they are and as they may be written instead."""

    names: set[str]
    by_form: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_case: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, folder: Path) -> _Folder:
        """Return the names in a folder, none where it cannot be read."""
        try:
            found = cls({path.name for path in folder.iterdir()})
        except OSError:
            return cls(set())
        for name in sorted(found.names):
            found.by_form[_composed(name)].append(name)
            found.by_case[_folded(name)].append(name)
            if Path(name).suffix.lower() in ENDINGS:
                found.by_stem[_folded(Path(name).stem)].append(name)
        return found

    def one(self, name: str, *, is_last: bool) -> str | None:
        """Return the one name that is meant, or None; several are refused with a `DataError`."""
        if name in self.names:
            return name
        tried = [(self.by_form, _composed(name)), (self.by_case, _folded(name))]
        for names_by_key, key in [*tried, (self.by_stem, _folded(name))] if is_last else tried:
            if found := names_by_key.get(key):
                if len(found) > 1:
                    raise DataError(f"several files fit: {first_few(found, 3)}")
                return found[0]
        return None


class PictureFiles:
    """The files inside one folder, found by what the cells of a table call them.

    Args:
        folder: Only files inside it are found; relative paths start here.
        start: Where relative paths start too, where they then lead into `folder`: the table's own folder.
    """

    def __init__(self, folder: Path, *, start: Path | None = None) -> None:
        self.folder = Path(os.path.normpath(folder.absolute()))
        self.start = Path(os.path.normpath((start or folder).absolute()))
        self._within = Within(self.folder)
        self._inside = self._within.written
        self._folders: dict[str, _Folder] = {}

    def find(self, cell: str) -> FoundFile:
        """Return the file that a cell names; where there is none, the place at which it was expected.

        Raises:
            DataError: The cell names a file outside the folder, an address, or several files fit; in a few words.
        """
        if cell[:1] != "/" and not _UNUSUAL.search(cell):  # what most tables hold
            place = os.path.normpath(self._inside + cell)
            if place.startswith(self._inside) and os.path.lexists(place):
                return self._found(place)
        written = _without_scheme(cell)
        slashed = written.replace("\\", "/")
        names = [name for name in dict.fromkeys((written, slashed, unquote(slashed))) if "\0" not in name]
        if not names:
            raise DataError("a path with a zero byte")
        expected = self._expected(names)
        for place in expected:
            if os.path.lexists(place):
                return self._found(place)
        for place in expected:
            if found := self._match(Path(self._relative(place)).parts):
                return found
        parts = [part for part in slashed.split("/") if part not in {"", "."}]
        if found := self._by_suffix(parts, is_absolute=not expected):
            return found
        if not expected:
            raise DataError(OUTSIDE)
        return replace(self._found(expected[-1]), is_there=False)

    def _expected(self, names: Sequence[str]) -> list[str]:
        """Return the places inside the folder that a cell may mean, taken as it is written.

        Raises:
            DataError: One of its meanings is outside.
        """
        expected: dict[str, None] = {}
        for name in names:
            is_absolute = name[:1] in _ROOTS or bool(_DRIVE.match(name))
            if is_absolute and not Path(name).is_absolute():  # of another system
                continue
            starts = ("",) if is_absolute else dict.fromkeys((self._inside, f"{self.start}{os.sep}"))
            places = [os.path.normpath(start + name) for start in starts]
            inside = [place for place in places if place in self._within]
            if not inside and (not is_absolute or os.path.lexists(places[0])):
                raise DataError(OUTSIDE)
            expected.update(dict.fromkeys(inside))
        return [place for place in expected if place != str(self.folder)]

    def holds(self, cell: str) -> bool:
        """Return whether a cell names a file that is there."""
        if not cell:
            return False
        try:
            return self.find(cell).path.is_file()
        except (DataError, OSError):
            return False

    def _found(self, place: str) -> FoundFile:
        """Return the file at a place inside the folder."""
        return FoundFile(Path(place), self._relative(place).replace(os.sep, "/"))

    def _relative(self, place: str) -> str:
        """Return a place inside the folder relative to it."""
        if place.startswith(self._inside):
            return place[len(self._inside) :]
        return os.path.relpath(os.path.realpath(place), os.path.realpath(self.folder))

    def _by_suffix(self, parts: list[str], *, is_absolute: bool) -> FoundFile | None:
        """Return the file at the longest end of a path that exists under the folder.

        Of a path that is not absolute a single name is too little, unless the folder before it has this folder's name.
        """
        for start in range(0 if is_absolute else 1, len(parts)):
            is_enough = is_absolute or len(parts) - start > 1 or parts[start - 1] == self.folder.name
            if is_enough and (found := self._match(parts[start:])):
                return FoundFile(found.path, found.name, "/".join(parts[:start]) or "/", found.is_respelt)
        return None

    def _match(self, parts: Sequence[str]) -> FoundFile | None:
        """Return the one file whose path has these parts, in another case or form of accents, or without ending."""
        here, names = str(self.folder), []
        for number, part in enumerate(parts, start=1):
            if here not in self._folders:
                self._folders[here] = _Folder.read(Path(here))
            name = self._folders[here].one(part, is_last=number == len(parts))
            if name is None:
                return None
            names.append(name)
            here = f"{here}{os.sep}{name}"
        return FoundFile(Path(here), "/".join(names), is_respelt=names != list(parts)) if names else None


def _with_end(folder: str) -> str:
    """Return a folder with the separator that its files' paths go on with; the root has it already."""
    return folder if folder.endswith(os.sep) else f"{folder}{os.sep}"


def _without_scheme(cell: str) -> str:
    """Return a cell as a path: a `file:` address is taken apart, any other address refused."""
    if cell[:5].lower() == "file:":
        try:
            address = urlsplit(cell)
        except ValueError:
            raise DataError("an address that cannot be taken apart") from None
        return url2pathname(address.path) if address.netloc in {"", "localhost"} else unquote(cell[5:])
    if _ADDRESS.match(cell):
        raise DataError("an address; only files of this machine are read")
    return cell


def _composed(name: str) -> str:
    """Return a name with its accents composed."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """Return a name without regard to case, its accents composed."""
    return unicodedata.normalize("NFC", name.casefold())
