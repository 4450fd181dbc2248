"""Folders of class folders become listings; odd layouts are reported, never guessed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.system_files import HIDDEN_FILE, SYSTEM_FOLDER


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def test_flat_class_folders_sorted_whatever_the_extension(make_folder):
    root = make_folder({"dog/b.jpg": 1, "dog/a": 2, "cat 🐈/x y.PNG": 3, "cat 🐈/Thumbs.db": b"", "dog/.DS_Store": b""})
    listing = list_pictures(root)
    assert found(listing) == [("cat 🐈/x y.PNG", "cat 🐈", None), ("dog/a", "dog", None), ("dog/b.jpg", "dog", None)]
    assert listing.class_names == ("cat 🐈", "dog")
    assert listing.skipped == ()
    assert listing.candidates[1].source.read() == (root / "dog/a").read_bytes()


def test_files_beside_class_folders_are_skipped_and_told(make_folder):
    listing = list_pictures(make_folder({"a/1": 1, "b/1": 2, "labels.txt": b"x", "__MACOSX/a/1": b"", ".git/x": b""}))
    assert [(item.path, item.reason) for item in listing.skipped] == [("labels.txt", "no class folder")]
    assert len(listing.candidates) == 2


@pytest.mark.parametrize("held_out", ["val", "Valid", "validation", "TEST"])
def test_one_held_out_folder_is_the_test_whatever_its_name(make_folder, held_out):
    listing = list_pictures(make_folder({"Training/a/1": 1, "Training/b/1": 2, f"{held_out}/a/2": 3}))
    assert sorted(found(listing)) == sorted(
        [("Training/a/1", "a", "train"), ("Training/b/1", "b", "train"), (f"{held_out}/a/2", "a", "test")]
    )


def test_two_held_out_folders_keep_their_parts(make_folder):
    listing = list_pictures(make_folder({"train/a/1": 1, "valid/a/2": 2, "test/a/3": 3, "test/readme": b"x"}))
    assert {item.path: item.split for item in listing.candidates} == {
        "train/a/1": "train",
        "valid/a/2": "validation",
        "test/a/3": "test",
    }
    assert [(item.path, item.reason) for item in listing.skipped] == [("test/readme", "no class folder")]


def test_a_training_folder_alone_makes_no_split(make_folder):
    assert found(list_pictures(make_folder({"train/a/1": 1, "train/b/2": 2}))) == [
        ("train/a/1", "a", None),
        ("train/b/2", "b", None),
    ]


def test_a_class_may_be_called_train(make_folder):
    listing = list_pictures(make_folder({"train/1.jpg": 1, "bus/1.jpg": 2}))
    assert found(listing) == [("bus/1.jpg", "bus", None), ("train/1.jpg", "train", None)]


def test_nested_folders_take_the_class_above_and_are_noted(make_folder):
    listing = list_pictures(make_folder({"a/deep/er/1": 1, "a/2": 2, "b/1": 3}))
    assert {item.label for item in listing.candidates} == {"a", "b"}
    assert listing.notes == ("a/deep/er is inside a class folder; its pictures are labelled a",)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "holds no files"),
        ({".hidden/1": 1}, "holds no files"),
        ({"1.jpg": 1, "2.jpg": 2}, "holds 2 files but no class folders"),
        (
            {"train/a/1": 1, "extra/1": 2},
            "train/ holds folders and is next to extra/, so it may be a class or hold the pictures for training",
        ),
        ({"train/1": 1, "val/2": 2}, "no class folders inside"),
        ({"val/a/1": 1, "test/a/2": 2}, "no training pictures"),
        ({"train/a/1": 1, "training/a/2": 2}, "two folders for the same part"),
    ],
)
def test_layouts_that_leave_things_open_are_refused(make_folder, files, reason):
    with pytest.raises(DataError, match=reason):
        list_pictures(make_folder(files))


def test_link_loops_end_and_links_to_files_count(make_folder, tmp_path):
    root = make_folder({"a/1": 1, "b/1": 2})
    outside = make_folder({"x": 3}, name="outside")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a" / "self")
    (root / "a" / "0-link").symlink_to(root / "b")
    (root / "b" / "file").symlink_to(root / "a" / "1")
    (root / "b" / "gone").symlink_to(tmp_path / "gone")
    (root / "c").symlink_to(outside)
    (root / "d").symlink_to(outside)
    listing = list_pictures(root)
    assert [item.path for item in listing.candidates] == ["a/1", "b/1", "b/file", "c/x"]
    assert {item.path for item in listing.skipped} == {"a/0-link", "a/self", "a/up", "b/gone", "d"}
    assert [note.split(" is ")[0] for note in listing.notes] == ["a/0-link", "a/up", "d"]


def test_a_link_is_followed_once_in_each_part(make_folder):
    root = make_folder({"store/a/1": 1, "store/b/1": 2}, name="store").resolve()
    view = make_folder({}, name="view")
    for part in ("train", "test"):
        (view / part).mkdir()
        for label in ("a", "b"):
            (view / part / label).symlink_to(root / "store" / label)
        (view / part / "round").symlink_to(view)
        (view / part / "a2").symlink_to(root / "store" / "a")
    listing = list_pictures(view)
    assert found(listing) == [
        ("test/a/1", "a", "test"),
        ("test/b/1", "b", "test"),
        ("train/a/1", "a", "train"),
        ("train/b/1", "b", "train"),
    ]
    assert sorted(item.path for item in listing.skipped) == ["test/a2", "test/round", "train/a2", "train/round"]


def test_what_is_hidden_or_a_system_s_has_rows(make_folder):
    files = {".net/1.jpg": 1, ".net/deep/2.jpg": 2, ".net/readme": b"x", "a/.3.jpg": 3, "a/@eaDir/1.jpg/S.jpg": 4}
    listing = list_pictures(make_folder({**files, "a/1": 5, "b/1": 6, "b/.ipynb_checkpoints/1.jpg": 7}))
    assert {item.path: item.reason for item in listing.skipped} == {
        ".net/1.jpg": HIDDEN_FILE,
        ".net/deep/2.jpg": HIDDEN_FILE,
        "a/.3.jpg": HIDDEN_FILE,
        "a/@eaDir": SYSTEM_FOLDER,
    }
    assert listing.class_names == ("a", "b")
    assert [
        note.startswith(".net/ is hidden by its name, so that its pictures (2) take no part") for note in listing.notes
    ] == [True]


def test_no_permission(make_folder, monkeypatch):
    root = make_folder({"a/1": 1, "b/1": 2, "locked/1": 3})
    real = os.scandir

    def guarded(path):
        if Path(path).name in {"locked", "sealed"}:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert [(item.path, item.reason) for item in list_pictures(root).skipped] == [
        ("locked", "no permission to open the folder")
    ]
    with pytest.raises(DataError, match="no permission"):
        list_pictures(make_folder({"a/1": 1}, name="sealed"))
