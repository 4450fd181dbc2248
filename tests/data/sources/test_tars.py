"""A tar archive is read by its headers alone; what is damaged or claims too much is refused."""

from __future__ import annotations

import io
import random
import tarfile

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import listing as listing_module
from thawline.data.sources import members, tars
from thawline.data.sources.pictures import list_pictures


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def reasons(listing):
    return {item.path: item.reason for item in listing.skipped}


def test_links_devices_and_names_that_lead_elsewhere_are_skipped_and_told(make_tar, tmp_path):
    files = [
        ("a/1", b"1"),
        ("b/1", b"2"),
        ("../a/2", b"x"),
        ("/a/2", b"x"),
        ("a\\..\\..\\2", b"x"),
        (special("a/soft", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (special("a/hard", tarfile.LNKTYPE, "a/1"), b""),
        (special("a/device", tarfile.CHRTYPE), b""),
        (special("a/pipe", tarfile.FIFOTYPE), b""),
        (special("c", tarfile.DIRTYPE), b""),
        ("b/1", b"again"),
    ]
    path = make_tar(files)
    listing = list_pictures(path)
    assert [(item.path, item.source.read()) for item in listing.candidates] == [("a/1", b"1"), ("b/1", b"2")]
    assert reasons(listing) == {
        "../a/2": "its name leads out of the archive",
        "/a/2": "its name leads out of the archive",
        "a\\..\\..\\2": "its name leads out of the archive",
        "a/soft": "a link",
        "a/hard": "a link",
        "a/device": "not a regular file",
        "a/pipe": "not a regular file",
        "b/1": "the archive holds another member of this name",
    }
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_that_was_cut_short_or_damaged_is_refused_whole(make_tar, tmp_path, monkeypatch):
    path = make_tar({f"{name}/{number}": b"x" * 2000 for name in "ab" for number in range(5)})
    whole = path.read_bytes()
    for keep in (0, 100, 700, 1200, 6000):
        path.write_bytes(whole[:keep])
        with pytest.raises(DataError, match=r"not a tar archive that can be read to its end|holds no files"):
            list_pictures(path)
    damaged = bytearray(whole)
    damaged[5120:5632] = bytes([7]) * 512  # the header of the third member
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="no header at byte 5,120"):
        list_pictures(path)
    path.write_bytes(whole)
    listing = list_pictures(path)
    path.write_bytes(whole[:3000])
    assert listing.candidates[0].source.read() == b"x" * 2000
    with pytest.raises(DataError, match="the archive ends after"):
        listing.candidates[1].source.read()
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        listing.candidates[1].source.read()
    path.write_bytes(whole)
    monkeypatch.setattr(listing_module, "MAX_FILE_BYTES", 1999)
    with pytest.raises(DataError, match="2,000 bytes are more than"):
        listing.candidates[0].source.read()


def test_an_archive_that_claims_too_much_is_refused(make_tar, monkeypatch):
    path = make_tar({"a/1": b"1", "b/1": b"2"})
    with monkeypatch.context() as patch:
        patch.setattr(members, "MAX_MEMBERS", 0)
        with pytest.raises(DataError, match="members or more; 0 are possible"):
            list_pictures(path)
    long = make_tar({"a/" + "n" * 3000: b"1", "b/1": b"2"}, "long.tar")
    assert len(list_pictures(long).candidates) == 2
    monkeypatch.setattr(tars, "MAX_HEADER_BYTES", 1024)
    with pytest.raises(DataError, match="a header claims"):
        list_pictures(long)


@pytest.mark.parametrize("size", [-512, -1024, -(1 << 40)])
def test_a_member_of_negative_length_ends_in_an_error_and_not_in_a_loop(make_tar, size):
    path = make_tar({"a/1": b"1", "b/1": b"2"}, form=tarfile.GNU_FORMAT)
    data = bytearray(path.read_bytes())
    data[1024 + 124 : 1024 + 136] = size.to_bytes(12, "big", signed=True)
    data[1024 + 148 : 1024 + 156] = b" " * 8
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(data[1024:1536])
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a tar archive that can be read to its end"):
        list_pictures(path)


def test_any_bytes_at_all_end_in_a_listing_or_an_error_that_says_what_to_do(make_tar):
    path = make_tar({f"{name}/{number}": b"x" * 20 for name in "ab" for number in range(5)})
    whole = path.read_bytes()
    rng = random.Random(0)
    outcomes = set()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(10240)] = rng.randrange(256)
        path.write_bytes(data)
        try:
            for item in list_pictures(path).candidates:
                item.source.read()
            outcomes.add("read")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("size", ["9" * 19, "9" * 25, "9" * 400, str(2**63 - 1), "20000", "-" + "9" * 30])
def test_a_member_that_claims_more_than_the_archive_holds_is_refused(tmp_path, size):
    first = tarfile.TarInfo("cat/1.png")
    first.size, first.pax_headers = 3, {"size": size}
    path = tmp_path / "claims.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(first, io.BytesIO(b"abc"))
        tar.addfile(tarfile.TarInfo("dog/1.png"))
    with pytest.raises(DataError, match=r"^list: .*\.tar is not a tar archive .* claims \S+ bytes\. Copy") as refusal:
        list_pictures(path)
    assert len(str(refusal.value)) < 300
