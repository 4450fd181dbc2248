"""The columns of a table with pictures inside, and some of its cells -> which column holds the pictures.

The one idea: pictures are known by their bytes, not by a column's name or place. Names choose only among columns that
hold some; where that leaves several, the person is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thawline.core.errors import DataError, first_few
from thawline.data.formats import format_of
from thawline.data.sources.headings import (
    LABELS,
    PATHS,
    PICTURES,
    Wanted,
    asked_column,
    choose_label,
    fold_heading,
    one_usual,
)

__all__ = [
    "byte_columns",
    "choose_label_column",
    "choose_picture_column",
    "refuse_several",
    "text_columns",
    "unknown_columns",
]

Sample = Callable[[str], Sequence[Any]]


def byte_columns(schema: Any) -> tuple[str, ...]:
    """Return the columns of an Arrow schema that can hold encoded pictures: bytes, or a struct with `bytes` in it."""
    import pyarrow as pa

    is_bytes = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    found = []
    for item in schema:
        kind = item.type.value_type if pa.types.is_dictionary(item.type) else item.type
        is_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if is_struct or any(test(kind) for test in is_bytes):
            found.append(item.name)
    return tuple(found)


def choose_picture_column(
    schema: Any, sample: Sample, *, where: str, wanted: Wanted
) -> tuple[str | None, bool, tuple[str, ...]]:
    """Return the column of pictures, or None; whether its cells were seen to be pictures; and a note on others.

    Args:
        schema: Arrow schema of the table.
        sample: Returns some cells of a column, the first ones.
        where: What errors call the table.
        wanted: What the person named.

    Raises:
        DataError: Several columns hold pictures and none has a usual name, or the column that the person named does not
            exist.
    """
    columns = byte_columns(schema)
    if wanted.path_column is not None:
        asked = asked_column(schema.names, wanted.path_column, where=where, option="--path-column")
        return (asked if asked in columns else None), True, ()
    cells = {name: [_bytes_or_path(cell) for cell in sample(name)] for name in columns}
    filled = [name for name in columns if any(cells[name])] or list(columns)
    seen = [name for name in filled if any(_is_picture(cell) for cell in cells[name])]
    likely = seen or [name for name in filled if fold_heading(name) in PICTURES]
    likely = likely or [name for name in filled if fold_heading(name) not in (*LABELS, *PATHS)]
    chosen = likely[0] if len(likely) == 1 else one_usual(likely, PICTURES)
    if chosen is None and likely:
        raise DataError(
            f"list: {where} has several columns of pictures: {first_few(likely)}. Name the one to learn from with "
            "--path-column."
        )
    others = [name for name in likely if name != chosen]
    note = f"the pictures are those of the column {chosen}; --path-column takes {first_few(others)} instead"
    return chosen, bool(seen), (note,) if others else ()


def text_columns(schema: Any, *, wanted: Wanted) -> list[str]:
    """Return the columns that may hold paths, classes or parts as text; of bytes only those whose names say so.

    Args:
        schema: Arrow schema of the table.
        wanted: What the person named.
    """
    import pyarrow as pa

    asked = {wanted.path_column, wanted.label_column}
    usual = {*LABELS, *PATHS} - {*PICTURES}
    plain = [item.name for item in schema if not pa.types.is_nested(item.type)]
    bytes_ = byte_columns(schema)
    return [name for name in plain if name not in bytes_ or name in asked or fold_heading(name) in usual]


def choose_label_column(
    schema: Any, picture: str, *, class_names: Mapping[str, Sequence[str]], where: str, wanted: Wanted
) -> tuple[str, tuple[str, ...]]:
    """Return the column of classes of a table with pictures inside, and a note where others could have been meant.

    Args:
        schema: Arrow schema of the table.
        picture: Its column of pictures.
        class_names: The columns that the table declares to be classes, with their names.
        where: What errors call the table.
        wanted: What the person named.

    Raises:
        DataError: There is none, or it holds several labels a picture.
    """
    names = [name for name in schema.names if name != picture]
    label, notes = choose_label(names, class_names, where=where, wanted=wanted)
    if label is None:
        raise unknown_columns(schema.names, where)
    refuse_several(schema, label, where=where)
    return label, notes


def refuse_several(schema: Any, label: str, *, where: str) -> None:
    """Refuse a column of classes that holds several values a picture: lists, structs, maps.

    Args:
        schema: Arrow schema of the table.
        label: The column.
        where: What the error calls the table.

    Raises:
        DataError: It does.
    """
    import pyarrow as pa

    kind = schema.field(label).type
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        fields = [kind.field(place).name for place in range(kind.num_fields)] if pa.types.is_struct(kind) else ["a map"]
        raise DataError(
            f"list: {where}: the column {label} holds several values a picture ({first_few(fields)}); required is one "
            "text or number. Write one of them into a column of its own, or name another column with --label-column."
        )
    if pa.types.is_nested(kind):
        raise DataError(
            f"list: {where}: the column {label} holds lists, several labels a picture; Thawline gives a picture one "
            "class. Write one label a row into a column of its own, or name another column with --label-column."
        )


def unknown_columns(names: Sequence[str], where: str) -> DataError:
    """Return the refusal of a table in which no column of pictures, or none of classes, was found.

    Args:
        names: All columns.
        where: What the error calls the table.
    """
    return DataError(
        f"list: {where} has the columns {first_few(names)}; required are one of pictures and one of classes, such as "
        "image and label. Name other columns with --path-column and --label-column."
    )


def _bytes_or_path(cell: Any) -> bytes | str | None:
    """Return what a cell holds of a picture: its bytes, the path of a file, or nothing."""
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") or cell.get("path")
    return cell or None


def _is_picture(cell: bytes | str | None) -> bool:
    """Return whether bytes are those of a picture that is read."""
    if not isinstance(cell, bytes):
        return False
    try:
        format_of(cell)
    except DataError:
        return False
    return True
