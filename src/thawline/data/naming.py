"""A Listing and options of its classes -> the same pictures under other names, or fewer of them.

The one idea: classes are renamed, merged and thinned before a picture is opened. Features are addressed by the bytes of
the pictures, so none of this extracts anything again.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from thawline.core.errors import DataError, first_few
from thawline.core.options import CheckOptions
from thawline.core.spelling import did_you_mean
from thawline.data.sources.delimited import decode_text, parse_csv
from thawline.data.sources.listing import FileSource, Listing, display_path

__all__ = ["REST", "against_rest", "apply_options", "limited", "read_class_names", "renamed"]

REST = "rest"
"""Name of the class that all others form where one is distinguished from them."""

_NAME_COLUMNS = ("common name", "name", "class", "title")
_NEEDED = (
    "Required is a CSV table with a column of folder names and one of names, or a JSON object like "
    '{"n0": "mantled howler"}.'
)


def apply_options(listing: Listing, options: CheckOptions, *, for_training: bool = True) -> Listing:
    """Return the listing with people's names, then one class against the rest, then at most so many of each.

    The notes say what was done.

    Args:
        listing: As a source returns it.
        options: `class_names`, `one_against_rest`, `limit` and `seed` matter.
        for_training: As in `against_rest`.

    Raises:
        DataError: The file of names does not fit the folders, or the class does not exist.
    """
    if options.class_names is not None:
        names = read_class_names(options.class_names, listing.class_names)
        note = f"classes are named by {display_path(options.class_names.name)}"
        listing = replace(renamed(listing, names), notes=(*listing.notes, note))
    if options.one_against_rest is not None:
        listing = against_rest(listing, options.one_against_rest, for_training=for_training)
    if options.limit is not None:
        listing = limited(listing, options.limit, seed=options.seed)
    return listing


def renamed(listing: Listing, names: dict[str, str]) -> Listing:
    """Return the listing with every class renamed; pictures keep their order, classes are sorted again.

    Args:
        listing: What to rename.
        names: A name for every class of the listing; equal names merge their classes.
    """
    candidates = tuple(replace(item, label=names[item.label]) for item in listing.candidates)
    return replace(listing, class_names=tuple(sorted(set(names.values()))), candidates=candidates)


def against_rest(listing: Listing, name: str, *, for_training: bool = True) -> Listing:
    """Return the listing with two classes: `name`, and all others as `rest`.

    Args:
        listing: As a source returns it.
        name: Of the class; accents may be composed or apart.
        for_training: Whether there must be others.

    Raises:
        DataError: The class does not exist (the nearest are named), there is no other, or it is called `rest` itself.
    """
    classes = listing.class_names
    if name not in classes:  # the same name may be written with its accents composed, or apart
        name = next((own for own in classes if _composed(own) == _composed(name)), name)
    if name not in classes:
        hint = did_you_mean(name, classes, limit=3, otherwise=f"Name one of {first_few(classes)}.")
        raise DataError(f"one against rest: {display_path(listing.root)} has no class {name!r}. {hint}")
    if name == REST or (len(classes) < 2 and for_training):
        reason = f"the class is called {REST!r} itself" if name == REST else f"{name!r} is the only class"
        raise DataError(f"one against rest: {reason}. Name another class, or rename it with --class-names.")
    others = [other for other in classes if other != name]
    merged = renamed(listing, {other: name if other == name else REST for other in classes})
    note = f"{name} against the rest: {first_few(others) or 'none'}"
    return replace(merged, notes=(*merged.notes, note))


def _composed(text: str) -> str:
    """Return text with every accent composed, as most systems write it; macOS takes `ä` apart."""
    return unicodedata.normalize("NFC", text)


def limited(listing: Listing, limit: int, *, seed: int = 0) -> Listing:
    """Return the listing with at most `limit` pictures of each class and part, drawn evenly at random.

    Which are taken depends on the seed and on the pictures' paths alone: a smaller limit takes a subset of what a
    larger one takes, and adding pictures replaces few of the others. Those left out are not opened and have no row in
    the ledger.

    Args:
        listing: What to draw from; its order is kept.
        limit: Pictures of a class in a part.
        seed: The same seed and listing give the same pictures.
    """
    ranked: dict[tuple[str, str | None], list[tuple[bytes, int]]] = defaultdict(list)
    for index, item in enumerate(listing.candidates):
        digest = hashlib.sha256(f"{seed}\n{item.path}".encode()).digest()
        ranked[item.label, item.split].append((digest, index))
    taken = sorted(index for rows in ranked.values() for _, index in sorted(rows)[:limit])
    if len(taken) == len(listing.candidates):
        return listing
    note = (
        f"--limit {limit}: {len(taken):,} of {len(listing.candidates):,} pictures take part, drawn at random, at most "
        f"{limit:,} of each class and part"
    )
    candidates = tuple(listing.candidates[index] for index in taken)
    return replace(listing, candidates=candidates, notes=(*listing.notes, note))


def read_class_names(file: Path, folders: Collection[str]) -> dict[str, str]:
    """Return a name for every folder, read from a file as people write them.

    Three forms are read. A JSON object {folder: name}. A CSV table with names in its first line: the column that holds
    the folders is found by its values; the names are in the column called `common name`, `name`, `class` or `title`, in
    this order, else in the next one. A CSV table without such a line: folder, name. Blanks around a cell, blank lines
    and rows of other folders are ignored; names are kept as written, but for accents, which may be composed or apart in
    folders and in the file and are composed in the names.

    Args:
        file: The file; a table as `read_csv` takes it.
        folders: Class names as the listing has them.

    Raises:
        DataError: The file cannot be read or has none of these forms; a folder without a name or with two; two folders
            with one name; a name that cannot be printed.
    """
    where = f"class names: {display_path(file)}"
    try:
        data = FileSource(file).read()
    except DataError as error:
        raise DataError(f"{where}: {error}. Name a CSV or JSON file with --class-names.") from None
    try:
        text, _ = decode_text(data)
        is_json = text.lstrip().startswith("{")
        rows = [] if is_json else [row.cells for row in parse_csv(data, title=file.name).rows]
    except DataError as error:
        raise DataError(f"{where}: {error}. {_NEEDED}") from None
    own = {_composed(folder): folder for folder in folders}
    pairs = _json_pairs(where, text) if is_json else _csv_pairs(where, rows, own)
    known = [(folder if folder in folders else own.get(_composed(folder), folder), name) for folder, name in pairs]
    return _one_name_each(where, known, folders)


def _json_pairs(where: str, text: str) -> list[tuple[str, str]]:
    """Return (folder, name) of a JSON object of texts, repeated keys included."""
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{where} is not JSON that can be read: {reason}. {_NEEDED}") from None
    odd = [folder for folder, name in pairs if not isinstance(name, str)]
    if odd:
        raise DataError(f"{where} has something other than a text as the name of {first_few(odd)}. {_NEEDED}")
    return [(folder, name.strip()) for folder, name in pairs]


def _csv_pairs(where: str, rows: Sequence[Sequence[str]], folders: Collection[str]) -> list[tuple[str, str]]:
    """Return (folder, name) of the rows of a CSV table whose key is a folder."""
    width = max((len(row) for row in rows), default=0)
    known = set(folders)
    num_known = [len({_composed(row[column]) for row in rows if len(row) > column} & known) for column in range(width)]
    if not any(num_known):
        content = f"its first line is {', '.join(rows[0])[:100]!r}" if rows else "it is empty"
        raise DataError(f"{where} names none of the class folders ({first_few(sorted(known))}): {content}. {_NEEDED}")
    key = num_known.index(max(num_known))
    header = [] if len(rows[0]) > key and _composed(rows[0][key]) in known else rows[0]
    column = _name_column(header, key)
    if column >= width:
        raise DataError(f"{where} has folder names in its last column and no names next to them. {_NEEDED}")
    return [(row[key], row[column] if len(row) > column else "") for row in rows if len(row) > key]


def _name_column(header: Sequence[str], key: int) -> int:
    """Return the column of the names: the one with a usual title, else the one after the key."""
    titles = [" ".join(name.replace("_", " ").casefold().split()) for name in header]
    for wanted in _NAME_COLUMNS:
        for column, name in enumerate(titles):
            if name == wanted and column != key:
                return column
    return key + 1


def _one_name_each(where: str, pairs: Iterable[tuple[str, str]], folders: Collection[str]) -> dict[str, str]:
    """Return the pairs as a mapping, refusing folders without a name or with several, and names of several folders."""
    names_by_folder: dict[str, set[str]] = defaultdict(set)
    for folder, name in pairs:
        if name:
            names_by_folder[folder].add(_composed(name))
    missing = [folder for folder in sorted(folders) if folder not in names_by_folder]
    if missing:
        raise DataError(f"{where} has no name for {first_few(missing)}. Add a row for each class folder.")
    several = [
        f"{folder} ({first_few(sorted(names_by_folder[folder]))})"
        for folder in sorted(folders)
        if len(names_by_folder[folder]) > 1
    ]
    if several:
        raise DataError(f"{where} has more than one name for {first_few(several)}. Keep one row for each folder.")
    names = {folder: next(iter(names_by_folder[folder])) for folder in sorted(folders)}
    odd = [repr(name)[:100] for name in names.values() if not name.isprintable()]
    if odd:
        raise DataError(f"{where} has names with characters that cannot be printed: {first_few(odd)}. Remove them.")
    folders_by_name: dict[str, list[str]] = defaultdict(list)
    for folder, name in names.items():
        folders_by_name[name].append(folder)
    shared = [f"{' and '.join(same)} are both {name!r}" for name, same in folders_by_name.items() if len(same) > 1]
    if shared:
        raise DataError(f"{where}: {first_few(shared)}. Give each its own name, or merge the folders.")
    return names
