"""A zip archive is a folder read in place; what is hostile in it is refused with a reason and never unpacked."""

from __future__ import annotations

import io
import random
import stat
import struct
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import archives, members
from thawline.data.sources import listing as listing_module
from thawline.data.sources.pictures import list_pictures


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def reasons(listing):
    return {item.path: item.reason for item in listing.skipped}


def with_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def test_an_archive_is_laid_out_as_its_folder_would_be(make_zip):
    files = {
        "train/cat/1.jpg": b"1",
        "train/dog/2.jpg": b"2",
        "val/cat/3.jpg": b"3",
        "test/dog/deep/4.jpg": b"4",
        "__MACOSX/train/cat/._1.jpg": b"x",
        "train/cat/.DS_Store": b"x",
        "readme.txt": b"x",
    }
    listing = list_pictures(make_zip(files))
    assert found(listing) == [
        ("test/dog/deep/4.jpg", "dog", "test"),
        ("train/cat/1.jpg", "cat", "train"),
        ("train/dog/2.jpg", "dog", "train"),
        ("val/cat/3.jpg", "cat", "validation"),
    ]
    assert [item.source.read() for item in listing.candidates] == [b"4", b"1", b"2", b"3"]
    assert reasons(listing) == {"readme.txt": "no class folder"}
    assert listing.notes == ("test/dog/deep is inside a class folder; its pictures are labelled dog",)


def test_the_folder_that_everything_was_packed_in_is_no_class(make_zip):
    listing = list_pictures(make_zip({"set/photos/cat/1": b"1", "set/photos/dog/2": b"2", "set/readme": b"x"}))
    assert found(listing) == [("cat/1", "cat", None), ("dog/2", "dog", None)]
    assert reasons(listing) == {"readme": "no class folder"}
    assert listing.notes == ("everything is inside set/photos/, which was taken as the root",)
    assert list_pictures(make_zip({"train/cat/1": b"1", "train/dog/2": b"2"})).class_names == ("cat", "dog")


def test_names_that_lead_elsewhere_links_and_second_members_are_skipped_and_told(make_zip, tmp_path):
    files = [
        ("a/1", b"1"),
        ("b/1", b"2"),
        ("../a/2", b"x"),
        ("a/../../../2", b"x"),
        ("/a/2", b"x"),
        ("C:/a/2", b"x"),
        ("a\\..\\2", b"x"),
        (with_mode("a/link", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (with_mode("a/pipe", stat.S_IFIFO | 0o644), b""),
    ]
    before = sorted(tmp_path.rglob("*"))
    path = make_zip(files)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("b/1", b"another")
    listing = list_pictures(path)
    assert [item.path for item in listing.candidates] == ["a/1", "b/1"]
    assert [item.source.read() for item in listing.candidates] == [b"1", b"2"]
    outside = "its name leads out of the archive"
    odd = "its name cannot be a file name here"
    assert reasons(listing) == {
        "../a/2": outside,
        "a/../../../2": outside,
        "/a/2": outside,
        "C:/a/2": odd,
        "a\\..\\2": outside,
        "a/link": "a link",
        "a/pipe": "not a regular file",
        "b/1": "the archive holds another member of this name",
    }
    assert sorted(tmp_path.rglob("*")) == [*before, path]


def test_a_member_that_cannot_be_read_is_told_and_the_others_are_read(make_zip, monkeypatch):
    path = make_zip({"a/1": b"1" * 50, "a/2": b"2" * 50, "a/3": b"3", "b/4": b"4"}, compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"1" * 50) + 20] ^= 1  # its sum no longer holds
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 8] |= 1  # the second one says that it is encrypted
    path.write_bytes(data)
    listing = list_pictures(path)
    with pytest.raises(DataError, match="damaged in the archive: Bad CRC-32"):
        listing.candidates[0].source.read()
    with pytest.raises(DataError, match="encrypted"):
        listing.candidates[1].source.read()
    assert listing.candidates[3].source.read() == b"4"
    lzma = list_pictures(make_zip({"a/1": b"1", "b/1": b"2"}, "lzma.zip", zipfile.ZIP_LZMA))
    with pytest.raises(DataError, match="compression method 14 is not supported"):
        lzma.candidates[0].source.read()
    monkeypatch.setattr(listing_module, "MAX_FILE_BYTES", 49)
    with pytest.raises(DataError, match="50 bytes are more than the 49"):
        listing.candidates[0].source.read()


