"""A Parquet table -> some of its cells as they are, its columns as text, and the names that it gives its classes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from thawline.data.sources.label_values import label_of, text_of

__all__ = ["FIRST_ROWS", "class_names_of", "first_cells", "texts_of"]

FIRST_ROWS = 32
"""Rows by which columns of pictures are known."""


def first_cells(file: Path, column: str) -> list[Any]:
    """Return the first cells of a column, 32 of them or all there are; what follows is not read."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 16)
    for batch in table.iter_batches(FIRST_ROWS, columns=[column], use_threads=False):
        return list(batch.column(0).to_pylist())
    return []


def texts_of(
    file: Path, columns: Sequence[str], *, class_names: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Iterator[tuple[str, ...]]:
    """Yield the rows of some columns as text.

    Args:
        file: The table.
        columns: Their names.
        class_names: Names of the numbers in columns of classes; a number without one becomes an empty text.
    """
    import pyarrow.parquet as pq

    if not columns:
        return
    table = pq.read_table(file, columns=list(columns))
    texts = []
    for name in columns:
        names = class_names.get(name, ())
        values = table.column(name).to_pylist()
        texts.append([label_of(value, names)[0] if names else text_of(value).strip() for value in values])
    yield from zip(*texts, strict=True)


def class_names_of(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the columns that `datasets` declares to be classes, with their names."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and name in schema.names
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
