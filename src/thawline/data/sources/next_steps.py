"""The paths of a folder in which no classes are -> where its labels seem to be, and what to do.

The one idea: a person whose labels are elsewhere (in a table, in an archive, in the names of the files) is told where
they seem to be, and what to name instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from thawline.core.errors import first_few
from thawline.data.sources.listing import display_path, shown_path
from thawline.data.sources.system_files import is_picture_name

__all__ = ["step_for_labels", "tables_among"]

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_TABLES = (".csv", ".tsv", ".parquet", ".pq")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SORT = "put the pictures of each class into a folder named after the class, as in cat/1.jpg or train/cat/1.jpg."


def step_for_labels(root: Path, paths: Sequence[tuple[str, ...]]) -> str:
    """Return where the labels of a folder without class folders seem to be, and the next step; sentences for an error.

    Args:
        root: The folder or archive.
        paths: The parts of every path below it; there is at least one.
    """
    shown, is_folder = display_path(root), root.is_dir()
    metadata = [shown_path(parts) for parts in paths if parts[-1].lower() in _METADATA]
    archives = [shown_path(parts) for parts in paths if parts[-1].lower().endswith(_ARCHIVES)]
    tables = tables_among(paths)
    pictures = [parts[-1] for parts in paths if is_picture_name(parts[-1])]
    if metadata and is_folder:
        start = "" if shown.startswith(("/", ".", "~")) else "./"
        return f"{metadata[0]} has the labels, as `datasets` writes them: name the folder as hf:{start}{shown}."
    if archives and not pictures:
        step = f"name it itself, as {shown}/{archives[0]}" if is_folder else f"unpack {shown}, and name {archives[0]}"
        return f"{archives[0]} is an archive: {step}."
    if tables and is_folder:
        return f"{tables[0]} may have the labels: name it itself, as {shown}/{tables[0]}. Or {_SORT}"
    words = sorted({found[1] for name in pictures if (found := re.match(r"(\D*[^\W\d_])[\W_]*\d", name))})
    if len(words) > 1:
        shown_words = first_few([display_path(word) for word in words], 3)
        return (
            f"If the names of the files tell the class ({shown_words}), write a CSV table with the columns path and "
            f"label, and name it. Or {_SORT}"
        )
    return _SORT[0].upper() + _SORT[1:]


def tables_among(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the tables directly below the root, whose rows may have the labels."""
    return sorted(display_path(parts[0]) for parts in paths if len(parts) == 1 and parts[0].lower().endswith(_TABLES))