def test_a_bomb_is_refused_before_it_is_unpacked(make_zip, monkeypatch):
    path = make_zip({"a/1": bytes(1 << 25), "a/2": b"2", "b/1": b"3"})
    listing = list_pictures(path)
    with pytest.raises(DataError, match=r"claim to unpack to 33,554,432: a zip bomb"):
        listing.candidates[0].source.read()
    assert listing.candidates[1].source.read() == b"2"
    monkeypatch.setattr(archives, "SMALL_TOTAL_BYTES", 1 << 20)
    with pytest.raises(DataError, match=r"claims to unpack to .*: a zip bomb"):
        list_pictures(path)
    monkeypatch.setattr(members, "MAX_MEMBERS", 2)
    with pytest.raises(DataError, match="holds 3 members or more; 2 are possible"):
        list_pictures(path)


def test_a_member_never_unpacks_further_than_it_claims(make_zip):
    path = make_zip({"a/1": bytes(1 << 24), "b/1": b"3"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(signature) + offset
        data[start : start + 4] = struct.pack("<I", 100)
    path.write_bytes(data)
    listing = list_pictures(path)
    with pytest.raises(DataError, match="damaged in the archive"):
        listing.candidates[0].source.read()


def test_members_that_share_bytes_are_refused(make_zip):
    """The bomb of D. Fifield (2019): one kernel of packed bytes that thousands of entries point to."""
    kernel = zlib.compress(random.Random(0).randbytes(5000), 9)[2:-4]
    raw = io.BytesIO()
    raw.write(struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(kernel), 5000, 3, 0) + b"a/1" + kernel)
    start = raw.tell()
    for number in range(20):
        name = b"a/%d" % number
        fields = (20, 20, 0, 8, 0, 0, 0, len(kernel), 5000, len(name), 0, 0, 0, 0, 0, 0)
        raw.write(struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *fields) + name)
    size = raw.tell() - start
    raw.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 20, 20, size, start, 0))
    path = make_zip({})
    path.write_bytes(raw.getvalue())
    with pytest.raises(DataError, match="they overlap, as in a zip bomb"):
        list_pictures(path)


@pytest.mark.parametrize("keep", [0, 30, 200, 400])
def test_what_is_no_archive_or_half_of_one_is_refused(make_zip, keep):
    path = make_zip({f"{name}/{number}": b"x" * 20 for name in "ab" for number in range(5)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="is not a readable zip archive"):
        list_pictures(path)


def test_any_bytes_at_all_end_in_a_listing_or_an_error_that_says_what_to_do(make_zip):
    whole = make_zip({f"{name}/{number}": b"x" * 20 for name in "ab" for number in range(5)}).read_bytes()
    rng = random.Random(0)
    path = make_zip({}, "broken.zip")
    outcomes = set()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            for item in list_pictures(path).candidates:
                item.source.read()
            outcomes.add("read")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_an_archive_without_files_or_classes_is_refused(make_zip):
    with pytest.raises(DataError, match="holds no files"):
        list_pictures(make_zip({}))
    with pytest.raises(DataError, match="holds 2 files but no class folders"):
        list_pictures(make_zip({"1.jpg": b"1", "2.jpg": b"2"}))


def test_a_table_of_contents_that_is_too_long_is_not_read(make_zip, monkeypatch):
    monkeypatch.setattr(archives, "MAX_CONTENTS_BYTES", 100)
    with pytest.raises(DataError, match="a header claims"):
        list_pictures(make_zip({f"a/{number}": b"1" for number in range(20)}))


def test_names_in_utf8_without_saying_so_are_read_as_that(make_zip):
    path = make_zip({"XXXX/1": b"1", "b/1": b"2"})
    path.write_bytes(path.read_bytes().replace(b"XXXX", "äö".encode()))
    assert list_pictures(path).class_names == ("b", "äö")


def test_members_are_read_from_many_threads(make_zip):
    contents = {f"{number % 3}/{number}": random.Random(number).randbytes(3000) for number in range(90)}
    listing = list_pictures(make_zip(contents))
    gate = threading.Barrier(8)

    def read_all(_):
        gate.wait(timeout=600)
        return {item.path: item.source.read() for item in listing.candidates}

    with ThreadPoolExecutor(8) as pool:
        assert all(result == contents for result in pool.map(read_all, range(8)))
