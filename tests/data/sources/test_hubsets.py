"""Data sets that `datasets` loads: splits are parts, encoded bytes are kept, nothing outside the set is read."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.cache import cache_entries
from thawline.core.errors import DataError
from thawline.data.check import check
from thawline.data.sources import hubload, hubsets
from thawline.data.sources.headings import Wanted
from thawline.data.sources.hubload import HubName
from thawline.data.sources.pictures import list_pictures

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.usefixtures("own_hub")


def found(listing):
    return [(item.path, item.label, item.split) for item in listing.candidates]


def image_rows(pictures, labels, names=("dog", "cat"), **columns):
    """Return a `datasets.Dataset` of encoded pictures and classes."""
    rows = {"image": [data and {"bytes": data, "path": None} for data in pictures], "label": labels, **columns}
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names)) if names else None}
    kinds = {name: kind or datasets.Value("string") for name, kind in kinds.items()}
    kinds |= {name: datasets.Value("int64") for name in columns}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


def test_a_folder_of_pictures_is_read_with_its_own_bytes(make_folder):
    root = make_folder({"train/cat/1.png": 1, "train/dog/2.png": 2, "test/cat/3.png": 3, "test/dog/4.png": 4})
    listing = list_pictures(f"hf:{root}")
    assert found(listing) == [
        ("train#0", "cat", "train"),
        ("train#1", "dog", "train"),
        ("test#0", "cat", "test"),
        ("test#1", "dog", "test"),
    ]
    expected = [(root / name).read_bytes() for name in ("train/cat/1.png", "train/dog/2.png", "test/cat/3.png")]
    assert [item.source.read() for item in listing.candidates[:3]] == expected
    assert found(list_pictures(f"hf:{root}:test")) == [("test#0", "cat", None), ("test#1", "dog", None)]
    dataset, _ = check(f"hf:{root}", None)
    assert dataset.images_key == check(root, None)[0].images_key


def test_a_folder_of_parquet_and_one_saved_to_disk(tmp_path, draw, encode):
    pictures = [encode(draw(seed)) for seed in range(4)]
    rows = image_rows([*pictures, None], [0, 1, 0, 1, 1])
    (tmp_path / "p").mkdir()
    rows.to_parquet(tmp_path / "p" / "train.parquet")
    unlabelled = image_rows(pictures[:2], [None, 0])
    datasets.DatasetDict({"train": rows, "validation": unlabelled}).save_to_disk(tmp_path / "s")
    listing = list_pictures(f"hf:{tmp_path}/p")
    assert [item.label for item in listing.candidates] == ["dog", "cat", "dog", "cat", "cat"]
    assert [item.source.read() for item in listing.candidates[:4]] == pictures
    with pytest.raises(DataError, match="the cell is empty"):
        listing.candidates[4].source.read()
    saved = list_pictures(f"hf:{tmp_path}/s")
    assert [item.source.read() for item in saved.candidates[:4]] == pictures
    assert [(item.path, item.reason) for item in saved.skipped] == [("validation#0", "no label")]
    assert {item.split for item in saved.candidates} == {"train", "test"}
    with pytest.raises(DataError, match="it has the splits train, validation, no extra"):
        list_pictures(f"hf:{tmp_path}/s:extra")


def test_splits_that_are_no_part_of_the_data(tmp_path, draw, encode):
    rows = image_rows([encode(draw(seed)) for seed in range(2)], ["a", "b"], names=None)
    parts = {"train": rows, "val": rows, "test": rows, "unlabeled": rows}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "s")
    listing = list_pictures(f"hf:{tmp_path}/s")
    assert {item.split for item in listing.candidates} == {"train", "validation", "test"}
    assert listing.notes == ("left out: unlabeled, not named train, validation or test",)
    datasets.DatasetDict({"one": rows, "two": rows}).save_to_disk(tmp_path / "t")
    with pytest.raises(DataError, match=r"has the splits one, two, none for training\. Choose one.*t:one"):
        list_pictures(f"hf:{tmp_path}/t")
    assert found(list_pictures(f"hf:{tmp_path}/t:two")) == [("two#0", "a", None), ("two#1", "b", None)]


def test_columns_are_found_by_kind_and_told_when_they_are_not(tmp_path, draw, encode):
    rows = image_rows([encode(draw(1))] * 2, [0, 1])
    rows.rename_columns({"image": "photo", "label": "species"}).save_to_disk(tmp_path / "a")
    assert list_pictures(f"hf:{tmp_path}/a").class_names == ("cat", "dog")
    rows.remove_columns("label").save_to_disk(tmp_path / "b")
    with pytest.raises(DataError, match="has the columns image; required are one of pictures and one of classes"):
        list_pictures(f"hf:{tmp_path}/b")


def test_several_labels_a_picture_are_told_or_refused_as_in_local_tables(tmp_path, draw, encode):
    labels = ["cat", "cat,outdoor", "dog", "dog,outdoor"]
    image_rows([encode(draw(seed)) for seed in range(4)], labels, names=None).save_to_disk(tmp_path / "text")
    (note,) = list_pictures(f"hf:{tmp_path}/text").notes
    assert "looks like several labels a picture" in note
    lists = datasets.Features({"image": datasets.Image(), "label": datasets.List(datasets.Value("int64"))})
    rows = {"image": [{"bytes": encode(draw(1)), "path": None}], "label": [[0, 1]]}
    datasets.Dataset.from_dict(rows, features=lists).save_to_disk(tmp_path / "lists")
    with pytest.raises(DataError, match=r"the column label holds lists, several labels a picture.*--label-column"):
        list_pictures(f"hf:{tmp_path}/lists")


def test_a_cell_reads_no_file_outside_the_data_set(tmp_path, draw, encode):
    (tmp_path / "secret.png").write_bytes(encode(draw(1)))
    cells = [{"bytes": None, "path": str(tmp_path / "secret.png")}, {"bytes": None, "path": "inside.png"}]
    features = {"image": {"_type": "Image"}, "label": {"_type": "Value", "dtype": "string"}}
    cell = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, cell), "label": ["a", "b"]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (tmp_path / "p").mkdir()
    pq.write_table(table, tmp_path / "p" / "train.parquet")
    for item in list_pictures(f"hf:{tmp_path}/p").candidates:
        with pytest.raises(DataError, match="names a file outside the data set"):
            item.source.read()


CARD = """---
dataset_info:
  features:
  - {name: image, dtype: image}
  - {name: label, dtype: {class_label: {names: {'0': dog, '1': cat}}}}
  splits:
  - {name: train, num_bytes: 100, num_examples: 4}
  - {name: test, num_bytes: 100, num_examples: 2}
  download_size: 5368709120
  dataset_size: 100
