"""Cells of Parquet as text, whatever their type; class names from what `datasets` writes next to the columns."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.data.sources.parquet_text import class_names_of, first_cells, texts_of


def test_every_type_of_text_and_number_becomes_the_same_text(tmp_path):
    columns = {
        "string": pa.array(["007", None]),
        "large": pa.array(["007", None], pa.large_string()),
        "view": pa.array(["007", None], pa.string_view()),
        "dictionary": pa.array(["007", None]).dictionary_encode(),
        "bytes": pa.array([b"007", None]),
        "number": pa.array([7.0, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert list(texts_of(tmp_path / "t.parquet", list(columns))) == [("007",) * 5 + ("7",), ("",) * 6]
    assert list(texts_of(tmp_path / "t.parquet", ["number"], class_names={"number": [str(n) for n in range(8)]})) == [
        ("7",),
        ("",),
    ]
    assert list(texts_of(tmp_path / "t.parquet", [])) == []


def test_only_the_first_cells_are_read(tmp_path):
    pq.write_table(pa.table({"a.b": range(100), "a": [[0]] * 100}), tmp_path / "t.parquet")
    assert first_cells(tmp_path / "t.parquet", "a.b") == list(range(32))
    pq.write_table(pa.table({"a": pa.array([], pa.int8())}), tmp_path / "empty.parquet")
    assert first_cells(tmp_path / "empty.parquet", "a") == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"info": 3}', '{"info": {"features": []}}', '{"info": {"features": {"label": 1}}}']
)
def test_metadata_that_says_nothing_names_nothing(text):
    schema = pa.schema([("label", pa.int64())], metadata={"huggingface": text})
    assert class_names_of(schema) == {}
    assert class_names_of(pa.schema([("label", pa.int64())])) == {}


def test_names_of_classes_are_those_of_columns_that_are_there():
    features = {name: {"_type": "ClassLabel", "names": ["dog", "cat"]} for name in ("label", "gone")}
    schema = pa.schema([("label", pa.int64())], metadata={"huggingface": json.dumps({"info": {"features": features}})})
    assert class_names_of(schema) == {"label": ("dog", "cat")}
