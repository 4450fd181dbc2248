"""The members of a zip archive -> their names, whatever program and language wrote them.

The one idea: a zip says of a name only whether it is UTF-8. Where it does not, the bytes are UTF-8 all the same (Mac),
or Shift-JIS (Japanese Windows), or a code page of DOS; one of the last two is chosen for the whole archive, so that no
folder is torn apart. Where neither can be, the archive is refused.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipInfo

from thawline.core.errors import DataError
from thawline.data.sources.listing import display_path

__all__ = ["member_names"]

_IS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_JAPANESE = "\u3040-\u30ff\u3400-\u9fff\u3005-\u3007\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_JAPANESE_WORD = re.compile(f"[{_JAPANESE}]{{2,}}")
_AT_LATIN = re.compile(f"[A-Za-z][{_JAPANESE}]|[{_JAPANESE}][A-Za-z]")


def member_names(file: Path, members: Sequence[ZipInfo]) -> list[str]:
    """Return the whole names of an archive's members, in their order.

    Args:
        file: The archive, for the error.
        members: Its table of contents.

    Raises:
        DataError: A byte of some name may be a separator of folders or half a letter, and nothing tells which.
    """
    names = {index: name for index, member in enumerate(members) if (name := _sure_name(member)) is not None}
    unsure = {index: _raw(member) for index, member in enumerate(members) if index not in names}
    if unsure:
        is_japanese = _are_japanese(list(unsure.values()))
        encoding = "cp932" if is_japanese else "cp437"
        slashes = any("/" in member.orig_filename for member in members)
        torn = [raw for raw in unsure.values() if slashes and re.search(rb"[\x80-\xff]\\", raw)]
        if torn and not is_japanese:
            raise DataError(
                f"list: {display_path(file)} holds names in an unknown encoding, such as "
                f"{torn[0].decode('ascii', 'backslashreplace')}. Unpack it with the program that made it and name the "
                "folder, or create it again with names in UTF-8."
            )
        names |= {index: raw.decode(encoding) for index, raw in unsure.items()}
    return [names[index] for index in range(len(members))]


def _sure_name(member: ZipInfo) -> str | None:
    """Return a name that is told or plainly seen to be Unicode, else None."""
    if member.flag_bits & _IS_UTF8 or member.orig_filename.isascii():
        return _unicode_path(member) or member.orig_filename
    told = _unicode_path(member)
    if told is not None:
        return told
    try:
        return _raw(member).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _raw(member: ZipInfo) -> bytes:
    """Return the bytes of a name that the archive does not call UTF-8; zipfile has read them as cp437."""
    return member.orig_filename.encode("cp437")


def _unicode_path(member: ZipInfo) -> str | None:
    """Return the name in the extra field that Info-ZIP and WinRAR add to names in other encodings, or None.

    It counts only where it carries the sum of the name that it stands for (APPNOTE.TXT, 4.6.9).
    """
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(data) > 5 and not member.flag_bits & _IS_UTF8:
            version, checksum = struct.unpack_from("<BI", data)
            if version == 1 and checksum == zlib.crc32(_raw(member)):
                try:
                    return data[5:].decode("utf-8")
                except UnicodeDecodeError:
                    return None
    return None


def _are_japanese(raw: Sequence[bytes]) -> bool:
    """Return whether names are Shift-JIS rather than a Western code page.

    All must be valid Shift-JIS, which few Western names are; and more of them must hold a word of Japanese letters than
    not, since an umlaut and the letter after it look like one such letter in the middle of a Latin word.
    """
    try:
        names = [name.decode("cp932") for name in raw]
    except UnicodeDecodeError:
        return False
    folders = {part for name in names for part in re.split(r"[/\\.]", name) if not part.isascii()}
    japanese = sum(_JAPANESE_WORD.search(part) is not None and not _AT_LATIN.search(part) for part in folders)
    return japanese > len(folders) - japanese
