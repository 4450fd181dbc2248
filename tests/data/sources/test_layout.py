"""Paths become classes and parts."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.layout import hidden_notes, lay_out, unwrap
from thawline.data.sources.listing import Skipped
from thawline.data.sources.system_files import HIDDEN_FILE


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
        (["test/train/cat/1", "test/val/cat/1"], ["train/cat/1", "val/cat/1"], "test"),
        (["cat/1.jpg", "cat/deep/2.jpg"], ["cat/1.jpg", "cat/deep/2.jpg"], ""),
        (["set/cover.jpg", "set/train/cat/1"], ["cover.jpg", "train/cat/1"], "set"),
        (["1", "2"], ["1", "2"], ""),
        ([], [], ""),
    ],
)
def test_the_folder_that_holds_all_others_is_taken_off(names, inner, wrapper):
    files, found = unwrap(tree(*names))
    assert ["/".join(parts) for parts, _ in files] == inner
    assert [item for _, item in files] == names
    assert found == wrapper


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def laid_out(*names, root=Path("photos")):
    return lay_out(root, [(tuple(name.split("/")), None) for name in sorted(names)])


def test_a_folder_around_everything_is_opened_and_paths_stay_whole():
    listing = laid_out("a/b/train/cat/1", "a/b/test/cat/2", "a/b/train/dog/3", "a/readme")
    assert found(listing) == [
        ("a/b/test/cat/2", "cat", "test"),
        ("a/b/train/cat/1", "cat", "train"),
        ("a/b/train/dog/3", "dog", "train"),
    ]
    assert listing.skipped == (Skipped("a/readme", "no class folder"),)
    assert listing.notes == ("everything is inside a/b/, which was taken as the root",)


def test_parts_inside_classes_are_parts():
    listing = laid_out("cat/train/1", "cat/test/2", "dog/train/3", "dog/test/deep/4", "dog/5")
    assert found(listing) == [
        ("cat/test/2", "cat", "test"),
        ("cat/train/1", "cat", "train"),
        ("dog/test/deep/4", "dog", "test"),
        ("dog/train/3", "dog", "train"),
    ]
    assert [item.path for item in listing.skipped] == ["dog/5"]
    assert listing.notes == ("dog/test/deep is inside a class folder; its pictures are labelled dog",)


def test_an_odd_name_is_one_class_with_its_even_one():
    latin1 = os.fsdecode(b"K\xe4se")
    for other in ("Käse", unicodedata.normalize("NFD", "Käse"), latin1):
        listing = laid_out("Käse/1", f"{other}/2", "Brot/1")
        assert listing.class_names == ("Brot", "Käse")
        assert len({item.path for item in listing.candidates}) == 3
        assert len(listing.notes) == {"Käse": 0, latin1: 2}.get(other, 1)
    odd = laid_out(*(os.fsdecode(name) + b"/1".decode() for name in (b"K\x81", b"K\x8d", b"\xc3\xa4", b"\xe4")))
    assert odd.class_names == ("K\\x81", "K\\x8d", "ä")


def test_what_is_hidden_is_counted_by_its_outermost_folder():
    rows = [Skipped(path, HIDDEN_FILE) for path in (".net/1.jpg", ".net/.x/2.jpg", "a/.old/3.jpg", "a/.4.jpg")]
    notes = hidden_notes([*rows, Skipped(".no/1.jpg", "another reason")])
    assert [note.partition(" is hidden")[0] for note in notes] == [".net/", "a/.old/"]
    assert "its pictures (2) take no part" in notes[0]


def test_one_class_next_to_a_table_is_told(tmp_path):
    assert laid_out("images/1.jpg", "labels.csv", root=tmp_path).notes == (
        f"labels.csv may have the labels: name it itself, as {tmp_path}/labels.csv",
    )
    assert laid_out("a/1.jpg", "b/1.jpg", "labels.csv", root=tmp_path).notes == ()


def test_a_folder_of_files_alone_is_refused_with_their_number():
    with pytest.raises(DataError, match=r"^list: photos holds 1 file but no class folders\. Put the pictures"):
        laid_out("1.jpg")
    with pytest.raises(DataError, match=r"^list: photos holds 2 files but no class folders\. If the names"):
        laid_out("cat1.jpg", "dog1.jpg")
