"""Manifests and Parquet tables become listings; pictures are read in small blocks, in any order."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.data.sources import tables
from thawline.data.sources.headings import Wanted
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


def read_all(listing):
    """Return (label, bytes, or why there are none) of every candidate."""
    found = []
    for item in listing.candidates:
        try:
            found.append((item.label, item.source.read()))
        except DataError as error:
            found.append((item.label, str(error)))
    return found


OUTSIDE = "outside the folder of the table"


def test_no_form_of_table_reads_a_file_outside_its_folder(make_folder, tmp_path):
    root = make_folder({"1.png": b"1"})
    (tmp_path / "secret.png").write_bytes(b"secret")
    paths = [
        "1.png",
        "../secret.png",
        str(tmp_path / "secret.png"),
        str(root / "1.png"),
        f"file://{tmp_path}/secret.png",
    ]
    labels = ["a", "b", "c", "d", "e"]
    right = [("a", b"1"), ("b", OUTSIDE), ("c", OUTSIDE), ("d", b"1"), ("e", OUTSIDE)]
    (root / "m.csv").write_text("\n".join(["path,label", *map(",".join, zip(paths, labels, strict=True))]))
    pq.write_table(pa.table({"path": paths, "label": labels}), root / "m.parquet")
    cells = pa.array(
        [{"bytes": None, "path": path} for path in paths], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    pq.write_table(pa.table({"image": cells, "label": labels}), root / "cells.parquet")
    for name in ("m.csv", "m.parquet", "cells.parquet"):
        listing = list_pictures(root / name)
        assert read_all(listing) == right, name
        with_folder = list_pictures(root / name, wanted=Wanted(picture_folder=tmp_path))
        assert ("b", b"secret") in read_all(with_folder)
    assert f"--picture-folder {tmp_path}" in " ".join(list_pictures(root / "m.csv").notes)


def test_bytes_as_text_are_text_and_pictures_next_to_paths_are_pictures(make_folder):
    root = make_folder({"1.png": b"1", "2.png": 2})
    pq.write_table(pa.table({"path": [b"1.png", b"2.png"], "label": [b"a", b"b"]}), root / "bytes.parquet")
    assert [label for label, _ in read_all(list_pictures(root / "bytes.parquet"))] == ["a", "b"]
    picture = (root / "2.png").read_bytes()
    pq.write_table(pa.table({"image": [picture] * 2, "path": ["x", "y"], "label": ["a", "b"]}), root / "both.parquet")
    assert read_all(list_pictures(root / "both.parquet")) == [("a", picture), ("b", picture)]
    by_path = list_pictures(root / "both.parquet", wanted=Wanted(path_column="path"))
    assert read_all(by_path) == [("a", "missing"), ("b", "missing")]


def test_parts_stand_in_a_column_next_to_pictures_too(draw, encode, tmp_path):
    pictures, labels = [encode(draw(seed)) for seed in range(4)], ["a", "b", "a", "b"]
    columns = {"split": ["train", "train", "dev", "unlabelled"], "is_test": [False, False, True, True]}
    for name, values in columns.items():
        pq.write_table(pa.table({"image": pictures, "label": labels, name: values}), tmp_path / f"{name}.parquet")
    listing = list_pictures(tmp_path / "split.parquet")
    assert [item.split for item in listing.candidates] == ["train", "train", "test"]
    assert [item.reason for item in listing.skipped] == ["in a part without labels"]
    assert [item.split for item in list_pictures(tmp_path / "is_test.parquet").candidates] == [
        "train",
        "train",
        "test",
        "test",
    ]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.map_(pa.string(), pa.int8())])
def test_a_manifest_with_several_labels_a_picture_is_refused(tmp_path, kind):
    value = ["x"] if pa.types.is_list(kind) else [("x", 1)]
    pq.write_table(pa.table({"path": ["1", "2"], "label": pa.array([value, value], kind)}), tmp_path / "m.parquet")
    with pytest.raises(DataError, match=r"the column label holds (lists|several values).*--label-column"):
        list_pictures(tmp_path / "m.parquet")


def test_a_comment_can_hold_the_names_and_text_that_is_no_utf_8_inside_parquet_is_told(make_folder):
    root = make_folder({"1.png": b"1", "2.png": b"2"})
    (root / "m.csv").write_text("# label,path\na,1.png\nb,2.png\n")
    assert read_all(list_pictures(root / "m.csv")) == [("a", b"1"), ("b", b"2")]
    odd = pa.array([b"K\xe4se", b"x"]).view(pa.string())
    pq.write_table(pa.table({"path": ["1.png", "2.png"], "label": odd}), root / "latin.parquet")
    with pytest.raises(DataError, match=r"latin\.parquet is not a Parquet table that can be read: 'utf-8' codec"):
        list_pictures(root / "latin.parquet")


def test_manifests_named_after_parts_are_the_parts(make_folder):
    root = make_folder({f"{number}.png": b"%d" % number for number in range(4)})
    for name, rows in (("train", ["0.png", "1.png"]), ("test", ["2.png", "3.png"])):
        pq.write_table(pa.table({"path": rows, "label": ["a", "b"]}), root / f"{name}.parquet")
    listing = list_pictures(root)
    assert found(listing) == [
        ("2.png", "a", "test"),
        ("3.png", "b", "test"),
        ("0.png", "a", "train"),
        ("1.png", "b", "train"),
    ]


def test_what_holds_for_every_shard_is_told_once(draw, encode, tmp_path):
    for shard in range(2):
        columns = {"image": [encode(draw(shard))], "fine_label": [shard], "coarse_label": [0]}
        pq.write_table(pa.table(columns), tmp_path / f"train-{shard}.parquet")
    assert list_pictures(tmp_path).notes == (
        "the classes are those of the column fine_label; --label-column takes coarse_label instead",
    )
