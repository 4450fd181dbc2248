"""What people call classes and pictures -> names of folders and files that are safe on every file system, each once.

One idea: nothing that a person typed becomes a path. What separates or ends a path, or means something to a system,
becomes `_`, and names that differ only in ways that some system does not see are numbered.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from thawline.data.formats import ENDINGS

__all__ = ["SafeNames", "picture_stem"]

_NAME_BYTES = 200
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
_PASSED_OVER = {"thumbs.db", "desktop.ini", "__macosx"}


class SafeNames:
    """Names below a root, each given once.

    A name keeps its printable characters. Names that differ in case or in how accents are composed only, or that became
    equal, get `-2`, `-3`, ….
    """

    def __init__(self, is_taken: Callable[[str], bool] = lambda path: False) -> None:
        """Begin with no name given.

        Args:
            is_taken: Whether a path, relative to the root, stands there already.
        """
        self._is_taken = is_taken
        self._given: set[str] = set()
        self._count: Counter[str] = Counter()

    def give(self, name: str, *, folder: str = "", extension: str = "") -> str:
        """Return the first free path for a name: `folder`, as it is, the safe name, `extension`.

        Args:
            name: As a person wrote it.
            folder: Empty, or a path that was given before, with a slash at its end.
            extension: With its dot.
        """
        stem = _safe(name)
        path = f"{folder}{stem}{extension}"
        while (key := unicodedata.normalize("NFC", path).casefold()) in self._given or self._is_taken(path):
            self._count[folder + stem] += 1
            path = f"{folder}{stem}-{self._count[folder + stem] + 1}{extension}"
        self._given.add(key)
        return path


def picture_stem(path: str) -> str:
    """Return a picture's name without folders, and without the ending of a format.

    >>> picture_stem("a/cat.JPG"), picture_stem("table.parquet#7")
    ('cat', 'table.parquet#7')
    """
    name = path.rpartition("/")[2]
    return Path(name).stem if Path(name).suffix.lower() in ENDINGS else name


def _safe(text: str) -> str:
    """Return text as the name of a file or folder that no system hides, refuses or reads as a path."""
    kept = "".join(mark if mark.isprintable() and mark not in '<>:"/\\|?*' else "_" for mark in text)
    kept = kept.encode()[:_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    hidden = kept[:1] in {"", ".", "~"} or kept.lower() in _PASSED_OVER
    return f"_{kept}" if hidden or kept.split(".")[0].strip().lower() in _DEVICES else kept
