"""A member of an archive -> its place in a folder tree, or why it may not be read.

The one idea: nothing is ever unpacked to the disk, so a name can do no harm; one that leads elsewhere is still refused
and reported, because it cannot mean a picture of this data set.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from thawline.core.errors import DataError
from thawline.data.dataset import Source
from thawline.data.sources.layout import lay_out, unwrap, wrapper_notes
from thawline.data.sources.listing import Listing, Skipped, display_path, shown_path
from thawline.data.sources.part_folders import Parts
from thawline.data.sources.system_files import is_hidden, why_left_out

__all__ = ["MAX_MEMBERS", "BoundedReader", "Contents", "member_parts", "refuse_many"]

Member = TypeVar("Member", bound=Source)

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


@dataclass(repr=False)
class Contents(Generic[Member]):
    """What an archive holds.

    Attributes:
        files: Its regular members, in its order, by the parts of their names.
        skipped: What is left out, with the reason.
    """

    files: dict[Parts, Member] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Contents {len(self.files):,} files, {len(self.skipped):,} skipped>"

    def place(self, name: str, why_not: str = "") -> Parts | None:
        """Return where a member belongs, or None where it is left out; then `skipped` says why.

        Args:
            name: The member's name.
            why_not: Why a member of any name would be left out: a link, a device.
        """
        parts = member_parts(name)
        if parts and not isinstance(parts, str) and any(map(is_hidden, parts)):
            row = why_left_out(parts)
            item = row and Skipped(shown_path(row[0]), row[1])
            if item and item not in self.skipped[-1:]:
                self.skipped.append(item)
            return None
        if isinstance(parts, str):
            self.skipped.append(Skipped(display_path(name), parts))
            return None
        if parts and (why_not or parts in self.files):
            self.skipped.append(Skipped(shown_path(parts), why_not or "the archive holds another member of this name"))
            return None
        return parts

    def lay_out(self, file: Path) -> Listing:
        """Return the files as candidates of the classes whose folders they lie in; the folder around all is taken off.

        Raises:
            DataError: As `layout.lay_out`.
        """
        inner, wrapper = unwrap(sorted(self.files.items()))
        return lay_out(file, inner, skipped=self.skipped, notes=wrapper_notes(wrapper))


def member_parts(name: str) -> Parts | str | None:
    r"""Return the folders and the file of a member's name; why it is refused; None where it names nothing.

    A backslash stands between folders, as some programs on Windows write it.

    >>> member_parts("./cat/1.jpg"), member_parts(r"cat\1.jpg")
    (('cat', '1.jpg'), ('cat', '1.jpg'))
    >>> member_parts("cat/../../1.jpg")
    'its name leads out of the archive'
    """
    name = name.replace("\\", "/")
    if "\0" in name or re.match(r"[A-Za-z]:", name):
        return "its name cannot be a file name here"
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if name.startswith("/") or ".." in parts:
        return "its name leads out of the archive"
    return parts or None


def refuse_many(shown: str, number: int) -> None:
    """Refuse an archive with more members than `MAX_MEMBERS`.

    Raises:
        DataError: It has.
    """
    if number > MAX_MEMBERS:
        raise DataError(
            f"list: {shown} holds {number:,} members or more; {MAX_MEMBERS:,} are possible. Split it, or unpack it."
        )
