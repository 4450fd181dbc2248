"""Tar archives: shards with labels beside the pictures, and class folders; read in place, whatever is in them."""

from __future__ import annotations

import io
import json
import random
import tarfile

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import listing as listing_module
from thawline.data.sources import members, shards, tars
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.shards import expand_braces


@pytest.fixture
def make_tar(tmp_path):
    """Return a function that writes (name or TarInfo, bytes) into a new archive."""

    def make(files, name="photos.tar", form=tarfile.PAX_FORMAT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=form) as archive:
            for member, content in files.items() if isinstance(files, dict) else files:
                info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
                info.size = len(content) if info.isreg() else 0
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
        return path

    return make


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def reasons(listing):
    return {item.path: item.reason for item in listing.skipped}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_an_archive_of_class_folders_is_laid_out_as_its_folder_would_be(make_tar, form):
    long = "a" * 150 + ".jpg"
    files = {"./photos/cat/1.jpg": b"1", "./photos/cat/._1.jpg": b"x", f"photos/dog/{long}": b"22", "photos/r.txt": b""}
    listing = list_pictures(make_tar(files, form=form))
    assert found(listing) == [("cat/1.jpg", "cat", None), (f"dog/{long}", "dog", None)]
    assert [item.source.read() for item in listing.candidates] == [b"1", b"22"]
    assert reasons(listing) == {"r.txt": "no class folder"}
    assert listing.notes == ("everything is inside photos/, which was taken as the root",)


def test_links_devices_and_names_that_lead_elsewhere_are_skipped_and_told(make_tar, tmp_path):
    files = [
        ("a/1", b"1"),
        ("b/1", b"2"),
        ("../a/2", b"x"),
        ("/a/2", b"x"),
        ("a\\2", b"x"),
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
        "a\\2": "its name cannot be a file name here",
        "a/soft": "a link",
        "a/hard": "a link",
        "a/device": "not a regular file",
        "a/pipe": "not a regular file",
        "b/1": "the archive holds another member of this name",
    }
    assert list(tmp_path.iterdir()) == [path]


def test_samples_of_shards_with_every_kind_of_label(make_tar, tmp_path):
    make_tar({"000.jpg": b"0", "000.cls": b"1\n", "x/001.PNG": b"1", "x/001.cls": b"0"}, "s/train-000.tar")
    files = {
        "002.json": json.dumps({"label": "dog", "width": 3}).encode(),
        "002.jpeg": b"2",
        "003.webp": b"3",
        "003.txt": b"wolf, grey",
        "004.image.jpg": b"4",
        "004.seg.txt": b"x",
        "004.json": b'{"label": 1}',
        "005.jpg": b"5",
        "005.png": b"5",
        "005.cls": b"0",
        "006.jpg": b"6",
        "007.jpg": b"7",
        "007.cls": b"9",
        "008.jpg": b"8",
        "008.json": b'{"label": [1]}',
        "009.cls": b"1",
        "010.jpg": b"a",
        "010.cls": b"\xff\xfe",
        "011.jpg": b"b",
        "011.txt": b"two\nlines",
    }
    make_tar(files, "s/train-001.tar")
    make_tar({"a.jpg": b"t", "a.cls": b"cat"}, "s/test-000.tar")
    (tmp_path / "s" / "classnames.txt").write_text("cat\ndog\n", "utf-8")
    listing = list_pictures(f"webdataset:{tmp_path}/s")
    assert found(listing) == [
        ("test-000.tar/a.jpg", "cat", "test"),
        ("train-000.tar/000.jpg", "dog", "train"),
        ("train-000.tar/x/001.png", "cat", "train"),
        ("train-001.tar/002.jpeg", "dog", "train"),
        ("train-001.tar/003.webp", "wolf, grey", "train"),
        ("train-001.tar/004.image.jpg", "dog", "train"),
    ]
    assert [item.source.read() for item in listing.candidates] == [b"t", b"0", b"1", b"2", b"3", b"4"]
    told = {path.removeprefix("train-001.tar/"): reason for path, reason in reasons(listing).items()}
    assert told.pop("008.jpg").startswith("its .json holds no label: `label` must be a text or a whole number")
    assert told.pop("010.jpg").startswith("its .cls holds no label: 'utf-8' codec can't decode")
    assert told == {
        "005.jpg": "2 pictures under one name (jpg, png)",
        "006.jpg": "no label next to it (.cls, .json or .txt)",
        "007.jpg": "label 9 has no name",
        "009.cls": "0 pictures under one name (cls)",
        "011.jpg": "its .txt holds no label: a class name is one line of at most 200 letters",
    }
    assert str(listing.root) == f"webdataset:{tmp_path}/s"


