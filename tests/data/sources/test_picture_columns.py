"""The column of pictures is known by its bytes, whatever its place; several are told or asked about."""

from __future__ import annotations

import pyarrow as pa
import pytest

from thawline.core.errors import DataError
from thawline.data.sources.headings import Wanted
from thawline.data.sources.picture_columns import (
    byte_columns,
    choose_label_column,
    choose_picture_column,
    unknown_columns,
)

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def choose(columns, kinds=None, **wanted):
    schema = pa.schema([(name, (kinds or {}).get(name, pa.binary())) for name in columns])
    return choose_picture_column(schema, columns.__getitem__, where="t.parquet", wanted=Wanted(**wanted))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3), CELL])
def test_columns_that_can_hold_bytes(kind):
    schema = pa.schema(
        [("a", kind), ("b", pa.string()), ("c", pa.struct([("x", pa.int8())])), ("d", pa.list_(pa.int8()))]
    )
    assert byte_columns(schema) == ("a",)
    assert byte_columns(pa.schema([("a", pa.dictionary(pa.int8(), pa.binary()))])) == ("a",)


def test_a_picture_is_known_by_its_bytes():
    assert choose({"label": [b"c0", b"c1"], "scan": [PNG, PNG]}) == ("scan", True, ())
    assert choose({"mask": [b"", None], "shot": [None, PNG]}) == ("shot", True, ())
    cells = [{"bytes": PNG, "path": None}, {"bytes": None, "path": "1.png"}]
    assert choose({"x": cells, "y": [b"no", b"no"]}, {"x": CELL}) == ("x", True, ())


def test_where_no_bytes_are_known_names_decide():
    assert choose({"label": [b"c0"], "image": [b"heic"]}) == ("image", False, ())
    assert choose({"mask": [b"", None], "scan": [b"heic"]}) == ("scan", False, ())
    assert choose({"only": [None]}) == ("only", False, ())
    assert choose({"text": ["a"]}, {"text": pa.string()}) == (None, False, ())


def test_several_columns_of_pictures_are_told_or_asked_about():
    chosen, _, notes = choose({"mask": [PNG], "Photo": [PNG]})
    assert (chosen, notes) == (
        "Photo",
        ("the pictures are those of the column Photo; --path-column takes mask instead",),
    )
    with pytest.raises(DataError, match=r"several columns of pictures: left, right\. Name the one.*--path-column"):
        choose({"left": [PNG], "right": [PNG]})
    assert choose({"left": [PNG], "right": [PNG]}, path_column="Right")[0] == "right"
    assert choose({"left": [PNG], "name": ["a.png"]}, {"name": pa.string()}, path_column="name")[0] is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (pa.list_(pa.int64()), "holds lists, several labels a picture"),
        (pa.large_list(pa.string()), "holds lists, several labels a picture"),
        (pa.list_(pa.int64(), 3), "holds lists, several labels a picture"),
        (pa.struct([("id", pa.int64()), ("name", pa.string())]), r"several values a picture \(id, name\)"),
        (pa.map_(pa.string(), pa.int64()), "several values a picture"),
    ],
)
def test_several_labels_a_picture_are_refused_with_the_way_out(kind, reason):
    schema = pa.schema([("image", CELL), ("label", kind)])
    with pytest.raises(DataError, match=rf"t\.parquet: the column label .*{reason}.*--label-column"):
        choose_label_column(schema, "image", class_names={}, where="t.parquet", wanted=Wanted())


def test_the_column_of_classes():
    schema = pa.schema([("image", CELL), ("img", pa.string()), ("sort", pa.int64()), ("size", pa.int64())])
    given = {"where": "t", "wanted": Wanted()}
    assert choose_label_column(schema, "image", class_names={"sort": ("a", "b")}, **given) == ("sort", ())
    with pytest.raises(DataError, match="has the columns image, img, sort, size; required are one of pictures and one"):
        choose_label_column(schema, "image", class_names={}, **given)
    assert "t has the columns a, b" in str(unknown_columns(["a", "b"], "t"))
