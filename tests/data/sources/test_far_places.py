"""Shards and tables at an address are the data set that they are on a disk, with or without this machine's copies."""

from __future__ import annotations

import json
import pickle
import shutil
import threading

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thawline.core.errors import DataError, UsageError
from thawline.data.check import check
from thawline.data.load import read_checked
from thawline.data.sources import far_places
from thawline.data.sources.far_file import FarFile
from thawline.data.sources.far_places import far_files
from thawline.data.sources.headings import Wanted
from thawline.data.sources.listing import only_answered
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.unlabelled import pictures_in


@pytest.fixture
def bucket():
    """Yield a function that puts a folder's files, or bytes, to an address."""
    system = fsspec.filesystem("memory")

    def put(source, name=""):
        if isinstance(source, bytes):
            system.pipe_file(f"/bucket/{name}", source)
            return
        for file in source.rglob("*"):
            if file.is_file():
                system.pipe_file(f"/bucket/{name}{file.relative_to(source)}", file.read_bytes())

    yield put
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


@pytest.fixture
def forms(make_folder, make_tar, tmp_path, bucket):
    """Put the same twelve pictures to addresses, as shards, as one archive and as tables; return address → place."""
    root = make_folder({f"{label}/{at}.png": at + 10 * (label == "dog") for label in ("cat", "dog") for at in range(6)})
    data = {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(root.rglob("*.png"))}
    for part, numbers in (("train-0", (0, 1)), ("train-1", (2, 3)), ("test-0", (4, 5))):
        members = {}
        for name, content in data.items():
            label, number = name.removesuffix(".png").split("/")
            if int(number) in numbers:
                members |= {f"{label}{number}.png": content, f"{label}{number}.cls": str(int(label == "dog")).encode()}
        make_tar(members, f"w/{part}.tar")
    (tmp_path / "w" / "classes.json").write_text('["cat", "dog"]')
    make_tar(data, "folders.tar")
    for part, numbers in (("train", "0123"), ("test", "45")):
        rows = [(content, name.partition("/")[0]) for name, content in data.items() if name[-5] in numbers]
        image = pa.array([{"bytes": content, "path": None} for content, _ in rows])
        (tmp_path / "t" / "data").mkdir(parents=True, exist_ok=True)
        table = pa.table({"image": image, "label": [label for _, label in rows]})
        pq.write_table(table, tmp_path / "t" / "data" / f"{part}-00000.parquet", row_group_size=3)
    bucket(tmp_path / "w", "w/")
    bucket(tmp_path / "t", "t/")
    bucket((tmp_path / "folders.tar").read_bytes(), "folders.tar")
    shards, tables = f"webdataset:{tmp_path}/w", str(tmp_path / "t")
    return {
        "memory://bucket/w": shards,
        "memory://bucket/w/": shards,
        "memory://bucket/w/*.tar": shards,
        "webdataset:memory://bucket/w/{test-0,train-0,train-1}.tar": shards,
        "memory://bucket/folders.tar": str(tmp_path / "folders.tar"),
        "memory://bucket/t": tables,
        "memory://bucket/t/data/*.parquet": tables,
        "memory://bucket/t/data/train-00000.parquet": f"{tables}/data/train-00000.parquet",
        f"file://{tmp_path}/w/t*-?.tar": shards,
    }


def facts(dataset):
    return [(one.path, one.label, one.sha256, one.split, one.group) for one in dataset.samples]


def test_an_address_is_the_same_data_set_as_the_disk(forms, tmp_path):
    for at, (address, place) in enumerate(forms.items()):
        cache = tmp_path / f"cache{at}"
        far, near = (check(list_pictures(root, cache_dir=cache))[0] for root in (address, place))
        assert facts(far) == facts(near), address
        assert far.class_names == near.class_names == ("cat", "dog")
        assert str(far.root) == address
        handed = pickle.dumps(far.samples)
        pictures = [read_checked(one) for one in pickle.loads(handed)]
        shutil.rmtree(cache / "shards")  # as a machine that has no copies
        assert (
            [read_checked(one) for one in pickle.loads(handed)] == pictures == [read_checked(s) for s in near.samples]
        )
        assert [one.source for one in pickle.loads(handed)] == [one.source for one in far.samples]


def test_what_is_written_again_is_another_file(forms, make_tar, tmp_path, bucket):
    address = "memory://bucket/w/train-0.tar"
    before = list_pictures(address, cache_dir=tmp_path / "cache")
    bucket(make_tar({"new.png": b"new", "new.cls": b"0"}, "new.tar").read_bytes(), "w/train-0.tar")
    after = list_pictures(address, cache_dir=tmp_path / "cache")
    assert [item.source.read() for item in after.candidates] == [b"new"]
    assert len(before.candidates) == 4
    assert before.candidates[0].source.read().startswith(b"\x89PNG")