def test_numbers_are_names_where_no_names_stand_beside_them(make_tar, tmp_path):
    path = make_tar({"0.jpg": b"0", "0.cls": b"007", "1.jpg": b"1", "1.cls": b"12"})
    assert list_pictures(path).class_names == ("12", "7")
    (tmp_path / "classes.json").write_text('{"7": "owl", "12": "hen"}', "utf-8")
    assert list_pictures(f"webdataset:{path}").class_names == ("hen", "owl")
    (tmp_path / "classes.json").write_text("3", "utf-8")
    with pytest.raises(DataError, match=r"classes\.json names no classes"):
        list_pictures(path)


def test_shards_in_folders_named_after_parts(make_tar, tmp_path):
    for part, number in (("train", 0), ("train", 1), ("test", 0)):
        make_tar({"k.png": f"{part}{number}".encode(), "k.cls": b"%d" % number}, f"s/{part}/{number}.tar")
    (tmp_path / "s" / "classnames.txt").write_text("cat\ndog\n", "utf-8")
    assert found(list_pictures(f"webdataset:{tmp_path}/s")) == [
        ("test/0.tar/k.png", "cat", "test"),
        ("train/0.tar/k.png", "cat", "train"),
        ("train/1.tar/k.png", "dog", "train"),
    ]


def test_braces_name_shards(make_tar, tmp_path):
    assert expand_braces("{b,a}/{9..11}{x,}") == [
        f"{side}/{number}{end}" for side in "ba" for number in (9, 10, 11) for end in ("x", "")
    ]
    assert expand_braces("{2..0}") == ["2", "1", "0"]
    assert expand_braces("{one}.tar") == ["{one}.tar"]
    with pytest.raises(DataError, match="more than 100,000 shards"):
        expand_braces("{0..999999}{0..999999}")
    for number in range(3):
        make_tar({"k.png": b"%d" % number, "k.cls": b"%d" % (number % 2)}, f"s/train-{number:03d}.tar")
    listing = list_pictures(f"webdataset:{tmp_path}/s/train-{{000..002}}.tar")
    assert [(item.label, item.split) for item in listing.candidates] == [("0", None), ("1", None), ("0", None)]
    with pytest.raises(DataError, match=r"2 of 5 shards do not exist: .*train-003\.tar, .*train-004\.tar\. .*quotes"):
        list_pictures(f"webdataset:{tmp_path}/s/train-{{000..004}}.tar")


def test_shards_that_leave_things_open_are_refused(make_tar, tmp_path):
    sample = {"k.png": b"1", "k.cls": b"1"}
    for name in ("s/train-0.tar", "s/more.tar", "t/test-0.tar", "t/val-0.tar"):
        make_tar(sample, name)
    with pytest.raises(DataError, match=r"others that are not: more\.tar"):
        list_pictures(f"webdataset:{tmp_path}/s")
    with pytest.raises(DataError, match="holds no training shard"):
        list_pictures(f"webdataset:{tmp_path}/t")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.tar files"):
        list_pictures(f"webdataset:{tmp_path}/empty")
    path = make_tar({"a/1.jpg": b"1", "b/1.jpg": b"2"})
    assert list_pictures(path).class_names == ("a", "b")
    with pytest.raises(DataError, match="no picture with a label next to it"):
        list_pictures(f"webdataset:{path}")
    for command in ("pipe:cat x.tar", "http://example.org/{0..3}.tar"):
        with pytest.raises(DataError, match="from this machine's disk only"):
            list_pictures(f"webdataset:{command}")
    with pytest.raises(DataError, match="names no pictures"):
        list_pictures("webdataset:")


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


def test_a_label_longer_than_a_label_is_not_read(make_tar, monkeypatch):
    path = make_tar({"1.jpg": b"1", "1.cls": b"0", "2.jpg": b"2", "2.txt": b"x" * 5000})
    monkeypatch.setattr(shards, "MAX_LABEL_BYTES", 4999)
    assert reasons(list_pictures(path)) == {"photos.tar/2.jpg": "its .txt holds no label: 5,000 bytes are too long"}


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


@pytest.mark.parametrize("name", ["photos.tar.gz", "photos.tgz", "photos.7z"])
def test_a_compressed_archive_is_refused_with_what_to_do(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b whatever")
    with pytest.raises(DataError, match=r"compressed archive.*Unpack it and name the folder"):
        list_pictures(tmp_path / name)
