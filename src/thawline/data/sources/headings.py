"""The names of a table's columns, and some of its rows -> which column holds what.

The one idea: what the person names goes first; then the names that the field gives to such columns, in a fixed order,
in any case and spelling (`ImagePath`, `image_path`, `image path`); then the contents. Where that leaves a choice
between several, the choice is told; where it leaves none, the table is refused with the options that name the columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from thawline.core.errors import DataError, UsageError, first_few
from thawline.data.dataset import Role
from thawline.data.sources.parts import is_unlabelled, name_roles

__all__ = [
    "BY_ITSELF",
    "Columns",
    "Wanted",
    "all_parts",
    "asked_column",
    "choose_columns",
    "choose_label",
    "fold_heading",
    "one_usual",
    "refuse_columns",
    "split_columns",
]

PICTURES = (
    *("image", "img", "picture", "photo", "images", "pictures", "photos"),
    *("imagebytes", "imagedata", "jpg", "jpeg", "png"),
)
"""Usual names of a column with the pictures themselves, folded, the first before the others."""

PATHS = (
    *("path", "filepath", "filepaths", "imagepath", "imgpath", "picturepath", "photopath", "relativepath", "relpath"),
    *("filename", "filenames", "imagename", "imgname", "imagefile", "imagefilename", "file", "files", "fname"),
    *PICTURES[:7],
    *("uri", "url", "location", "src", "imageid", "imgid", "fileid", "id", "name"),
)
"""Usual names of a column with the paths of pictures."""

LABELS = (
    *("label", "labels", "class", "classname", "category", "categoryname", "target", "labelname", "classlabel", "cls"),
    *("finelabel", "finelabels", "species", "breed", "diagnosis", "dx", "groundtruth", "annotation", "classes"),
    *("targets", "categories", "tag", "tags", "y", "classid", "labelid", "categoryid", "targetid", "classindex"),
    *("coarselabel", "coarselabels"),
)
"""Usual names of a column with the classes."""

SPLITS = ("split", "subset", "partition", "part", "set", "dataset", "datasplit", "traintest", "phase", "usage", "fold")
"""Usual names of a column with the parts of the data; all but the first count only where every value names a part."""

FLAGS: dict[str, Role] = {
    "isvalid": "validation",
    "isval": "validation",
    "isvalidation": "validation",
    "istest": "test",
    "istrain": "train",
}
"""Usual names of a column that says yes or no to a part of the data."""

SAMPLE_ROWS = 20


@dataclass(frozen=True)
class Wanted:
    """What the person says of a table; None where it is to be found out.

    Attributes:
        path_column: Column with the pictures or their paths.
        label_column: Column with the classes.
        picture_folder: Folder that the paths start from and stay inside; the table's own by default.
        group_column: Column that says which pictures belong together, or `none`.
        needs_labels: Whether a picture without a class is of no use; False where it is only to be answered.

    It is true where something is said that only a table has.
    """

    path_column: str | None = None
    label_column: str | None = None
    picture_folder: Path | None = None
    group_column: str | None = None
    needs_labels: bool = True

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.path_column, self.label_column, self.picture_folder))


BY_ITSELF = Wanted()
"""Nothing is said: all is to be found out."""


def refuse_columns(shown: str, wanted: Wanted) -> None:
    """Refuse columns that were named of what is no table: they would be passed over in silence.

    Raises:
        UsageError: They were.
    """
    if wanted:
        raise UsageError(
            f"list: {shown} is no table, and --path-column, --label-column and --picture-folder are for tables. Leave "
            "them out, or name a CSV or Parquet table."
        )


@dataclass(frozen=True)
class Columns:
    """Where in a row of text what is found.

    Attributes:
        path: Position of the path.
        label: Position of the class.
        splits: Positions of columns that say which part of the data a row belongs to, with the part that a `yes` means;
            None where the cell names it.
        names: Names of all columns; empty where the first row does not hold them.
        notes: What was chosen among several, each a sentence.
    """

    path: int
    label: int
    splits: tuple[tuple[int, Role | None], ...] = ()
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fold_heading(name: object) -> str:
    """Return a column's name without case, blanks and punctuation.

    >>> fold_heading(" Image_Path "), fold_heading("file name"), fold_heading("#label")
    ('imagepath', 'filename', 'label')
    """
    return "".join(
        character for character in unicodedata.normalize("NFKC", str(name)).casefold() if character.isalnum()
    )


def asked_column(names: Sequence[str], asked: str, *, where: str, option: str) -> str:
    """Return the column that the person named: exactly so, or else folded.

    Raises:
        DataError: There is none, or several fit.
    """
    if asked in names:
        return asked
    fitting = [name for name in names if fold_heading(name) == fold_heading(asked)]
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(
        f"list: {where} has no column {asked!r}; it has {first_few([name or '(no name)' for name in names])}. Name one "
        f"of them with {option}."
    )


def one_usual(names: Collection[str], usual: Sequence[str]) -> str | None:
    """Return the name that comes first in the list of usual ones, or None."""
    ranked = [(usual.index(fold_heading(name)), name) for name in names if fold_heading(name) in usual]
    return min(ranked)[1] if ranked else None


def choose_label(
    names: Sequence[str], classes: Collection[str], *, where: str, wanted: Wanted
) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of classes, or None, and a note where others could have been meant.

    Args:
        names: All columns but that of the pictures.
        classes: Those that the table itself declares to be classes.
        where: What the error calls the table.
        wanted: What the person named.

    Raises:
        DataError: The column that the person named does not exist.
    """
    if wanted.label_column is not None:
        return asked_column(names, wanted.label_column, where=where, option="--label-column"), ()
    declared = [name for name in names if name in classes]
    chosen = one_usual(declared, LABELS) or one_usual(names, LABELS) or (declared[0] if len(declared) == 1 else None)
    others = [name for name in names if name != chosen and (name in declared or fold_heading(name) in LABELS)]
    if chosen is None or not others:
        return chosen, ()
    return chosen, (f"the classes are those of the column {chosen}; --label-column takes {first_few(others)} instead",)


