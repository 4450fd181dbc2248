"""Folders, manifests and Parquet tables become listings; odd layouts are told, never guessed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.data.sources import listing as listing_module
from thawline.data.sources import tables
from thawline.data.sources.pictures import FileSource, list_pictures


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
        ({"train/a/1": 1, "extra/1": 2}, "both inside train and in class folders outside it"),
        ({"train/1": 1, "val/2": 2}, "no class folders inside"),
        ({"val/a/1": 1, "test/a/2": 2}, "no training pictures"),
        ({"train/a/1": 1, "training/a/2": 2}, "two folders for the same part"),
    ],
)
def test_layouts_that_leave_things_open_are_refused(make_folder, files, reason):
    with pytest.raises(DataError, match=reason):
        list_pictures(make_folder(files))


def test_missing_path_and_single_file(tmp_path, make_folder):
    with pytest.raises(DataError, match="does not exist"):
        list_pictures(tmp_path / "nowhere")
    root = make_folder({"one.jpg": 1})
    with pytest.raises(DataError, match="is a single file"):
        list_pictures(root / "one.jpg")


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
    assert {item.path for item in listing.skipped} == {"a/self", "b/gone"}
    assert [note.split(" is ")[0] for note in listing.notes] == ["a/0-link", "a/up", "d"]


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


def test_file_source_tells_why_it_cannot_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="missing"):
        FileSource(tmp_path / "gone").read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        FileSource(tmp_path / "pipe").read()
    (tmp_path / "long").write_bytes(bytes(100))
    monkeypatch.setattr(listing_module, "MAX_FILE_BYTES", 99)
    with pytest.raises(DataError, match="100 bytes are more than the 99"):
        FileSource(tmp_path / "long").read()


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
        (b"file;class\na;b\n", "has the columns file;class; required are path and label"),
        (b"", "has the columns none"),
        (b"path,label\n", "no rows"),
        (b"path,label,split\na,b,holdout\n", "line 2: split 'holdout' is not one of"),
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
