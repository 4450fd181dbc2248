"""Columns of 0 and 1 are read as classes where each row has one, and refused where some have several."""

from __future__ import annotations

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.delimited import CsvRow
from thawline.data.sources.headings import Wanted
from thawline.data.sources.one_hot import with_labels
from thawline.data.sources.pictures import list_pictures


def read(names, *rows, **wanted):
    listed = [CsvRow(line, row) for line, row in enumerate(rows, start=2)]
    found, cells, notes = with_labels(names, listed, where="t.csv", wanted=Wanted(**wanted))
    return found, [row.cells for row in cells], notes


NAMES = ("image", "cat", "dog", "bird")


def test_one_1_a_row_is_its_class():
    names, rows, notes = read(NAMES, ("1", "1.0", "0.0", "0.0"), ("2", "0.0", "0.0", "1.0"), ("3", "0", "0", "0"))
    assert names == (*NAMES, "label")
    assert [row[4] for row in rows] == ["cat", "bird", ""]
    assert notes == (
        "the classes are the names of the columns of 0 and 1: cat, dog, bird; --label-column takes one column instead",
    )
    assert read(("path", "0", "1"), ("1", "True", "False"), ("2", "false", "true"))[1][1] == ("2", "false", "true", "1")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("1", "1", "0", "1"), ("2", "0", "1", "0")], "1 of 2 rows have several of them"),
        ([("1", "0", "0", "0"), ("2", "0", "0", "0")], "no row has exactly one of them"),
    ],
)
def test_several_1_a_row_or_none_at_all_are_refused_with_the_way_out(rows, found):
    with pytest.raises(DataError, match=rf"for each class \(cat, dog, bird\).*{found}\. .*`label`.*--label-column"):
        read(NAMES, *rows)


@pytest.mark.parametrize(
    ("names", "row", "wanted"),
    [
        (("path", "label", "blurred", "dark"), ("1", "x", "0", "1"), {}),
        (("path", "cat", "dog"), ("1", "0", "1"), {"label_column": "cat"}),
        (("path", "is_valid", "cat"), ("1", "0", "1"), {}),
        (("path", "cat", "size"), ("1", "0", "3"), {}),
        (("1.jpg", "0", "1"), ("2.jpg", "1", "0"), {}),
        (("path", "id", "cat"), ("1", "1", "0"), {}),
    ],
)
def test_other_tables_stay_as_they_are(names, row, wanted):
    assert read(names, row, **wanted) == (names, [row], ())
    assert read(names, **wanted) == (names, [], ())


def test_a_manifest_is_read_so(make_folder):
    root = make_folder({"a.png": b"a", "b.png": b"b"})
    (root / "t.csv").write_text("image,MEL,NV,split\na,1.0,0.0,train\nb,0.0,1.0,train\n")
    assert [(item.label, item.source.read()) for item in list_pictures(root / "t.csv").candidates] == [
        ("MEL", b"a"),
        ("NV", b"b"),
    ]