def split_columns(
    names: Sequence[str], values: Callable[[str], Collection[str]]
) -> tuple[tuple[str, Role | None], ...]:
    """Return the columns that say which part of the data a row belongs to, as (name, part that a `yes` means).

    A column called `split` is one always, those of other usual names only where every value names a part.

    Args:
        names: All columns.
        values: Returns the distinct texts of a column.
    """
    named = sorted((SPLITS.index(fold_heading(name)), name) for name in names if fold_heading(name) in SPLITS)
    for place, name in named:
        if place == 0 or all_parts(values(name)):
            return ((name, None),)
    flags = [(name, FLAGS[fold_heading(name)]) for name in names if fold_heading(name) in FLAGS]
    return tuple(sorted(flags, key=lambda item: item[1]))


def all_parts(values: Collection[str]) -> bool:
    """Return whether every text names a part of the data, and there is one."""
    named = name_roles(value for value in values if value)
    return bool(named) and all(role or is_unlabelled(value) for value, role in named.items())


def choose_columns(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    where: str,
    wanted: Wanted,
    is_picture: Callable[[str], bool],
) -> Columns:
    """Return where path, class and part of a manifest stand, by name and, where names leave it open, by content.

    Args:
        names: The first row: names of the columns, or the first picture already.
        rows: The others.
        where: What errors call the table.
        wanted: What the person named.
        is_picture: Whether a cell names a file that is there.

    Raises:
        DataError: It cannot be told which column holds the paths, or the classes.
    """
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)][:SAMPLE_ROWS]
    width = len(names)

    def share(column: int) -> float:
        hits = [is_picture(row[column]) if column < len(row) else False for row in sample]
        return sum(hits) / len(hits) if hits else 0.0

    named = sorted(
        (PATHS.index(fold_heading(name)), at) for at, name in enumerate(names) if fold_heading(name) in PATHS
    )
    notes: list[str] = []
    if wanted.path_column is not None:
        path = list(names).index(asked_column(names, wanted.path_column, where=where, option="--path-column"))
    else:
        usual = [at for _, at in named if fold_heading(names[at]) not in LABELS]
        by_content = [at for at in (*usual, *range(width)) if share(at) >= 0.5]
        if not usual and not by_content:
            raise _unknown(names, where)
        path = (by_content or usual)[0]
        if path not in usual and wanted.label_column is None and is_picture(names[path]):
            return _without_names(names, rows, where=where, path=path) if wanted.needs_labels else Columns(path, path)
        if path not in usual:
            notes.append(f"the paths are those of the column {names[path] or path + 1}, by its contents")
    if not wanted.needs_labels:  # a path is as good as any label, and every picture has one
        return Columns(path, path, (), tuple(names), tuple(notes))
    others = [name for at, name in enumerate(names) if at != path]
    distinct = _distinct(names, rows)
    splits = split_columns(others, distinct)
    notes += _no_parts(others, {name for name, _ in splits}, distinct)
    label, remarks = choose_label(others, (), where=where, wanted=wanted)
    if label is None:
        left = [name for name in others if name and name not in dict(splits) and not _is_index(name, distinct(name))]
        if len(left) != 1 or share(path) < 0.5:
            raise _unknown(names, where)
        label = left[0]
        notes.append(f"the classes are those of the column {label}, the only other one")
    at = {name: place for place, name in reversed(list(enumerate(names))) if place != path}
    parts = tuple((at[name], part) for name, part in splits)
    return Columns(path, at[label], parts, tuple(names), (*notes, *remarks))


