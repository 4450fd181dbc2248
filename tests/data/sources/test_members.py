"""Names of members become places in a folder tree, or a reason; the folder that all was packed in is taken off."""

from __future__ import annotations

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import members
from thawline.data.sources.members import BoundedReader, member_parts, refuse_many, unwrap

OUTSIDE, ODD = "its name leads out of the archive", "its name cannot be a file name here"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cat/1.jpg", ("cat", "1.jpg")),
        ("./cat//./1.jpg", ("cat", "1.jpg")),
        ("cat/..1.jpg", None),  # hidden, as all that begins with a dot
        ("cat/1..jpg", ("cat", "1..jpg")),
        ("cat/", ("cat",)),
        ("", None),
        ("./", None),
        (".git/x", None),
        ("cat/Thumbs.db", None),
        ("__MACOSX/cat/1.jpg", None),
        ("/cat/1.jpg", OUTSIDE),
        ("../1.jpg", OUTSIDE),
        ("cat/../1.jpg", OUTSIDE),
        ("cat/..", OUTSIDE),
        ("cat\\1.jpg", ODD),
        ("cat/1\0.jpg", ODD),
        ("c:/1.jpg", ODD),
        ("Z:1.jpg", ODD),
        ("cat/c:1.jpg", ("cat", "c:1.jpg")),
    ],
)
def test_the_parts_of_a_name(name, parts):
    assert member_parts(name) == parts


def tree(*names):
    return [(tuple(name.split("/")), name) for name in names]


@pytest.mark.parametrize(
    ("names", "inner", "wrapper"),
    [
        (["p/cat/1", "p/dog/2"], ["cat/1", "dog/2"], "p"),
        (["a/b/cat/1", "a/b/dog/2", "a/r"], ["cat/1", "dog/2", "r"], "a/b"),
        (["p/cat/1", "r"], ["cat/1", "r"], "p"),
        (["p/cat/1", "q/dog/2"], ["p/cat/1", "q/dog/2"], ""),
        (["cat/1", "cat/2"], ["cat/1", "cat/2"], ""),
        (["Train/cat/1"], ["Train/cat/1"], ""),
        (["p/train/cat/1"], ["train/cat/1"], "p"),
        (["1", "2"], ["1", "2"], ""),
        ([], [], ""),
    ],
)
def test_the_folder_that_holds_all_others_is_taken_off(names, inner, wrapper):
    files, found = unwrap(tree(*names))
    assert ["/".join(parts) for parts, _ in files] == inner
    assert [item for _, item in files] == names
    assert found == wrapper


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