def test_one_that_changes_after_it_was_checked_is_noticed_without_a_copy(forms, tmp_path, bucket):
    samples = check(list_pictures("memory://bucket/w", cache_dir=tmp_path / "cache"))[0].samples
    shutil.rmtree(tmp_path / "cache" / "shards")
    fsspec.filesystem("memory").pipe_file("/bucket/w/train-0.tar", bytes(20480))
    one = next(sample for sample in samples if sample.path.startswith("train-0"))
    with pytest.raises(DataError):
        read_checked(one)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://bucket/none.tar", r"1 of 1 do not exist: memory://bucket/none.tar. Check the spelling of bucket"),
        (
            "memory://bucket/w/train-{0..3}.tar",
            r"2 of 4 do not exist: memory://bucket/w/train-2.tar, memory://bucket/w",
        ),
        ("memory://bucket/none/*.tar", r"1 of 1 do not exist"),
        ("memory://nobucket", r"1 of 1 do not exist"),
        ("memory://bucket/w/classes.json", r"holds no .tar and no .parquet files. It holds /bucket/w/classes.json"),
        ("memory://bucket/{w,t}/*", r"do not exist|both"),
        ("s3://bucket/x::zip://y", "one file system through another"),
        ("http://host/a.tar", r"Name a path, or what begins with webdataset:, hf:, torchvision:, s3://"),
        ("webdataset:http://host/a.tar", "from a disk, or from an address"),
    ],
)
def test_what_cannot_be_read_is_told(forms, tmp_path, address, message):
    with pytest.raises(DataError, match=message):
        list_pictures(address, cache_dir=tmp_path / "cache")


def test_both_kinds_at_once_are_refused(forms):
    with pytest.raises(DataError, match=r"holds both .tar and .parquet files. Name one kind"):
        far_files("memory://bucket/{w/*.tar,t/data/*.parquet}")


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no .tar and no .parquet files. At an address shards"):
        far_files(f"file://{tmp_path}/empty")


def test_a_truncated_shard_is_told_by_its_address(forms, tmp_path, bucket):
    whole = (tmp_path / "w" / "train-1.tar").read_bytes()
    bucket(whole[: len(whole) // 2 - 100], "w/train-1.tar")
    with pytest.raises(DataError, match=r"list: memory:///bucket/w/train-1.tar is not a tar archive that can be read"):
        list_pictures("memory://bucket/w", cache_dir=tmp_path / "cache")
    bucket(b"PAR1 no more", "t/data/test-00000.parquet")
    with pytest.raises(DataError, match=r"list: memory:///bucket/t/data/test-00000.parquet is not a Parquet table"):
        list_pictures("memory://bucket/t", cache_dir=tmp_path / "cache")


def test_names_from_afar_are_no_paths_here(bucket, make_tar, tmp_path, monkeypatch):
    content = make_tar({"a.jpg": b"1", "a.cls": b"x"}).read_bytes()
    for name in ("/bucket/../../evil.tar", "/bucket/C:\\evil.tar", "/bucket/a\0b.tar", f"/bucket/{'n' * 260}.tar"):
        evil = FarFile("memory://bucket", name, f"memory://{name}", len(content), "1")
        monkeypatch.setattr(far_places, "far_files", lambda _, evil=evil: [evil])
        with pytest.raises(DataError, match=r"cannot be the name of a file here. Rename it"):
            list_pictures("memory://bucket", cache_dir=tmp_path / "cache")
    assert not list(tmp_path.rglob("*evil*"))


def test_cells_that_name_files_name_none_of_this_machine(tmp_path, bucket):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    image = pa.array([{"bytes": None, "path": str(secret)}, {"bytes": None, "path": "../../secret.png"}])
    pq.write_table(pa.table({"image": image, "label": ["a", "b"]}), tmp_path / "t.parquet")
    bucket((tmp_path / "t.parquet").read_bytes(), "t.parquet")
    listing = list_pictures("memory://bucket/t.parquet", cache_dir=tmp_path / "cache")
    for item in listing.candidates:
        with pytest.raises(DataError):
            item.source.read()


def test_tables_must_hold_their_pictures(tmp_path, bucket):
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["a", "b"]}), tmp_path / "m.parquet")
    bucket((tmp_path / "m.parquet").read_bytes(), "m.parquet")
    with pytest.raises(DataError, match=r"no rows with a picture|does not hold them"):
        list_pictures("memory://bucket/m.parquet", cache_dir=tmp_path / "cache")


def test_columns_are_for_tables(forms, tmp_path):
    wanted = Wanted(label_column="label")
    assert len(list_pictures("memory://bucket/t", cache_dir=tmp_path / "cache", wanted=wanted).candidates) == 12
    with pytest.raises(UsageError, match="memory://bucket/w is no table"):
        list_pictures("memory://bucket/w", cache_dir=tmp_path / "cache", wanted=wanted)
    with pytest.raises(UsageError, match=r"hold their pictures. Leave --picture-folder out"):
        list_pictures("memory://bucket/t", cache_dir=tmp_path / "cache", wanted=Wanted(picture_folder=tmp_path))


def test_class_names_that_fill_the_memory_are_refused(forms, tmp_path, bucket):
    bucket(json.dumps(["n" * 2_000_000]).encode(), "w/classes.json")
    with pytest.raises(DataError, match=r"classes.json is longer than 1,048,576 bytes"):
        list_pictures("memory://bucket/w", cache_dir=tmp_path / "cache")


def test_they_are_listed_many_at_once(forms, monkeypatch):
    together = threading.Barrier(3, timeout=600)
    look = far_places._look

    def met(system, pattern):
        together.wait()
        return look(system, pattern)

    monkeypatch.setattr(far_places, "_look", met)
    assert len(far_files("memory://bucket/w/{test-0,train-0,train-1}.tar")) == 3


def test_a_model_answers_the_pictures_of_an_address(forms, tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_CACHE", str(tmp_path / "cache"))
    with only_answered():
        answered = pictures_in(["memory://bucket/w/train-*.tar"])
    assert sorted(name for name, _ in answered)[0] == "train-0.tar/cat0.png"
    assert all(source.read().startswith(b"\x89PNG") for _, source in answered)
