"""A tar archive -> the regular files in it, each a stretch of the archive.

The one idea: a tar archive that is not compressed can be read anywhere. It is walked through once, header by header;
what is kept of a member is where its bytes begin and how many there are.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from thawline.core.errors import DataError
from thawline.data.sources.far_file import FarFile
from thawline.data.sources.listing import display_path, reading, refuse_long
from thawline.data.sources.members import BoundedReader, Contents, refuse_many

__all__ = ["TarSource", "read_contents"]

MAX_HEADER_BYTES = 1 << 24


@dataclass(frozen=True)
class TarSource:
    """A picture that is a member of a tar archive: a stretch of a file.

    Attributes:
        file: The archive, or this machine's copy of it.
        offset: Where the picture begins.
        size_bytes: Its length.
        far: Where the archive is read from by whoever has no copy; None for one on a disk.
    """

    file: Path
    offset: int
    size_bytes: int
    far: FarFile | None = field(default=None, compare=False, repr=False)

    def read(self) -> bytes:
        """Return the member's bytes.

        Raises:
            DataError: The archive is gone or ends within them, or they are longer than a picture may be.
        """
        with reading(), self._open() as stream:
            stream.seek(self.offset)
            refuse_long(self.size_bytes, head=stream.read)
            stream.seek(self.offset)
            data = stream.read(self.size_bytes)
        if len(data) < self.size_bytes:
            raise DataError(f"the archive ends after {len(data):,} of its {self.size_bytes:,} bytes")
        return data

    def _open(self) -> AbstractContextManager[IO[bytes] | Any]:
        return self.file.open("rb") if self.far is None or self.file.is_file() else self.far.open()


def read_contents(file: Path) -> Contents[TarSource]:
    """Return what a tar archive holds, from its headers alone.

    Raises:
        DataError: It is not one, is damaged or cut short, or holds too many members.
    """
    shown = display_path(file)
    contents = Contents[TarSource]()
    try:
        with BoundedReader(file, MAX_HEADER_BYTES) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for number, member in enumerate(_forward(tar, file.stat().st_size)):
                refuse_many(shown, number)
                _sort_in(contents, file, member)
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"no header at byte {tar.offset:,}")
    except PermissionError:
        raise DataError(f"list: {shown}: no permission to read it. Change its permissions.") from None
    except (tarfile.TarError, ValueError, OSError, OverflowError) as error:
        raise DataError(
            f"list: {shown} is not a tar archive that can be read to its end: {str(error)[:100]}. "
            "Copy or create it again; unpack a compressed one first."
        ) from None
    return contents


def _forward(tar: tarfile.TarFile, num_bytes: int) -> Iterator[tarfile.TarInfo]:
    """Yield an archive's members; one that leads back, or beyond the archive's `num_bytes`, is refused."""
    end = -1
    for member in tar:
        if member.size < 0 or member.offset <= end or tar.offset > num_bytes:
            claim = f"{member.size:,}"[:40]
            raise tarfile.ReadError(f"the member at byte {member.offset:,} claims {claim} bytes")
        end = member.offset
        yield member


def _sort_in(contents: Contents[TarSource], file: Path, member: tarfile.TarInfo) -> None:
    """Put a member among the files, or among those that are left out with a reason."""
    if member.isdir():
        return
    why_not = "" if member.isreg() and not member.issparse() else "not a regular file"
    parts = contents.place(member.name, "a link" if member.issym() or member.islnk() else why_not)
    if parts:
        contents.files[parts] = TarSource(file, member.offset_data, member.size)
