"""A place is a path or `scheme:rest`: the same from any folder, with a title, and passed through every verb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from thawline.cli.app import main
from thawline.core.errors import DataError
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import Place
from thawline.work.order import Order
from thawline.work.recipe import read_config
from thawline.work.run_folder import read_order, require_place, write_order


@pytest.mark.parametrize(
    ("text", "scheme", "rest", "title"),
    [
        ("photos/birds/", "", "photos/birds/", "birds"),
        ("set.zip", "", "set.zip", "set.zip"),
        ("c:photos", "", "c:photos", "c:photos"),
        ("HF:beans", "", "HF:beans", "HF:beans"),
        ("./hf:beans", "", "./hf:beans", "hf:beans"),
        ("photos//birds/.", "", "photos//birds/.", "birds"),
        ("hf:owner/name@v1:train", "hf", "owner/name@v1:train", "owner/name@v1:train"),
        ("hf:owner/name/", "hf", "owner/name/", "owner/name/"),
        ("hf:owner/name.", "hf", "owner/name.", "owner/name."),
        ("hf:./birds", "hf", "./birds", "birds"),
        ("hf:/photos//birds/../cats", "hf", "/photos//birds/../cats", "cats"),
        ("hf:~nobody-of-this-name/birds", "hf", "~nobody-of-this-name/birds", "birds"),
        ("webdataset:s/train-{0..3}.tar", "webdataset", "s/train-{0..3}.tar", "train-{0..3}.tar"),
        ("webdataset:https://host/a.tar", "webdataset", "https://host/a.tar", "https://host/a.tar"),
        ("webdataset:pipe:cat a.tar", "webdataset", "pipe:cat a.tar", "pipe:cat a.tar"),
        ("torchvision:CIFAR10", "torchvision", "CIFAR10", "CIFAR10"),
        ("s3://bucket/train-{0..3}.tar", "", "s3://bucket/train-{0..3}.tar", "s3://bucket/train-{0..3}.tar"),
        ("webdataset:s3://bucket/a.tar", "webdataset", "s3://bucket/a.tar", "s3://bucket/a.tar"),
        ("torchvision:./CIFAR10", "torchvision", "./CIFAR10", "./CIFAR10"),
    ],
)
def test_a_place_keeps_its_text(text, scheme, rest, title):
    place = Place.of(text)
    assert (place.scheme, place.rest, place.title) == (scheme, rest, title)
    assert str(place) == text
    assert Place.of(place) is place


def test_a_path_is_a_place_too(tmp_path):
    assert Place.of(tmp_path / "a") == Place("", str(tmp_path / "a"))
    assert Place.of(Path("hf:beans")) == Place("hf", "beans")


def test_only_what_lies_on_this_machine_has_a_path():
    paths = {"webdataset:s/a.tar": "s/a.tar", "hf:./birds": "birds", "hf:../birds": "../birds", "hf:.": ".", "a": "a"}
    assert {text: Place.of(text).path for text in paths} == {text: Path(path) for text, path in paths.items()}
    assert Place.of("hf:~/birds").path == Path.home() / "birds"
    for text in ("hf:owner/name", "torchvision:./CIFAR10", "webdataset:https://host/a.tar", "webdataset:pipe:cat a"):
        assert Place.of(text).path is None


def test_a_place_means_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moved = {
        "photos": f"{tmp_path}/photos",
        "webdataset:s/{0..3}.tar": f"webdataset:{tmp_path}/s/{{0..3}}.tar",
        "hf:./birds:train": f"hf:{tmp_path}/birds:train",
        "hf:../birds": f"hf:{tmp_path}/../birds",
    }
    for text, absolute in moved.items():
        assert str(Place.of(text).absolute()) == absolute
        assert str(Place.of(absolute).absolute()) == absolute
    for text in ("hf:owner/name@v1:train", "torchvision:CIFAR10", "webdataset:https://host/a.tar"):
        assert str(Place.of(text).absolute()) == text
        assert str(Place.of(text).beside(Path("sub"))) == text
    assert str(Place.of("webdataset:a.tar").beside(Path("sub"))) == f"webdataset:{tmp_path}/sub/a.tar"
    assert str(Place.of("birds").beside(Path("sub"))) == f"{tmp_path}/sub/birds"
    assert str(Place.of("/birds").beside(Path("sub"))) == "/birds"


def test_a_link_keeps_its_own_name_when_made_absolute(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere" / "list.csv")
    assert Place.of(tmp_path / "link.csv").absolute() == Place.of(tmp_path / "link.csv")


def test_a_config_may_name_any_place(tmp_path):
    for text in ("torchvision:CIFAR10", "webdataset:https://host//a.tar"):
        (tmp_path / "t.toml").write_text(f'photos = "{text}"\nplans = ["all"]\n')
        assert str(read_config(tmp_path / "t.toml").order().photos) == text


def test_results_do_not_go_among_the_pictures(tmp_path):
    (tmp_path / "s").mkdir()
    for text in (f"{tmp_path}/s", f"webdataset:{tmp_path}/s", f"hf:{tmp_path}/s", f"hf:{tmp_path}/s:train"):
        assert Place.of(text).folder == tmp_path / "s"
        with pytest.raises(DataError, match="lies inside the pictures"):
            require_place(tmp_path / "s" / "run", Order(Place.of(text)))
    for text in ("hf:beans", "torchvision:CIFAR10", f"webdataset:{tmp_path}/s/a.tar", f"{tmp_path}/nowhere"):
        assert Place.of(text).folder is None
        require_place(tmp_path / "run", Order(Place.of(text)))


def test_an_address_of_shards_is_refused_by_its_own_text(capsys):
    address = "webdataset:https://host/a.tar"
    with pytest.raises(DataError, match=f"^list: {address}: shards are read from a disk, or"):
        list_pictures(address)
    assert main(["check", address]) == 1
    assert address in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("place", ["https://example.org/x.zip", "ftp://host/x", "torchvison:CIFAR10"])
def test_what_begins_with_anything_else_is_told_what_may(place):
    with pytest.raises(
        DataError,
        match=f"^list: {re.escape(place)} does not exist. Name a path, or what begins with webdataset:, hf:, torch",
    ):
        list_pictures(place)


def test_a_tuning_is_resumed_on_the_same_place_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Place.of("webdataset:s/train-{0..3}.tar")
    write_order(tmp_path / "run", Order(place), key="0123456789ab")
    monkeypatch.chdir("/")
    assert str(read_order(tmp_path / "run")[0].photos) == f"webdataset:{tmp_path}/s/train-{{0..3}}.tar"
