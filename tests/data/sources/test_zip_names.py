"""Names in a zip are read as they were meant, for the archive as a whole, or the archive is refused."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.zip_names import member_names

ARCHIVE = Path("photos.zip")


def members(*names, encoding):
    """Return entries as zipfile reads them from an archive in which names are in an encoding that is not stated."""
    found = []
    for name in names:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name.encode(encoding).decode("cp437")
        found.append(info)
    return found


GERMAN = ["Käse/1.jpg", "Öl/1.jpg", "Größe/Äpfel.jpg", "Brötchen/ü.jpg", "Brot/1.jpg"]
JAPANESE = ["表示/1.jpg", "花火/ソ.jpg", "猫犬/能力.jpg", "dog/1.jpg", "カメラ/十.jpg"]


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "cp437"),
        (GERMAN, "cp850"),
        (["Öl/1.jpg", "Brot/1.jpg"], "cp437"),
        (["café/à.jpg", "crème brûlée/1.jpg", "forêt/1.jpg"], "cp850"),
        (["niño/1.jpg", "año/1.jpg"], "cp437"),
        (JAPANESE, "cp932"),
        (["表示\\1.jpg", "花火\\2.jpg"], "cp932"),
        (["Menü\\1.jpg", "Gemüse\\1.jpg"], "cp437"),
        (JAPANESE, "utf-8"),
    ],
)
def test_names_in_every_encoding_come_back(names, encoding):
    assert member_names(ARCHIVE, members(*names, encoding=encoding)) == names


def test_names_that_are_stated_to_be_utf_8_are_taken_as_they_are():
    (info,) = members("├ñ/1.jpg", encoding="cp437")
    assert member_names(ARCHIVE, [info]) == ["ä/1.jpg"]
    info.flag_bits |= 0x800
    assert member_names(ARCHIVE, [info]) == ["├ñ/1.jpg"]


@pytest.mark.parametrize(
    ("version", "text", "name"),
    [
        (1, "猫/1.jpg".encode(), "猫/1.jpg"),
        (2, "猫/1.jpg".encode(), "?/1.jpg"),
        (1, b"\xff\xfe", "?/1.jpg"),
    ],
)
def test_a_name_in_the_extra_field_counts_where_it_belongs_to_the_name(version, text, name):
    (info,) = members("?/1.jpg", encoding="cp437")
    field = struct.pack("<BI", version, zlib.crc32(b"?/1.jpg")) + text
    info.extra = struct.pack("<HH", 0x5455, 1) + b"x" + struct.pack("<HH", 0x7075, len(field)) + field
    assert member_names(ARCHIVE, [info]) == [name]
    info.extra = info.extra.replace(struct.pack("<I", zlib.crc32(b"?/1.jpg")), b"\0\0\0\0")
    assert member_names(ARCHIVE, [info]) == ["?/1.jpg"]


def test_an_archive_whose_names_may_be_torn_is_refused_whole(make_zip):
    path = make_zip({"AAAA/1.jpg": b"1", "b/1.jpg": b"2"})
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"\xa8\x5c\xe0z"))
    with pytest.raises(
        DataError, match=r"photos\.zip holds names in an unknown encoding, such as \\xa8\\\\xe0z/1\.jpg"
    ):
        list_pictures(path)
