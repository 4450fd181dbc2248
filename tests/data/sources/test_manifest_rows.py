"""No row of a manifest is lost in silence; what was assumed for many is one note."""

from __future__ import annotations

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.delimited import CsvRow
from thawline.data.sources.headings import Columns
from thawline.data.sources.manifest_rows import label_notes, manifest_rows
from thawline.data.sources.picture_files import PictureFiles

NAMES = ("path", "label", "split")


def read(root, *rows, columns=None):
    columns = columns or Columns(0, 1, ((2, None),), NAMES)
    listed = [CsvRow(line, row) for line, row in enumerate(rows, start=2)]
    return manifest_rows(listed, columns, file=root / "list.csv", files=PictureFiles(root))


def test_rows_that_cannot_take_part_say_why(make_folder):
    root = make_folder({"1.png": b"1", "2.png": b"2", "3.png": b"3"})
    candidates, skipped, _ = read(
        root,
        ("1.png", "a", "train"),
        ("", "a", "train"),
        ("2.png", "NaN", "train"),
        ("1.png", "a", "train"),
        ("3.png", "b", "unlabelled"),
        ("2.png", "Käse", "train", "jung"),
        ("2.png",),
    )
    assert [(item.path, item.label, item.split) for item in candidates] == [("1.png", "a", "train")]
    assert [(item.path, item.reason) for item in skipped] == [
        ("list.csv#3", "no path"),
        ("2.png", "no label (NaN)"),
        ("1.png", "named again in line 5; the row in line 2 counts"),
        ("3.png", "in a part without labels"),
        ("2.png", "4 cells in a table of 3 columns; put quotes around a cell that holds a separator"),
        ("2.png", "no label"),
    ]


def test_files_elsewhere_are_rows_with_a_reason_and_a_note_with_the_way_out(make_folder, tmp_path):
    root = make_folder({"1.png": b"1"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other/2.png").write_bytes(b"2")
    candidates, _, (note,) = read(root, ("1.png", "a", ""), (f"{tmp_path}/other/2.png", "b", ""))
    with pytest.raises(DataError, match="outside the folder of the table"):
        candidates[1].source.read()
    assert note.startswith(f"files outside the folder of the table, which are not read: {tmp_path}/other/2.png.")
    assert note.endswith(f"pass --picture-folder {tmp_path}/other")


def test_paths_of_another_machine_are_told_and_two_that_end_alike_are_not_guessed(make_folder):
    root = make_folder({"1.png": b"1", "a/2.png": b"2"})
    candidates, _, (note,) = read(root, (r"C:\me\a\2.png", "a", ""))
    assert candidates[0].path == "a/2.png"
    assert note == "paths start in C:/me (1), which is not here; what follows it was looked up in the table's folder"
    candidates, _, _ = read(root, (r"C:\me\cat\1.png", "cat", ""), (r"C:\me\dog\1.png", "dog", ""))
    for item in candidates:
        with pytest.raises(DataError, match=r"several paths end in it: C:.*cat.*, C:.*dog"):
            item.source.read()


def test_where_no_file_is_found_the_folder_that_has_them_is_named(make_folder):
    root = make_folder({"images/train/1.png": b"1", "images/train/2.png": b"2", "b/3.png": b"3", "c/3.png": b"3"})
    _, _, (note,) = read(root, ("1.png", "a", ""), ("2.png", "b", ""))
    assert f"pass --picture-folder {root}/images/train" in note
    _, _, (note,) = read(root, ("3.png", "a", ""))
    assert note.endswith("name another folder with --picture-folder")
    _, _, (note,) = read(root, ("9.png", "a", ""))
    assert note.endswith("name another folder with --picture-folder")


def test_other_names_of_files_are_told_once(make_folder):
    root = make_folder({"1.png": b"1", "2.png": b"2"})
    candidates, _, (note,) = read(root, ("1", "a", ""), ("2.PNG", "b", ""))
    assert [item.source.read() for item in candidates] == [b"1", b"2"]
    assert note == "files called otherwise than in the table, by case, ending or accents: 1 is 1.png, and 1 more"


def test_several_labels_of_a_picture_are_told(make_folder):
    root = make_folder({"1.png": b"1", "2.png": b"2"})
    candidates, _, (note,) = read(root, ("1.png", "a", ""), ("1.png", "b", ""), ("2.png", "a", ""))
    assert len(candidates) == 3
    assert note.startswith("several labels for one picture: 1.png (a, b). Thawline gives each picture one class")
    (note,) = label_notes({"cat": 3, "dog": 2, "cat|dog": 4})
    assert note.startswith("'cat|dog' looks like several labels a picture")
    assert label_notes({"Ka\u0308se": 1, "K\u00e4se": 1}) == (
        "K\u00e4se: written with composed and with decomposed accents; taken as one class",
    )


def test_half_a_split_is_refused(make_folder):
    root = make_folder({"1.png": b"1"})
    with pytest.raises(DataError, match=r"list\.csv names a split for some pictures and none for 2\.png"):
        read(root, ("1.png", "a", "train"), ("2.png", "b", ""))
