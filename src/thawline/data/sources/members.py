"""A member of an archive -> its place in a folder tree, or why it may not be read.

The one idea: nothing is ever unpacked to the disk, so a name can do no harm; one that leads elsewhere is still refused
and reported, because it cannot mean a picture of this data set.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from thawline.core.errors import DataError
from thawline.data.sources.folders import is_hidden
from thawline.data.sources.parts import name_role

__all__ = ["MAX_MEMBERS", "BoundedReader", "member_parts", "refuse_many", "unwrap"]

Item = TypeVar("Item")

MAX_MEMBERS = 2_000_000
"""An archive with more is refused: its table of contents alone would fill the memory."""


class BoundedReader(io.FileIO):
    """A file with a limit on each read: what an archive claims about itself must not fill the memory.

    Attributes:
        max_read_bytes: The most that one read may ask for.
    """

    def __init__(self, file: Path, max_read_bytes: int) -> None:
        super().__init__(file, "rb")
        self.max_read_bytes = max_read_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes from where the file stands, or all that are left.

        Raises:
            ValueError: They are more than `max_read_bytes`.
        """
        wanted = size if size is not None and size >= 0 else os.fstat(self.fileno()).st_size - self.tell()
        if wanted > self.max_read_bytes:
            raise ValueError(f"a header claims {wanted:,} bytes; {self.max_read_bytes:,} are possible")
        return super().read(wanted) or b"" if wanted > 0 else b""


def member_parts(name: str) -> tuple[str, ...] | str | None:
    r"""Return the folders and the file of a member's name; why it is refused; None when it is ignored.

    >>> member_parts("./cat/1.jpg")
    ('cat', '1.jpg')
    >>> member_parts("cat/../../1.jpg")
    'its name leads out of the archive'
    >>> member_parts("__MACOSX/cat/._1.jpg") is None
    True
    """
    if "\0" in name or "\\" in name or re.match(r"[A-Za-z]:", name):
        return "its name cannot be a file name here"
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if name.startswith("/") or ".." in parts:
        return "its name leads out of the archive"
    return None if not parts or any(is_hidden(part) for part in parts) else parts


def unwrap(files: Sequence[tuple[tuple[str, ...], Item]]) -> tuple[list[tuple[tuple[str, ...], Item]], str]:
    """Return the files without the one folder that holds all others, and that folder, or an empty text.

    `photos/cat/1.jpg` alone in an archive means the class `cat`; a folder named after a part of the data, or one that
    holds no further folders, stays.

    Args:
        files: The parts of every name, and an item for it.
    """
    inner = list(files)
    wrapper: list[str] = []
    while True:
        tops = {parts[0] for parts, _ in inner if len(parts) > 1}
        inside = any(len(parts) > 2 for parts, _ in inner)
        if len(tops) != 1 or not inside or name_role(next(iter(tops))) is not None:
            return inner, "/".join(wrapper)
        wrapper.append(tops.pop())
        inner = [(parts[1:] if len(parts) > 1 else parts, item) for parts, item in inner]


def refuse_many(shown: str, number: int) -> None:
    """Refuse an archive with more members than `MAX_MEMBERS`.

    Raises:
        DataError: It has.
    """
    if number > MAX_MEMBERS:
        raise DataError(
            f"list: {shown} holds {number:,} members or more; {MAX_MEMBERS:,} are possible. Split it, or unpack it."
        )
