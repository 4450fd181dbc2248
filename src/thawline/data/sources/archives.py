"""A zip archive of class folders -> a Listing.

The one idea: an archive is a folder that is read in place. Its table of contents is laid out like a folder's paths; a
member is unpacked into memory when its picture is needed, never to the disk, and never further than it claims.
"""

from __future__ import annotations

import struct
import threading
import weakref
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from stat import S_IFMT, S_IFREG, S_ISLNK
from typing import Any

from thawline.core.errors import DataError
from thawline.data.sources.listing import MAX_FILE_BYTES, Listing, display_path, reading, refuse_long
from thawline.data.sources.members import BoundedReader, Contents, refuse_many
from thawline.data.sources.zip_names import member_names

__all__ = ["ZipArchive", "ZipSource", "list_zip", "zip_contents"]

MAX_CONTENTS_BYTES = 1 << 28
MAX_RATIO, SMALL_BYTES = 200, 1 << 24
MAX_TOTAL_RATIO, SMALL_TOTAL_BYTES = 100, 1 << 30
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, ValueError, EOFError)


class ZipArchive:
    """A zip archive that stays open; its members are read one at a time, from any thread."""

    def __init__(self, file: Path) -> None:
        self.file = file
        stream = BoundedReader(file, MAX_CONTENTS_BYTES)
        weakref.finalize(self, stream.close)
        self._lock = threading.Lock()
        self._zip = zipfile.ZipFile(stream)
        self.members = self._zip.infolist()
        stream.max_read_bytes = 2 * MAX_FILE_BYTES  # a member may be longer than the table of contents

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the archive again, once, however many of its pictures are handed over."""
        return _opened_archive, (self.file.absolute(),)

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """Return a member's bytes, checked against their checksum in the archive.

        Raises:
            DataError: It is encrypted, neither stored nor deflated, damaged, longer than a picture may be, or long and
                no picture.
        """
        if member.flag_bits & 0x1:
            raise DataError("encrypted")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise DataError(f"compression method {member.compress_type} is not supported")
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise DataError(f"{member.compress_size:,} bytes claim to unpack to {member.file_size:,}: a zip bomb")
        pieces = []
        try:
            with reading(), self._lock, self._zip.open(member) as stream:
                refuse_long(member.file_size, head=stream.read)
                stream.seek(0)
                while piece := stream.read(
                    member.file_size + 1
                ):  # never further than it claims; at the end, the checksum
                    pieces.append(piece)
        except _BROKEN as error:
            raise DataError(f"damaged in the archive: {str(error)[:100]}") from None
        return b"".join(pieces)


@lru_cache(maxsize=64)
def _opened_archive(file: Path) -> ZipArchive:
    return ZipArchive(file)


@dataclass(frozen=True)
class ZipSource:
    """A picture that is a member of a zip archive."""

    name: str
    member: zipfile.ZipInfo = field(compare=False, repr=False)
    archive: ZipArchive = field(compare=False, repr=False)

    def read(self) -> bytes:
        """Return the unpacked bytes; raises `DataError` as `ZipArchive.read` does."""
        return self.archive.read(self.member)


def list_zip(file: Path) -> Listing:
    """Return the members of an archive as candidates of the classes whose folders they lie in.

    Members whose names lead elsewhere, links and second members of one name are listed as skipped; `check` reports one
    that is encrypted, damaged or a bomb as a file that cannot be read.

    Raises:
        DataError: As `zip_contents` and `list_folder`.
    """
    return zip_contents(file).lay_out(file)


def zip_contents(file: Path) -> Contents[ZipSource]:
    """Return the members of an archive that may be pictures, and those that are left out.

    Raises:
        DataError: Not a zip archive, too many members, members that overlap or claim absurd sizes.
    """
    shown = display_path(file)
    try:
        archive = ZipArchive(file)
    except _BROKEN as error:
        raise DataError(
            f"list: {shown} is not a readable zip archive: {str(error)[:100]}. Create it again, or unpack it and "
            "name the folder."
        ) from None
    refuse_many(shown, len(archive.members))
    _refuse_bomb(file, archive)
    contents = Contents[ZipSource]()
    for member, name in zip(archive.members, member_names(file, archive.members), strict=True):
        mode = member.external_attr >> 16
        if name.endswith(("/", "\\")):
            continue
        is_regular = S_IFMT(mode) in {0, S_IFREG}
        parts = contents.place(name, "" if is_regular else "a link" if S_ISLNK(mode) else "not a regular file")
        if parts:
            contents.files[parts] = ZipSource(name, member, archive)
    return contents


def _refuse_bomb(file: Path, archive: ZipArchive) -> None:
    """Refuse an archive whose members share bytes, or unpack to far more than any pictures do.

    Raises:
        DataError: Either, with the numbers.
    """
    size = file.stat().st_size
    packed = sum(member.compress_size for member in archive.members)
    unpacked = sum(member.file_size for member in archive.members)
    if packed > size:
        raise DataError(
            f"list: {display_path(file)} has {size:,} bytes but members of {packed:,}: they overlap, as in a zip bomb. "
            "Create the archive again."
        )
    if unpacked > max(SMALL_TOTAL_BYTES, MAX_TOTAL_RATIO * size):
        raise DataError(
            f"list: {display_path(file)} has {size:,} bytes and claims to unpack to {unpacked:,}: a zip bomb. "
            "If it is not one, unpack it and name the folder."
        )