---
"""


@pytest.fixture
def large(tmp_path, draw, encode, monkeypatch):
    """Return pictures that `datasets` finds under any name of the hub, as a data set that declares 5 GiB."""
    pictures = [encode(draw(seed)) for seed in range(6)]
    folder = tmp_path / "large"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(CARD, "utf-8")
    image_rows(pictures[:4], [0, 1, 0, None]).to_parquet(folder / "data" / "train-0.parquet")
    image_rows(pictures[4:], [1, 0]).to_parquet(folder / "data" / "test-0.parquet")
    real = datasets.load_dataset_builder
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: real(str(folder)))
    monkeypatch.setattr(hubload, "is_reachable", lambda _: True)
    return pictures


def test_a_large_data_set_is_streamed_once_and_then_read_without_a_network(large, monkeypatch, own_cache):
    listing = list_pictures("hf:someone/large@v1")
    assert [(item.label, item.split, item.source.read()) for item in listing.candidates] == [
        ("cat", "test", large[4]),
        ("dog", "test", large[5]),
        ("dog", "train", large[0]),
        ("cat", "train", large[1]),
        ("dog", "train", large[2]),
    ]
    assert [item.reason for item in listing.skipped] == ["label -1 has no name"]
    assert str(listing.root) == "hf:someone/large@v1"
    (entry,) = cache_entries(own_cache)
    facts = json.loads((entry.directory / "source.json").read_bytes())
    assert (facts["name"], facts["revision"], facts["pictures"]) == ("someone/large", "v1", {"train": 4, "test": 2})
    monkeypatch.setattr(hubload, "is_reachable", lambda _: False)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: pytest.fail("the hub was asked again"))
    assert found(list_pictures("hf:someone/large@v1")) == found(listing)


def test_one_split_of_a_large_data_set_has_a_shelf_of_its_own(large, own_cache):
    listing = list_pictures("hf:someone/large:test")
    assert [(item.label, item.split) for item in listing.candidates] == [("cat", None), ("dog", None)]
    assert len(list_pictures("hf:someone/large").candidates) == 5
    assert len(cache_entries(own_cache)) == 2


def test_groups_of_a_large_data_set_are_kept(tmp_path, draw, encode, monkeypatch, own_cache):
    pictures = [encode(draw(seed)) for seed in range(6)]
    folder = tmp_path / "large"
    (folder / "data").mkdir(parents=True)
    kinds = "  - {name: patient, dtype: int64}\n  - {name: ward, dtype: int64}\n  splits:"
    (folder / "README.md").write_text(CARD.replace("  splits:", kinds), "utf-8")
    for part, rows in (("train", slice(4)), ("test", slice(4, 6))):
        columns = {"patient": [7, 7, 8, None, 8, 9][rows], "ward": [1, 2, 1, 2, 1, 2][rows]}
        image_rows(pictures[rows], [0, 1, 0, 1, 1, 0][rows], **columns).to_parquet(
            folder / "data" / f"{part}-0.parquet"
        )
    real = datasets.load_dataset_builder
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: real(str(folder)))
    monkeypatch.setattr(hubload, "is_reachable", lambda _: True)
    for wanted, groups in ((None, ["8", "9", "7", "7", "8", ""]), (Wanted(group_column="none"), [""] * 6)):
        listing = list_pictures("hf:someone/large", wanted=wanted)
        assert [item.group for item in listing.candidates] == groups
    assert len(cache_entries(own_cache)) == 1
    listing = list_pictures("hf:someone/large", wanted=Wanted(group_column="ward"))
    assert [item.group for item in listing.candidates] == ["1", "2", "1", "2", "1", "2"]


class BrokenBuilder:
    """What `load_dataset_builder` returns for a large data set whose host gives up."""

    __module__ = "datasets.packaged_modules.parquet.parquet"

    def __init__(self, kinds, cache_dir):
        self.cache_dir, self.hash = cache_dir, "0123456789abcdef"
        self.info = SimpleNamespace(features=kinds, download_size=5 << 30, splits=None)

    def as_streaming_dataset(self, split):
        def rows():
            yield {"image": {"bytes": b"1", "path": None}, "label": 0}
            raise OSError("connection reset")

        stream = datasets.IterableDataset.from_generator(rows, features=self.info.features)
        return datasets.IterableDatasetDict({"train": stream})


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path, draw, encode, monkeypatch, own_cache):
    builder = BrokenBuilder(image_rows([encode(draw(1))], [0]).features, str(tmp_path / "nowhere"))
    monkeypatch.setattr(hubload, "is_reachable", lambda _: True)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)
    with pytest.raises(DataError, match="connection reset"):
        list_pictures("hf:someone/large")
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_a_copy_in_the_cache_counts_only_as_the_revision_that_it_is(tmp_path, draw, encode, monkeypatch):
    rows = image_rows([encode(draw(seed)) for seed in range(2)], [0, 1])
    builder = BrokenBuilder(rows.features, str(tmp_path / "nowhere"))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"train": rows})
    listing = list_pictures("hf:someone/some@0123456789")
    assert len(listing.candidates) == 2
    assert listing.notes == ("the hub was not reached: the copy in the cache of `datasets` was used",)
    with pytest.raises(DataError, match="is another revision"):
        list_pictures("hf:someone/some@v2")


def test_a_streamed_cell_fetches_from_its_own_data_set_only(monkeypatch):
    name = HubName("a/b")
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(fsspec, "open", lambda path, mode: io.BytesIO(path.encode()))
    own = "zip://1.png::hf://datasets/a/b@abc/x.zip"
    assert hubsets._streamed_bytes({"bytes": None, "path": own}, name) == own.encode()
    for path in ("/etc/passwd", "http://example.org/x.png", "hf://datasets/c/d@abc/1.png", None):
        assert hubsets._streamed_bytes({"bytes": None, "path": path}, name) == b""
