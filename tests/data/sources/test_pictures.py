"""A path is read by what it is: a folder, a table, an archive; anything else is refused with what to name instead."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError, UsageError
from thawline.data.sources.headings import Wanted
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import SCHEMES


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def test_a_file_is_known_by_its_first_bytes(make_folder, make_zip, make_tar, tmp_path):
    files = {"cat/1": b"1", "dog/2": b"2"}
    pq.write_table(pa.table({"path": ["cat/1", "dog/2"], "label": ["cat", "dog"]}), tmp_path / "table.xyz")
    (tmp_path / "list.txt").write_text("path,label\ncat/1,cat\ndog/2,dog\n")
    empty = make_zip({}, "empty.xyz")
    forms = [make_zip(files, "a.xyz"), make_tar(files, "b.xyz"), tmp_path / "table.xyz", tmp_path / "list.txt"]
    for path in forms:
        assert found(list_pictures(path)) == [("cat/1", "cat", None), ("dog/2", "dog", None)]
    with pytest.raises(DataError, match="holds no files"):
        list_pictures(empty)


def test_an_ending_tells_what_a_damaged_file_was_meant_to_be(tmp_path):
    reasons = {"a.zip": "zip archive", "a.tar": "tar archive", "a.PQ": "named like a Parquet", "a.TGZ": "compressed"}
    for name, reason in reasons.items():
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(DataError, match=reason):
            list_pictures(tmp_path / name)


def test_a_folder_of_tables_is_read_as_tables(tmp_path):
    table = pa.table({"image": [b"1", b"2"], "label": ["cat", "dog"]})
    for folder in (tmp_path / "own", tmp_path / "hub" / "data"):
        folder.mkdir(parents=True)
        pq.write_table(table, folder / "all.parquet")
    for folder in (tmp_path / "own", tmp_path / "hub"):
        assert [item.source.read() for item in list_pictures(folder).candidates] == [b"1", b"2"]


def test_what_the_disk_refuses_is_told(tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match=r"loop (cannot be read: Too many|does not exist)"):
        list_pictures(tmp_path / "loop")
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        list_pictures("n" * 300)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").write_text("path,label\n")
    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(DataError, match="no permission to read it"):
        list_pictures(tmp_path / "a.csv")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_without_a_name_is_told_what_a_name_looks_like(scheme):
    with pytest.raises(DataError, match=rf"^list: {scheme}: names no pictures\. .* as in '?{scheme}:."):
        list_pictures(f"{scheme}:")


def test_missing_path_and_single_file(tmp_path, make_folder):
    with pytest.raises(DataError, match="does not exist"):
        list_pictures(tmp_path / "nowhere")
    root = make_folder({"one.jpg": 1})
    with pytest.raises(DataError, match="is a single file"):
        list_pictures(root / "one.jpg")


@pytest.mark.parametrize("name", ["photos.tar.gz", "photos.tgz", "photos.7z"])
def test_a_compressed_archive_is_refused_with_what_to_do(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b whatever")
    with pytest.raises(DataError, match=r"compressed archive.*Unpack it and name the folder"):
        list_pictures(tmp_path / name)


def test_columns_of_what_is_no_table_are_refused(make_folder, make_zip):
    root = make_folder({"cat/1.png": 1, "dog/2.png": 2})
    archive = make_zip({"cat/1": b"1", "dog/2": b"2"})
    for place in (root, archive, "torchvision:MNIST", f"webdataset:{root}"):
        for wanted in (Wanted(path_column="x"), Wanted(label_column="x"), Wanted(picture_folder=root)):
            with pytest.raises(UsageError, match=r"is no table, and --path-column.*Leave them out"):
                list_pictures(place, wanted=wanted)
    assert len(list_pictures(root, wanted=Wanted()).candidates) == 2


def test_a_workbook_is_no_archive(make_zip):
    with pytest.raises(DataError, match=r"list\.xlsx is a workbook\. Save its sheet as CSV"):
        list_pictures(make_zip({"xl/workbook.xml": b"<x/>"}, "list.xlsx"))


def test_the_folder_of_a_tables_pictures(make_folder, tmp_path):
    root = make_folder({"train/1.png": b"1", "train/2.png": b"2"})
    (tmp_path / "train.csv").write_text("id,breed\n1,a\n2,b\n")
    listing = list_pictures(tmp_path / "train.csv", wanted=Wanted(picture_folder=root / "train"))
    assert [item.source.read() for item in listing.candidates] == [b"1", b"2"]
    with pytest.raises(DataError, match="--picture-folder nowhere is no folder"):
        list_pictures(tmp_path / "train.csv", wanted=Wanted(picture_folder=Path("nowhere")))
