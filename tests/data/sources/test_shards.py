"""Tar archives: shards with labels beside the pictures, and class folders; read in place, whatever is in them."""

from __future__ import annotations

import json
import tarfile

import pytest

from thawline.core.errors import DataError
from thawline.data.sources import shards
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.shards import expand_braces


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
    assert list_pictures(path).class_names == ("007", "12")
    (tmp_path / "classes.json").write_text('{"7": "owl", "12": "hen"}', "utf-8")
    assert list_pictures(f"webdataset:{path}").class_names == ("hen", "owl")
    (tmp_path / "classes.json").write_text("3", "utf-8")
    with pytest.raises(DataError, match=r"classes\.json names no classes"):
        list_pictures(path)


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        ({"cat/1.jpg": b"1", "cat/1.txt": b"a cat", "dog/1.jpg": b"2"}, ["cat", "dog"]),
        ({"train/cat/1.jpg": b"1", "train/cat/1.json": b'{"label": "x"}', "train/dog/1.jpg": b"2"}, ["cat", "dog"]),
        ({"cat/1.jpg": b"1", "cat/1.cls": b"x", "dog/1.jpg": b"2", "dog/1.cls": b"y"}, ["x", "y"]),
        ({"data/1.jpg": b"1", "data/1.txt": b"x", "data/2.jpg": b"2", "data/2.txt": b"y"}, ["x", "y"]),
        ({"1.jpg": b"1", "1.json": b'{"label": "x"}'}, ["x"]),
        ({"cat/1.jpg": b"1", "docs/1.txt": b"x", "cat/1.txt": b"y"}, ["y"]),
    ],
)
def test_text_is_a_label_only_where_there_are_no_class_folders(make_tar, files, labels):
    listing = list_pictures(make_tar(files))
    assert sorted(item.label for item in listing.candidates if item.path.endswith("jpg")) == labels


def test_parts_inside_a_shard_are_parts(make_tar):
    parts = {"train/1.jpg": b"1", "train/1.cls": b"a", "val/2.jpg": b"2", "val/2.cls": b"a"}
    assert [item.split for item in list_pictures(make_tar(parts)).candidates] == ["train", "test"]
    more = make_tar({**parts, "other/3.jpg": b"3", "other/3.cls": b"a"}, "more.tar")
    assert [item.split for item in list_pictures(more).candidates] == [None] * 3


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
        with pytest.raises(DataError, match="are read from a disk, or from an address such as s3:"):
            list_pictures(f"webdataset:{command}")
    with pytest.raises(DataError, match="names no pictures"):
        list_pictures("webdataset:")


def test_a_label_longer_than_a_label_is_not_read(make_tar, monkeypatch):
    path = make_tar({"1.jpg": b"1", "1.cls": b"0", "2.jpg": b"2", "2.txt": b"x" * 5000})
    monkeypatch.setattr(shards, "MAX_LABEL_BYTES", 4999)
    assert reasons(list_pictures(path)) == {"photos.tar/2.jpg": "its .txt holds no label: 5,000 bytes are too long"}
