"""Names of written files are safe and unique; tables are cut into shards, with the schema of `datasets`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from thawline.data import writers
from thawline.data.check import check
from thawline.data.dataset import Dataset
from thawline.data.exported import Export, export
from thawline.data.writers import Kept, Names

PNG = b"\x89PNG\r\n\x1a\n"


def write(root: Path, out: Path, **how: object) -> Export:
    return export(*check(root), out=out, **how)


def facts(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """Return class and part of every picture, by its bytes."""
    return {item.sha256: (dataset.class_names[item.label], item.split) for item in dataset.samples}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def five(name: str, start: int) -> dict[str, int]:
    return {f"{name}/{number}.png": start + number for number in range(5)}


@pytest.fixture
def photos(make_folder) -> Path:
    """Return fifteen pictures of three classes, a copy, and a file that is none."""
    files = {**five("a", 0), **five("b", 10), **five("c", 20), "a/again.png": 3, "c/notes.txt": b"seas"}
    return make_folder(files)


def test_hostile_names_stay_inside_and_apart(draw, encode, tmp_path):
    labels = ["../../up", "..", ".hidden", "con", "Aux.b", "a/b", "a\\b", "a:b", "x\x1b[2J", "é", "e\u0301", "É", "é ",
              "very " * 100, "thumbs.db", "~$x", "ordinary name", "C#"]  # fmt: skip
    place = tmp_path / "place"
    place.mkdir()
    rows = []
    for kind, label in enumerate(labels):
        for number in range(2):
            name = f"{kind}-{number}"
            (place / name).write_bytes(encode(draw(10 * kind + number)))
            rows.append((name, label))
    with (place / "m.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *rows])
    root = place / "m.csv"
    before = names_in(tmp_path)
    original, _ = check(root)
    done = write(root, tmp_path / "deep/er/out", held_out="none")
    assert names_in(tmp_path) - before == {"deep"}
    assert [path.name for path in (tmp_path / "deep").rglob("*") if path.parent.name in ("deep", "er")] == ["er", "out"]
    assert facts(check(done.out / "pictures.csv")[0]) == facts(original)
    back, _ = check(done.out)
    assert back.images_key == original.images_key
    assert len(back.class_names) == len(original.class_names)
    folders = {name: name for name in original.class_names} | {v: k for k, v in done.card["renamed_folders"].items()}
    assert folders["ordinary name"] == "ordinary name"
    assert folders["C#"] == "C#"
    assert len({name.casefold() for name in folders.values()}) == len(folders)
    for sha, (label, _) in facts(original).items():
        assert facts(back)[sha][0] == folders[label]
    tables = write(root, tmp_path / "tables", form="parquet", held_out="none")
    assert facts(check(tables.out)[0]) == facts(original)


@pytest.mark.parametrize(
    ("paths", "places"),
    [
        (["a/x.jpeg", "a/deep/x.png", "a/X.gif"], ["x.png", "x-2.png", "X-3.png"]),
        (["a/n9151jpg", "a/IMG.2020", "a/.jpg"], ["n9151jpg.png", "IMG.2020.png", "_.jpg.png"]),
        (["t.parquet#1", "t.parquet#12"], ["t.parquet#1.png", "t.parquet#12.png"]),
        (["a/x-2.png", "a/x.png", "b/x.png", "c/x.png"], ["x-2.png", "x.png", "x-3.png", "x-4.png"]),
        (["a/nul.jpg", "a/a?b.jpg", "a/ .jpg"], ["_nul.png", "a_b.png", "_.png"]),
    ],
)
def test_names_are_kept_where_they_can_be_and_never_given_twice(paths, places):
    names = Names(["k"])
    items = [Kept(SimpleNamespace(path=path), "k", "train", 1) for path in paths]
    assert [names.place(item, PNG) for item in items] == [f"train/k/{place}" for place in places]


def test_the_ending_is_that_of_the_content(make_folder, draw, encode, tmp_path):
    formats = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
    files = {f"a/{name}.xyz": encode(draw(number), name) for number, name in enumerate(formats)}
    done = write(make_folder({**files, **five("b", 30)}), tmp_path / "out", held_out="none")
    assert {path.name for path in (done.out / "train/a").iterdir()} == {
        f"{name}.xyz{ending}" for name, ending in formats.items()
    }


def test_tables_are_cut_into_shards_and_small_row_groups(photos, tmp_path, monkeypatch):
    sizes = sorted(row.size_bytes for row in check(photos)[0].ledger if row.format)
    monkeypatch.setattr(writers, "SHARD_BYTES", 5 * sizes[-1])
    monkeypatch.setattr(writers, "GROUP_ROWS", 2)
    done = write(photos, tmp_path / "out", form="parquet", held_out="none")
    shards = sorted(done.out.glob("*.parquet"))
    assert len(shards) >= 3
    assert [path.name for path in shards] == [f"train-{n:05}-of-{len(shards):05}.parquet" for n in range(len(shards))]
    for shard in shards:
        metadata = pq.read_metadata(shard)
        assert max(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)) == 2
    assert facts(check(done.out)[0]) == facts(check(photos)[0])


def test_the_schema_is_that_of_datasets(photos, tmp_path):
    done = write(photos, tmp_path / "out", form="parquet")
    schema = pq.read_schema(done.out / "train-00000-of-00001.parquet")
    assert str(schema.field("image").type) == "struct<bytes: binary, path: string>"
    assert str(schema.field("label").type) == "int64"
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"_type": "ClassLabel", "names": ["a", "b", "c"]}
    row = pq.read_table(done.out / "train-00000-of-00001.parquet").to_pylist()[0]
    assert row["image"]["bytes"] == (photos / row["source"]).read_bytes()
