"""Names of members become places in a folder tree, or a reason; the folder that all was packed in is taken off."""

from __future__ import annotations

from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import members
from thawline.data.sources.listing import FileSource
from thawline.data.sources.members import BoundedReader, Contents, member_parts, refuse_many
from thawline.data.sources.system_files import HIDDEN_FILE, SYSTEM_FOLDER

OUTSIDE, ODD = "its name leads out of the archive", "its name cannot be a file name here"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cat/1.jpg", ("cat", "1.jpg")),
        ("./cat//./1.jpg", ("cat", "1.jpg")),
        ("cat/..1.jpg", ("cat", "..1.jpg")),
        ("cat/1..jpg", ("cat", "1..jpg")),
        ("cat/", ("cat",)),
        ("", None),
        ("./", None),
        ("/cat/1.jpg", OUTSIDE),
        ("../1.jpg", OUTSIDE),
        ("cat/../1.jpg", OUTSIDE),
        ("cat/..", OUTSIDE),
        ("cat\\1.jpg", ("cat", "1.jpg")),
        ("\\cat\\1.jpg", OUTSIDE),
        ("cat\\..\\1.jpg", OUTSIDE),
        ("c:\\1.jpg", ODD),
        ("cat/1\0.jpg", ODD),
        ("c:/1.jpg", ODD),
        ("Z:1.jpg", ODD),
        ("cat/c:1.jpg", ("cat", "c:1.jpg")),
    ],
)
def test_the_parts_of_a_name(name, parts):
    assert member_parts(name) == parts


def test_what_is_left_out_of_an_archive_has_a_row_where_it_may_be_meant():
    contents = Contents()
    names = ["a/1", ".net/1.jpg", ".net/2.jpg", "@eaDir/1/2.jpg", "@eaDir/1/3.jpg", ".git/1.jpg", "a\\1", "a/", "../1"]
    assert [contents.place(name) for name in names] == [("a", "1"), *[None] * 5, ("a", "1"), ("a",), None]
    contents.files[("a", "1")] = FileSource(Path("1"))
    assert contents.place("a\\1") is None
    assert contents.place("b/1", "a link") is None
    assert {item.path: item.reason for item in contents.skipped} == {
        ".net/1.jpg": HIDDEN_FILE,
        ".net/2.jpg": HIDDEN_FILE,
        "@eaDir": SYSTEM_FOLDER,
        "../1": OUTSIDE,
        "a/1": "the archive holds another member of this name",
        "b/1": "a link",
    }
    assert len(contents.skipped) == 6


def test_no_read_is_longer_than_its_limit(tmp_path):
    (tmp_path / "x").write_bytes(bytes(range(100)))
    with BoundedReader(tmp_path / "x", 60) as stream:
        assert stream.read(60) == bytes(range(60))
        assert stream.read(0) == b""
        assert stream.read() == bytes(range(60, 100))
        assert stream.read(60) == b""
        stream.seek(0)
        for size in (61, -1, None):
            with pytest.raises(ValueError, match=r"a header claims (61|100) bytes; 60 are possible"):
                stream.read(size)


def test_more_members_than_the_memory_should_hold_are_refused(monkeypatch):
    monkeypatch.setattr(members, "MAX_MEMBERS", 3)
    refuse_many("a.zip", 3)
    with pytest.raises(DataError, match=r"^list: a\.zip holds 4 members or more; 3 are possible\. Split it, or unpack"):
        refuse_many("a.zip", 4)
