"""What a listing of pictures is made of, before a single one has been opened.

The modules of the sources make a `Listing`; `pictures.py` chooses between them; `check.py` reads every candidate.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from thawline.core.errors import DataError
from thawline.data.dataset import Role, Source
from thawline.data.formats import format_of
from thawline.data.sources.places import Place

__all__ = [
    "MAX_FILE_BYTES",
    "Candidate",
    "FileSource",
    "Listing",
    "Skipped",
    "class_label",
    "display_path",
    "only_answered",
    "reading",
    "refuse_long",
    "refuse_untrained",
    "settle_roles",
    "shown_path",
]

MAX_FILE_BYTES = 1 << 29
"""Longer files are not read: a video among the photos must not fill the memory."""

LONG_FILE_BYTES = 16 << 20
"""Of longer files the first bytes are looked at before the others are read."""

HEAD_BYTES = 4096


_ONLY_ANSWERED: ContextVar[bool] = ContextVar("only_answered", default=False)


@dataclass(frozen=True)
class FileSource:
    """A picture that is a file of its own."""

    path: Path

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            DataError: It is gone, may not be read, is not a regular file, is longer than `MAX_FILE_BYTES`, or is long
                and no picture.
        """
        with reading():
            facts = self.path.stat()
            if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
                raise DataError("not a regular file")
            refuse_long(facts.st_size, head=self._head)
            return self.path.read_bytes()

    def _head(self, size_bytes: int) -> bytes:
        with self.path.open("rb") as stream:
            return stream.read(size_bytes)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a disk can refuse while a picture is read into a `DataError` of a few words."""
    try:
        yield
    except PermissionError:
        raise DataError("no permission to read it") from None
    except FileNotFoundError:
        raise DataError("missing") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None


def refuse_long(size_bytes: int, *, head: Callable[[int], bytes]) -> None:
    """Refuse a file of more than `MAX_FILE_BYTES`, and a long one that begins as no picture does, before it is read.

    Args:
        size_bytes: The length of the file.
        head: Returns as many of its first bytes as it is asked for.

    Raises:
        DataError: It is longer, or what it is instead of a picture.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise DataError(f"{size_bytes:,} bytes are more than the {MAX_FILE_BYTES:,} that a picture may have")
    if size_bytes > LONG_FILE_BYTES:
        format_of(head(HEAD_BYTES))


@dataclass(frozen=True)
class Candidate:
    """A file or table cell that may turn out to be a picture.

    Attributes:
        path: The name shown to people: relative to the root, or `table.parquet#row`.
        label: Class name.
        split: The part that it came in, settled by `settle_roles`.
        source: Where its bytes come from.
        group: What the person calls the group of pictures that it belongs to: a patient, a camera; empty for none.
    """

    path: str
    label: str
    split: Role | None
    source: Source
    group: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file that cannot take part, known without opening it."""

    path: str
    reason: str


@dataclass(frozen=True, repr=False)
class Listing:
    """Everything found under a root, sorted, nothing opened yet.

    Attributes:
        root: What the person named.
        class_names: Names with at least one candidate, sorted.
        candidates: What `check` will open, in the order in which it is kept.
        skipped: Files that belong to no class, broken links and the like.
        notes: Remarks on the layout, such as nested class folders; each a sentence.
        grouped_by: Where the groups of the candidates come from, in words: `the column patient`; empty where there are
            none.
    """

    root: Place
    class_names: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    grouped_by: str = ""

    def __repr__(self) -> str:
        return f"<Listing {str(self.root)!r}: {len(self.candidates):,} files in {len(self.class_names):,} classes>"


@contextmanager
def only_answered() -> Iterator[None]:
    """List pictures that no model will learn from: until the end of the block, held-out parts alone will do."""
    token = _ONLY_ANSWERED.set(True)
    try:
        yield
    finally:
        _ONLY_ANSWERED.reset(token)


def refuse_untrained(problem: str) -> None:
    """Refuse pictures without a part to train on, except within `only_answered`.

    Args:
        problem: The whole message.

    Raises:
        DataError: With that message.
    """
    if not _ONLY_ANSWERED.get():
        raise DataError(problem)


def settle_roles(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates with the one rule for held-out parts applied.

    One held-out part, whatever its name, is the test; with two, validation serves the choice; with none there is no
    split, and `make_split` draws one.
    """
    items = tuple(candidates)
    held_out = {candidate.split for candidate in items} - {"train", None}
    if len(held_out) == 2:
        return items
    if not held_out:
        return tuple(item if item.split is None else replace(item, split=None) for item in items)
    only = held_out.pop()
    return tuple(replace(item, split="test") if item.split == only else item for item in items)


def display_path(path: str | Path | Place) -> str:
    r"""Return a path as text that can be printed and stored as UTF-8, whatever bytes the file system holds.

    Bytes that are not UTF-8 are shown as `\xe4`, so that different paths stay different.
    """
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace").replace(os.sep, "/")


def shown_path(parts: Iterable[str]) -> str:
    """Return the parts of a path below the root as people read it."""
    return "/".join(map(display_path, parts))


@lru_cache(maxsize=4096)
def class_label(folder: str) -> str:
    r"""Return the name of the class that a folder's name means, as classes are compared everywhere.

    Accents are composed (Unicode's NFC). A name that is not UTF-8 is read as Windows wrote it in Western Europe, where
    that has a letter for every byte, so that different names stay different.

    >>> class_label("Ka\u0308se") == class_label(os.fsdecode(b"K\xe4se")) == "Käse"
    True
    """
    data = os.fsencode(folder)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)
