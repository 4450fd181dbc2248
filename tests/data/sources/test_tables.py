"""Manifests and Parquet tables become listings; pictures are read in small blocks, in any order."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.data.sources import tables
from thawline.data.sources.pictures import list_pictures


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def write_pictures(
    path: Path, cells: list[bytes | None], labels: list, names: list[str] | None = None, **options: object
):
    """Write a table as Hugging Face's `datasets` does."""
    image = pa.array([{"bytes": cell, "path": f"{row}.png"} for row, cell in enumerate(cells)])
    table = pa.table({"image": image, "label": labels})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def test_csv_manifest(make_folder):
    root = make_folder({"p/1.png": 1, "p/2.png": 2})
    manifest = root / "list.csv"
    manifest.write_text(
        "\ufeffLabel,Path,Split\ncat,p/1.png,train\ndog,p/2.png,Valid\n,p/3.png,train\ncat,gone,train\n", "utf-8"
    )
    listing = list_pictures(manifest)
    assert found(listing) == [("p/1.png", "cat", "train"), ("p/2.png", "dog", "test"), ("gone", "cat", "train")]
    assert [(item.path, item.reason) for item in listing.skipped] == [("p/3.png", "no label")]
    assert listing.candidates[0].source.read() == (root / "p/1.png").read_bytes()
    with pytest.raises(DataError, match="missing"):
        listing.candidates[2].source.read()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"size;kind\n1;b\n", "has the columns size, kind; required are path and label"),
        (b"", "has the columns none"),
        (b"path,label\n", "no rows"),
        (b"path,label,split\na,b,elsewhere\n", "line 2: split 'elsewhere' is not one of"),
        (b"path,label,split\na,b,train\nc,d,\n", "names a split for some pictures and none for c"),
        (b"path,label,split\na,b,test\n", "has no picture in the split train"),
        (b"path,label\n\xff\xfe\x00,b\n", "not a CSV table in UTF-8"),
    ],
)
def test_bad_csv_manifests(tmp_path, text, reason):
    (tmp_path / "m.csv").write_bytes(text)
    with pytest.raises(DataError, match=reason):
        list_pictures(tmp_path / "m.csv")


def test_parquet_manifest(make_folder):
    root = make_folder({"1.png": 1})
    pq.write_table(pa.table({"path": ["1.png", "2.png"], "label": ["a", "b"]}), root / "m.parquet")
    listing = list_pictures(root / "m.parquet")
    assert found(listing) == [("1.png", "a", None), ("2.png", "b", None)]
    assert listing.candidates[0].source.read() == (root / "1.png").read_bytes()


def test_parquet_of_pictures_with_class_names(tmp_path):
    cells = [bytes([row]) * 5 for row in range(100)]
    labels = [row % 2 for row in range(99)] + [None]
    write_pictures(tmp_path / "hf" / "train-00000-of-00001.parquet", cells, labels, ["dog", "cat"], row_group_size=70)
    write_pictures(tmp_path / "hf" / "test-00000-of-00001.parquet", cells[:3], [1, 0, 7], ["dog", "cat"])
    listing = list_pictures(tmp_path / "hf")
    assert listing.class_names == ("cat", "dog")
    assert found(listing)[:3] == [
        ("test-00000-of-00001.parquet#0", "cat", "test"),
        ("test-00000-of-00001.parquet#1", "dog", "test"),
        ("train-00000-of-00001.parquet#0", "dog", "train"),
    ]
    assert {item.reason for item in listing.skipped} == {"no label", "label 7 has no name"}
    read = [item.source.read() for item in listing.candidates if item.split == "train"]
    assert read == cells[:99]
    backwards = [item.source.read() for item in reversed(listing.candidates) if item.split == "train"]
    assert backwards == cells[98::-1]


def test_parquet_with_text_labels_in_a_data_folder_has_no_split(tmp_path):
    write_pictures(tmp_path / "hf" / "data" / "train-0.parquet", [b"1", b"2", None], ["x", "y", "y"])
    listing = list_pictures(tmp_path / "hf")
    assert found(listing) == [
        ("train-0.parquet#0", "x", None),
        ("train-0.parquet#1", "y", None),
        ("train-0.parquet#2", "y", None),
    ]
    with pytest.raises(DataError, match="missing"):  # no bytes: the path beside the table is tried
        listing.candidates[2].source.read()


def test_parquet_memory_is_bounded_by_blocks(tmp_path):
    write_pictures(tmp_path / "t.parquet", [b"%d" % row for row in range(1000)], [row % 2 for row in range(1000)])
    listing = list_pictures(tmp_path / "t.parquet")
    assert [item.source.read() for item in listing.candidates] == [b"%d" % row for row in range(1000)]
    assert [listing.candidates[row].source.read() for row in (0, 999, 500)] == [b"0", b"999", b"500"]
    table = listing.candidates[0].source.table
    assert sum(len(block) for block in table._blocks.values()) <= tables._BLOCK_ROWS * tables._BLOCKS_KEPT


def test_bad_parquet(tmp_path):
    pq.write_table(pa.table({"picture": ["x"], "kind": [1]}), tmp_path / "columns.parquet")
    with pytest.raises(DataError, match="has the columns picture, kind; required are"):
        list_pictures(tmp_path / "columns.parquet")
    (tmp_path / "fake.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="named like a Parquet table but is not one"):
        list_pictures(tmp_path / "fake.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + bytes(50))
    with pytest.raises(DataError, match="is not a Parquet table that can be read"):
        list_pictures(tmp_path / "cut.parquet")
    write_pictures(tmp_path / "mix" / "train-0.parquet", [b"1"], [0], ["a"])
    write_pictures(tmp_path / "mix" / "more.parquet", [b"1"], [0], ["a"])
    with pytest.raises(DataError, match=r"others that are not: more\.parquet"):
        list_pictures(tmp_path / "mix")


def test_a_table_that_vanishes_is_a_data_error(tmp_path):
    write_pictures(tmp_path / "t.parquet", [b"1", b"2"], [0, 1])
    listing = list_pictures(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(DataError, match=r"row 0 of t\.parquet cannot be read"):
        listing.candidates[0].source.read()