def _distinct(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Callable[[str], Collection[str]]:
    """Return what gives the distinct texts of a column, collected once it is asked for."""
    places = {name: at for at, name in enumerate(names)}

    @cache
    def texts(name: str) -> Collection[str]:
        at = places[name]
        return {row[at] for row in rows if at < len(row)}

    return texts


def _without_names(names: Sequence[str], rows: Sequence[Sequence[str]], *, where: str, path: int) -> Columns:
    """Return the columns of a table whose first row is a picture already: path and class, perhaps the part."""
    others = [at for at in range(len(names)) if at != path]
    parts = [at for at in others if all_parts({row[at] for row in (names, *rows) if at < len(row)})]
    labels = [at for at in others if at not in parts]
    if len(labels) != 1 or len(parts) > 1:
        raise DataError(
            f"list: {where} has no line of names, and {len(names)} columns. Put a first line over them, such as "
            "path,label,split."
        )
    columns = ["", "", ""][: len(names)]
    for position, title in ((path, "path"), (labels[0], "label"), *((at, "split") for at in parts)):
        columns[position] = title
    note = f"the table has no line of names; its columns were read as {', '.join(columns)}"
    return Columns(path, labels[0], tuple((at, None) for at in parts), notes=(note,))


def _no_parts(names: Sequence[str], taken: Collection[str], values: Callable[[str], Collection[str]]) -> list[str]:
    """Return notes on columns that are called like parts of the data and name some, but not only these."""
    notes = []
    for name in names:
        roles = name_roles(value for value in values(name) if value) if fold_heading(name) in SPLITS else {}
        odd = sorted(value for value, role in roles.items() if role is None and not is_unlabelled(value))
        if name not in taken and odd and len(odd) < len(roles):
            notes.append(f"the column {name} is not read as parts of the data: {first_few(odd, 3)} is none")
    return notes


def _is_index(name: str, values: Collection[str]) -> bool:
    """Return whether a column is the row numbers that pandas writes."""
    return fold_heading(name) in {"index", "unnamed0", "rownumber"} and all(value.isdigit() for value in values)


def _unknown(names: Sequence[str], where: str) -> DataError:
    """Return the refusal of a table of which it is unclear what its columns hold."""
    return DataError(
        f"list: {where} has the columns {first_few([name or '(no name)' for name in names]) or 'none'}; required are "
        "path and label, and optionally split, named in the first line. Name other columns with --path-column and "
        "--label-column, and the folder that the paths start from with --picture-folder."
    )
