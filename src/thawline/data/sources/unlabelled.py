"""What a person names to have it answered -> every picture in it, by the name that its answer has; no labels.

The one idea: what `fit` learns from, `predict` answers: the same links are followed, the same files passed over, the
same archives, tables and shards opened. Only classes are not asked for, and nothing is refused as a whole: what cannot
be read is a row that says why.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from thawline.core.errors import DataError
from thawline.data.dataset import Source
from thawline.data.sources.archives import ZipSource, zip_contents
from thawline.data.sources.folders import DEAD_LINK, READ_ALREADY, folder_files
from thawline.data.sources.group_columns import NO_GROUPS
from thawline.data.sources.headings import Wanted
from thawline.data.sources.listing import (
    Candidate,
    FileSource,
    Listing,
    Skipped,
    display_path,
    only_answered,
    shown_path,
)
from thawline.data.sources.members import Contents
from thawline.data.sources.picture_files import NoFile
from thawline.data.sources.pictures import Form, form_of, list_pictures, tables_in
from thawline.data.sources.places import Place
from thawline.data.sources.shards import LABELS, shard_files
from thawline.data.sources.system_files import HIDDEN_FILE, SYSTEM_FOLDER, is_picture_name
from thawline.data.sources.tars import TarSource, read_contents

__all__ = ["UNLABELLED", "Answerable", "files_in", "list_unlabelled", "pictures_in"]

Answerable = tuple[str, Source]
"""The name that people know a picture by, and where its bytes come from."""

UNLABELLED = "unlabelled"
"""What the one class of a folder is called whose pictures have none."""

_AS_FIT = Wanted(group_column=NO_GROUPS, needs_labels=False)
_WITHOUT_A_WORD = frozenset({HIDDEN_FILE, SYSTEM_FOLDER, READ_ALREADY})


def pictures_in(named: Sequence[str | Path]) -> list[Answerable]:
    """Return every picture that people name, in their order, those of a folder or archive sorted; nothing is opened.

    A file is taken as it is, unless it is an archive or a table; a folder with all that `fit` would find in it.

    Args:
        named: Files, folders, archives, tables, globs such as `new/**/*.jpg` that no shell has opened, or
            `webdataset:SHARDS`, `hf:OWNER/NAME`, `torchvision:NAME`, or addresses as `list_far` takes them.

    Raises:
        UsageError: An invalid name after `hf:` or `torchvision:`.
    """
    found: list[Answerable] = []
    for name in named:
        try:
            with only_answered():
                found += _pictures_in(str(name))
        except DataError as error:
            found.append((display_path(name), NoFile(str(error))))
    return found


def _pictures_in(name: str) -> list[Answerable]:
    """Return the pictures of one place; raises `DataError` where it cannot be read as what it is."""
    path, place = Path(name), Place.of(name)
    if place.is_far:
        return _listed(list_pictures(place, wanted=_AS_FIT), "")
    if os.path.isdir(path):  # noqa: PTH112 -- unlike Path.is_dir it does not raise for a name that is too long
        return _in_folder(path)
    if glob.has_magic(name) and not os.path.lexists(path):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 -- absolute patterns too, and as they are typed
        if not matches:
            raise DataError("no file has a name like this")
        return [item for match in matches for item in _pictures_in(match)]
    if place.scheme and not os.path.lexists(path):
        if place.scheme == "webdataset":
            return [item for file in shard_files(place) for item in _in_archive(file, read_contents(file))]
        return _listed(list_pictures(place, wanted=_AS_FIT), f"{place}/")
    form = _form(path)
    if form == "zip":
        return _in_archive(path, zip_contents(path))
    if form == "tar":
        return _in_archive(path, read_contents(path))
    if form is None:
        return [(display_path(path), FileSource(path))]
    try:
        return _in_table(path)
    except DataError:
        if path.suffix.lower() == ".txt":  # may be any text
            return [(display_path(path), FileSource(path))]
        raise


def _form(path: Path) -> Form | None:
    """Return what a file is that is read as several pictures; None for any other, and where it cannot be opened."""
    if not os.path.isfile(path):  # noqa: PTH113 -- it does not raise; and opening a pipe would wait for ever
        return None
    try:
        with path.open("rb") as stream:
            return form_of(path, stream.read(512))
    except OSError:  # its own row says so
        return None


def _in_folder(folder: Path) -> list[Answerable]:
    """Return the files of a folder, or the pictures in its tables where it has no others."""
    files, skipped = files_in(folder)
    if tables_in(folder) and not any(is_picture_name(source.path.name) for source in files):
        return _in_table(folder)
    found: list[Answerable] = [(display_path(source.path), source) for source in files]
    return found + list(_left_out(skipped, f"{display_path(folder)}/"))


def files_in(folder: Path) -> tuple[list[FileSource], list[Skipped]]:
    """Return the files of a folder as `fit` finds them, sorted by their paths, and what else is left out.

    Links that lead nowhere are among the files: reading them says so.

    Raises:
        DataError: The folder cannot be opened.
    """
    files, skipped, _ = folder_files(folder)
    found: list[tuple[tuple[str, ...], FileSource]] = list(files)
    found += [(tuple(row.path.split("/")), FileSource(folder / row.path)) for row in skipped if row.reason == DEAD_LINK]
    return [source for _, source in sorted(found, key=lambda item: item[0])], [
        row for row in skipped if row.reason != DEAD_LINK
    ]


def list_unlabelled(folder: Path) -> Listing:
    """Return every file of a folder, and of the folders in it, as a candidate of one class.

    Raises:
        DataError: The folder cannot be opened, or holds no file.
    """
    files, skipped, notes = folder_files(folder)
    if not files:
        raise DataError(f"list: {display_path(folder)} holds no files. Name a folder of pictures.")
    found = tuple(Candidate(shown_path(parts), UNLABELLED, None, source) for parts, source in files)
    return Listing(Place.of(str(folder)), (UNLABELLED,), found, tuple(skipped), tuple(notes))


def _in_table(path: Path) -> list[Answerable]:
    """Return the pictures of a table, or of a folder of them."""
    folder = path if path.is_dir() else path.parent
    return _listed(list_pictures(path, wanted=_AS_FIT), "" if folder == Path() else f"{display_path(folder)}/")


def _listed(listing: Listing, prefix: str) -> list[Answerable]:
    """Return the candidates of a listing, files by their own names, and what it leaves out."""
    names = [item.path if item.path.startswith("/") else f"{prefix}{item.path}" for item in listing.candidates]
    found: list[Answerable] = list(zip(names, [item.source for item in listing.candidates], strict=True))
    return found + list(_left_out(listing.skipped, prefix))


def _in_archive(file: Path, contents: Contents[ZipSource] | Contents[TarSource]) -> list[Answerable]:
    """Return the members of an archive; labels and the like next to a picture are none."""
    prefix = f"{display_path(file)}/"
    stems = {(*parts[:-1], parts[-1].partition(".")[0]) for parts in contents.files if is_picture_name(parts[-1])}
    found: list[Answerable] = []
    files: Mapping[tuple[str, ...], Source] = dict(contents.files)
    for parts, source in sorted(files.items(), key=lambda item: item[0]):
        stem, _, ending = parts[-1].partition(".")
        if ending.lower() in LABELS and (*parts[:-1], stem) in stems:
            continue
        found.append((f"{prefix}{shown_path(parts)}", source))
    return found + list(_left_out(contents.skipped, prefix))


def _left_out(skipped: Iterable[Skipped], prefix: str) -> Iterator[Answerable]:
    """Yield rows for what is left out, but for what systems put there and what is hidden."""
    for item in skipped:
        if item.reason not in _WITHOUT_A_WORD:
            yield f"{prefix}{item.path}", NoFile(item.reason)
