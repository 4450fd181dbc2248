"""Data sets of torchvision's, from files in its own formats that the test writes: offline, and with the same hashes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import pickle
import struct

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from thawline.core.cache import cache_entries, remove_entry
from thawline.core.errors import DataError, UsageError
from thawline.data.check import check
from thawline.data.sources import torchsets
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.torchsets import SETS


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return the folder of torchvision's files, and let no host answer."""
    monkeypatch.setenv("THAWLINE_TORCHVISION", str(tmp_path / "raw"))
    monkeypatch.setattr(torchsets, "is_reachable", lambda _: False)
    return tmp_path / "raw"


def numbers(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path, array):
    """Write an array in the format of MNIST's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_mnist(folder, train, test, ending=""):
    for part, pixels in (("train", train), ("t10k", test)):
        write_idx(folder / f"{part}-images-idx3-ubyte{ending}", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte{ending}", np.arange(len(pixels), dtype=np.uint8) % 2)


def pixels_of(source):
    return np.asarray(Image.open(io.BytesIO(source.read())))


def test_arrays_become_png_with_official_parts_and_class_names(root, own_cache):
    train, test = numbers((600, 28, 28)), numbers((4, 28, 28), 1)
    write_mnist(root / "FashionMNIST" / "raw", train, test)
    listing = list_pictures("torchvision:FashionMNIST")
    assert listing.class_names == ("T-shirt/top", "Trouser")
    parts = [[item for item in listing.candidates if item.split == part] for part in ("train", "test")]
    assert [len(part) for part in parts] == [600, 4]
    assert parts[0][1].label == "Trouser"
    np.testing.assert_array_equal([pixels_of(item.source) for item in parts[0]], train)
    np.testing.assert_array_equal([pixels_of(item.source) for item in parts[1]], test)
    assert str(listing.root) == "torchvision:FashionMNIST"
    (entry,) = cache_entries(own_cache)
    assert (entry.kind, entry.size_bytes > 600 * 700) == ("pictures", True)
    facts = json.loads((entry.directory / "source.json").read_bytes())
    assert (facts["name"], facts["pictures"]) == ("FashionMNIST", {"train": 600, "test": 4})


def test_what_is_on_the_shelf_needs_neither_files_nor_torchvision(root, own_cache, monkeypatch):
    write_mnist(root / "KMNIST" / "raw", numbers((4, 28, 28)), numbers((4, 28, 28), 1))
    first = [(item.path, item.label, item.source.read()) for item in list_pictures("torchvision:KMNIST").candidates]
    monkeypatch.setattr(torchsets, "_open", lambda *_: pytest.fail("torchvision was asked again"))
    again = [(item.path, item.label, item.source.read()) for item in list_pictures("torchvision:KMNIST").candidates]
    assert again == first
    (entry,) = cache_entries(own_cache)
    (entry.directory / "train-00000.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match=r"remove .*pictures.* and run again to fetch it"):
        list_pictures("torchvision:KMNIST")
    remove_entry(entry, own_cache)
    with pytest.raises(pytest.fail.Exception):
        list_pictures("torchvision:KMNIST")


def test_archives_that_a_person_brought_are_unpacked_without_a_network(root, monkeypatch):
    folder = root / "MNIST" / "raw"
    write_mnist(folder, numbers((4, 28, 28)), numbers((4, 28, 28), 1), ".gz")
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    assert len(list_pictures("torchvision:MNIST").candidates) == 8


def write_cifar(root, monkeypatch, pixels, labels, payload=None):
    """Write CIFAR-10's files and let torchvision know their sums."""
    base = root / "cifar-10-batches-py"
    base.mkdir(parents=True)
    rows = {"data": pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1), "labels": labels}
    known = {}
    for name, content in (
        ("data_batch_1", rows),
        ("test_batch", rows),
        ("batches.meta", {"label_names": ["plane", "car"]}),
    ):
        (base / name).write_bytes(pickle.dumps(content))
        known[name] = hashlib.md5((base / name).read_bytes()).hexdigest()
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", known["data_batch_1"]]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", known["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names", "md5": known["batches.meta"]})
    return base


def test_colour_pictures_and_a_pickle_that_is_not_the_official_one(root, monkeypatch, tmp_path, own_cache):
    pixels = numbers((6, 32, 32, 3))
    base = write_cifar(root, monkeypatch, pixels, [0, 1, 0, 1, 0, 1])
    listing = list_pictures("torchvision:CIFAR10")
    np.testing.assert_array_equal([pixels_of(item.source) for item in listing.candidates[6:]], pixels)
    assert [item.label for item in listing.candidates[:3]] == ["plane", "car", "plane"]

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (base / "data_batch_1").write_bytes(pickle.dumps(Evil()))
    remove_entry(cache_entries(own_cache)[0], own_cache)
    with pytest.raises(DataError, match=r"or not as torchvision knows them.*cifar-10-python\.tar\.gz"):
        list_pictures("torchvision:CIFAR10")
    assert not (tmp_path / "ran").exists()


