"""What is answered without labels: files, folders, archives, tables and shards, as `fit` finds them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError
from thawline.data.sources.unlabelled import UNLABELLED, list_unlabelled, pictures_in


@pytest.fixture
def photos(make_folder):
    files = {"a/1.png": 1, "a/2.png": 2, "b/3.png": 3, "4.png": 4, "notes.txt": b"no picture"}
    return make_folder({**files, ".hidden/5.png": 5, "@eaDir/6.png": 6, "Thumbs.db": b"x"})


def answered(*named):
    """Return name -> content, or the reason why there is none."""
    found = {}
    for name, source in pictures_in(named):
        assert name not in found
        try:
            found[name] = source.read()
        except DataError as error:
            found[name] = str(error)
    return found


def contents(photos, *names):
    return [(photos / name).read_bytes() for name in names]


def test_a_folder_is_walked_as_fit_walks_it(photos, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "7.png").write_bytes(b"seven")
    (photos / "linked").symlink_to(tmp_path / "store")
    (photos / "b" / "loop").symlink_to(photos)
    (photos / "gone.png").symlink_to(tmp_path / "nowhere")
    names = ["4.png", "a/1.png", "a/2.png", "b/3.png", "gone.png", "linked/7.png", "notes.txt"]
    found = answered(photos)
    assert list(found) == [f"{photos}/{name}" for name in names]
    assert found[f"{photos}/gone.png"] == "missing"
    assert found[f"{photos}/linked/7.png"] == b"seven"


def test_archives_are_read_in_place_without_their_side_files(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in ("a/1.png", "b/3.png", ".hidden/5.png"):
            archive.write(photos / name, name)
        archive.writestr("../up.png", b"x")
    found = answered(tmp_path / "p.zip")
    assert list(found) == [f"{tmp_path}/p.zip/{name}" for name in ("a/1.png", "b/3.png", "../up.png")]
    assert list(found.values()) == [*contents(photos, "a/1.png", "b/3.png"), "its name leads out of the archive"]
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.add(photos / "a/1.png", "0001.png")
        for name in ("0001.cls", "0001.json", "readme.md"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    for name in (f"{tmp_path}/s.tar", f"webdataset:{tmp_path}/s.tar"):
        assert list(answered(name)) == [f"{tmp_path}/s.tar/0001.png", f"{tmp_path}/s.tar/readme.md"]


@pytest.mark.parametrize("head", ["path", "path,label", "label;file_name", ""])
def test_a_table_needs_no_labels(photos, head):
    separator = ";" if ";" in head else ","
    wide = head.count(separator)
    rows = ["a/1.png", "b/3.png", "a/9.png", "../elsewhere.png"]
    first = {"label": ["", ""], "path": ["", separator], "": ["", ""]}[head.partition(separator)[0]]
    lines = [
        f"{separator if first[1] == '' and wide else ''}{row}{separator if first[1] and wide else ''}" for row in rows
    ]
    (photos / "list.csv").write_text("\n".join([head, *lines] if head else lines[:3]), encoding="utf-8")
    found = answered(photos / "list.csv")
    assert list(found)[:2] == [f"{photos}/{name}" for name in rows[:2]]
    assert list(found.values())[:3] == [*contents(photos, "a/1.png", "b/3.png"), "missing"]
    assert len(found) == (4 if head else 3)


def test_parquet_with_pictures_needs_no_labels(photos):
    cells = [{"bytes": data, "path": None} for data in contents(photos, "a/1.png", "b/3.png")]
    (photos / "t").mkdir()
    pq.write_table(pa.table({"image": cells, "age": [1, 2]}), photos / "t" / "x.parquet")
    for name in (photos / "t" / "x.parquet", photos / "t"):
        found = answered(name)
        assert list(found) == [f"{photos}/t/x.parquet#0", f"{photos}/t/x.parquet#1"]
        assert list(found.values()) == contents(photos, "a/1.png", "b/3.png")
    pq.write_table(pa.table({"file_name": ["a/1.png", "4.png"]}), photos / "list.parquet")
    assert list(answered(photos / "list.parquet").values()) == contents(photos, "a/1.png", "4.png")


def test_a_hub_set_needs_no_labels(photos):
    datasets = pytest.importorskip("datasets")
    cells = [{"bytes": data, "path": None} for data in contents(photos, "a/1.png", "b/3.png")]
    rows = datasets.Dataset.from_dict({"image": cells}).cast_column("image", datasets.Image())
    datasets.DatasetDict({"mine": rows, "yours": rows.select([1])}).save_to_disk(photos / "saved")
    found = answered(f"hf:{photos}/saved")
    assert list(found.values()) == contents(photos, "a/1.png", "b/3.png", "b/3.png")


def test_what_cannot_be_read_is_a_row(photos, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04broken")
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    named = [tmp_path / name for name in ("bad.zip", "bad.csv", "bad.parquet", "none.png")]
    found = answered(*named, photos / "4.png", photos / "notes.txt")
    assert list(found) == [str(name) for name in (*named, photos / "4.png", photos / "notes.txt")]
    assert all(isinstance(reason, str) for reason in list(found.values())[:4])
    assert list(found.values())[4:] == contents(photos, "4.png", "notes.txt")
    assert pictures_in([]) == []


def test_a_relative_table_in_this_folder_has_plain_names(photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "list.csv").write_text("path\na/1.png\n", encoding="utf-8")
    assert list(answered("list.csv")) == [os.path.join("a", "1.png")]  # noqa: PTH118 -- as it is typed


def test_a_folder_of_one_kind_has_every_file_of_it_in_one_class(photos):
    listing = list_unlabelled(photos)
    assert [item.path for item in listing.candidates] == ["4.png", "a/1.png", "a/2.png", "b/3.png", "notes.txt"]
    assert listing.class_names == (UNLABELLED,)
    assert {item.label for item in listing.candidates} == {UNLABELLED}


def test_a_folder_without_a_file_has_nothing_to_list(tmp_path):
    with pytest.raises(DataError, match="holds no files"):
        list_unlabelled(tmp_path)
