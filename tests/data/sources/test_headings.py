"""Columns are found by what the person says, by usual names in any spelling, then by contents; choices are told."""

from __future__ import annotations

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.headings import (
    Wanted,
    all_parts,
    asked_column,
    choose_columns,
    choose_label,
    fold_heading,
    one_usual,
    split_columns,
)


def choose(names, rows, *, there=("1.jpg", "2.jpg", "3.jpg"), **wanted):
    return choose_columns(names, rows, where="t.csv", wanted=Wanted(**wanted), is_picture=lambda cell: cell in there)


ROWS = [("1.jpg", "cat"), ("2.jpg", "dog"), ("3.jpg", "cat")]


@pytest.mark.parametrize(
    "names",
    ["path,label", "image,label", "filename,class", "file_name,Category", "ImagePath,Label", "img,target", "FilePath,y",
     "file path,class name", "image_id,breed", "IMG-PATH,Class_ID"],
)  # fmt: skip
def test_the_names_that_the_field_gives(names):
    columns = choose(names.split(","), ROWS)
    assert (columns.path, columns.label, columns.notes) == (0, 1, ())
    turned = choose(names.split(",")[::-1], [row[::-1] for row in ROWS])
    assert (turned.path, turned.label) == (1, 0)


def test_what_the_person_names_goes_first():
    names, rows = ["path", "photo file", "label", "kind"], [("x", "1.jpg", "a", "b"), ("y", "2.jpg", "a", "c")]
    columns = choose(names, rows, path_column="photo_file", label_column="kind")
    assert (columns.path, columns.label) == (1, 3)
    with pytest.raises(
        DataError, match=r"t\.csv has no column 'sort'; it has path, .*Name one of them with --label-col"
    ):
        choose(names, rows, label_column="sort")
    with pytest.raises(DataError, match=r"has no column 'nope'.*--path-column"):
        choose(names, rows, path_column="nope")


def test_contents_choose_between_usual_names_and_find_an_unusual_one():
    columns = choose(["id", "image", "file", "label"], [("7", "1.jpg", "x", "a"), ("8", "2.jpg", "y", "b")])
    assert columns.path == 1
    columns = choose(["id", "jpeg on disk", "label"], [("7", "1.jpg", "a"), ("8", "2.jpg", "b")])
    assert (columns.path, columns.label) == (1, 2)
    assert columns.notes == ("the paths are those of the column jpeg on disk, by its contents",)


def test_the_only_other_column_holds_the_classes_where_the_pictures_are_there():
    columns = choose(["id", "", "sort"], [("1.jpg", "0", "a"), ("2.jpg", "1", "b")])
    assert (columns.path, columns.label) == (0, 2)
    assert columns.notes == ("the classes are those of the column sort, the only other one",)
    with pytest.raises(DataError, match="has the columns id, sort; required are path and label"):
        choose(["id", "sort"], [("8.jpg", "a"), ("9.jpg", "b")])
    with pytest.raises(DataError, match=r"has the columns id, sort, size; required are path and label.*--label-column"):
        choose(["id", "sort", "size"], [("1.jpg", "a", "3"), ("2.jpg", "b", "4")])


def test_several_columns_of_classes_are_told():
    assert choose_label(["fine_label", "coarse_label"], (), where="t", wanted=Wanted()) == (
        "fine_label",
        ("the classes are those of the column fine_label; --label-column takes coarse_label instead",),
    )
    assert choose_label(["label", "kind"], ["kind"], where="t", wanted=Wanted())[0] == "label"
    assert choose_label(["sort", "size"], ["sort"], where="t", wanted=Wanted()) == ("sort", ())
    assert choose_label(["sort", "size"], (), where="t", wanted=Wanted()) == (None, ())


def test_a_table_without_a_line_of_names_is_read_where_it_is_clear():
    columns = choose(["1.jpg", "cat"], ROWS[1:])
    assert (columns.path, columns.label, columns.names) == (0, 1, ())
    assert columns.notes == ("the table has no line of names; its columns were read as path, label",)
    columns = choose(["cat", "train", "1.jpg"], [("dog", "test", "2.jpg")])
    assert (columns.path, columns.label, columns.splits) == (2, 0, ((1, None),))
    assert columns.notes == ("the table has no line of names; its columns were read as label, split, path",)
    with pytest.raises(DataError, match=r"has no line of names, and 3 columns\. Put a first line"):
        choose(["1.jpg", "cat", "9"], [("2.jpg", "dog", "8")])


def test_columns_that_name_a_part():
    values = {
        "split": {"train", "x"},
        "usage": {"Training", "PublicTest"},
        "set": {"train", "test", ""},
        "is_valid": {"1"},
    }
    assert split_columns(["set", "split"], values.__getitem__) == (("split", None),)
    assert split_columns(["set", "is_valid"], values.__getitem__) == (("set", None),)
    assert split_columns(["Is_Valid", "isTest"], lambda _: {"1"}) == (("isTest", "test"), ("Is_Valid", "validation"))
    assert split_columns(["subset"], lambda _: {"a", "b"}) == ()
    assert split_columns(["subset"], lambda _: {""}) == ()
    assert all_parts({"train", "unlabelled", ""})
    assert not all_parts({"train", "cat"})
    assert not all_parts({""})


def test_names_are_compared_without_case_blanks_and_punctuation():
    assert fold_heading(" #Image-Path_ ") == "imagepath"
    assert fold_heading("Gu\u0308te") == fold_heading("G\u00fcte")
    assert one_usual(["kind", "Class", "LABEL"], ("label", "class")) == "LABEL"
    assert one_usual(["kind"], ("label",)) is None
    assert asked_column(["a b", "c"], "A_B", where="t", option="--x") == "a b"
    with pytest.raises(DataError, match="no column 'ab'"):
        asked_column(["a b", "A-B"], "ab", where="t", option="--x")
    assert not Wanted()
    assert Wanted(label_column="x")


def test_a_column_that_names_parts_and_something_else_is_told_and_not_read():
    rows = [("1.jpg", "a", "train"), ("2.jpg", "b", "test"), ("3.jpg", "b", "spare")]
    columns = choose(["path", "label", "subset"], rows)
    assert (columns.splits, columns.notes) == (
        (),
        ("the column subset is not read as parts of the data: spare is none",),
    )
    assert choose(["path", "label", "fold"], [("1.jpg", "a", "1"), ("2.jpg", "b", "2")]).notes == ()
    assert choose(["path", "label", "Usage"], [("1.jpg", "a", "Training"), ("2.jpg", "b", "PublicTest")]).splits