def test_files_stay_files_where_torchvision_put_them(root, own_cache, make_folder, draw, encode):
    for number, name in enumerate(("Forest", "River")):
        folder = root / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for seed in range(3):
            (folder / f"{seed}.png").write_bytes(encode(draw(10 * number + seed)))
    listing = list_pictures("torchvision:EuroSAT")
    assert [(item.path, item.label, item.split) for item in listing.candidates][2:4] == [
        ("eurosat/2750/Forest/2.png", "Forest", None),
        ("eurosat/2750/River/0.png", "River", None),
    ]
    assert listing.candidates[0].source.read() == (root / "eurosat/2750/Forest/0.png").read_bytes()
    assert cache_entries(own_cache) == ()
    assert check("torchvision:EuroSAT")[0].images_key == check(root / "eurosat" / "2750")[0].images_key


def test_parts_of_a_set_with_three_and_numbers_for_names(root, draw, encode):
    base = root / "oxford-iiit-pet"
    for folder in ("images", "annotations"):
        (base / folder).mkdir(parents=True)
    for part, seeds in (("trainval", (1, 2)), ("test", (3, 4))):
        lines = []
        for label, seed in enumerate(seeds, start=1):
            name = f"{'great_dane' if label == 1 else 'Maine_Coon'}_{seed}"
            (base / "images" / f"{name}.jpg").write_bytes(encode(draw(seed), "JPEG"))
            lines.append(f"{name} {label} 1 1")
        (base / "annotations" / f"{part}.txt").write_text("\n".join(lines))
    listing = list_pictures("torchvision:OxfordIIITPet")
    assert [(item.label, item.split) for item in listing.candidates] == [
        ("Great Dane", "train"),
        ("Maine Coon", "train"),
        ("Great Dane", "test"),
        ("Maine Coon", "test"),
    ]
    gtsrb = root / "gtsrb"
    for label in ("00000", "00011"):
        (gtsrb / "GTSRB" / "Training" / label).mkdir(parents=True)
        (gtsrb / "GTSRB" / "Training" / label / "1.ppm").write_bytes(encode(draw(int(label)), "PPM"))
    (gtsrb / "GTSRB" / "Final_Test" / "Images").mkdir(parents=True)
    (gtsrb / "GTSRB" / "Final_Test" / "Images" / "2.ppm").write_bytes(encode(draw(5), "PPM"))
    (gtsrb / "GT-final_test.csv").write_text("Filename;ClassId\n2.ppm;1\n")
    signs = list_pictures("torchvision:GTSRB")
    assert [(item.label, item.split) for item in signs.candidates] == [("0", "train"), ("1", "train"), ("1", "test")]


def test_a_set_of_lines_of_text(root):
    lines = "\n".join(f"{1 + row % 2} " + " ".join(f"{column}:0.5" for column in range(1, 257)) for row in range(4))
    root.mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        (root / name).write_bytes(bz2.compress(lines.encode()))
    listing = list_pictures("torchvision:USPS")
    assert [(item.label, item.split) for item in listing.candidates][:2] == [("0", "test"), ("1", "test")]
    assert pixels_of(listing.candidates[0].source).shape == (16, 16)


@pytest.mark.parametrize("name", sorted(SETS))
def test_without_files_and_network_the_error_says_what_to_bring_and_where(root, name):
    with pytest.raises(DataError) as caught:
        list_pictures(f"torchvision:{name}")
    for file in SETS[name].files:
        assert file in str(caught.value)
    assert str(root) in str(caught.value)
    assert SETS[name].host in str(caught.value)


def test_files_are_in_the_cache_where_no_place_is_named(root, own_cache, monkeypatch):
    monkeypatch.delenv("THAWLINE_TORCHVISION")
    with pytest.raises(DataError, match=str(own_cache / "torchvision")):
        list_pictures("torchvision:DTD")


def test_damaged_files_are_told(root):
    folder = root / "MNIST" / "raw"
    write_mnist(folder, numbers((4, 28, 28)), numbers((4, 28, 28), 1))
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(20))
    with pytest.raises(DataError, match=r"or not as torchvision knows them.*download from there MNIST/raw"):
        list_pictures("torchvision:MNIST")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cifar10", "torchvision:CIFAR10"), ("FashonMNIST", "torchvision:FashionMNIST"), ("x", "There are")],
)
def test_unknown_names_are_refused_with_the_nearest(root, name, hint):
    with pytest.raises(UsageError, match=hint):
        list_pictures(f"torchvision:{name}")
