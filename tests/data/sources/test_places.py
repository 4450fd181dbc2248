"""A place is a path or `scheme:rest`: the same from any folder, with a title, and passed through every verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.core.options import Options
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import absolute_place, folder_of, place_beside, place_title, split_place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.config import read_config
from thawline.work.order import Order
from thawline.work.request import read_request, write_request
from thawline.work.session import require_place


@pytest.mark.parametrize(
    ("place", "parts", "title"),
    [
        ("photos/birds/", ("", "photos/birds/"), "birds"),
        ("set.zip", ("", "set.zip"), "set.zip"),
        ("c:photos", ("", "c:photos"), "c:photos"),
        ("hf:owner/name@v1:train", ("hf", "owner/name@v1:train"), "owner/name@v1:train"),
        ("hf:./birds", ("hf", "./birds"), "birds"),
        ("webdataset:s/train-{0..3}.tar", ("webdataset", "s/train-{0..3}.tar"), "train-{0..3}.tar"),
        ("torchvision:CIFAR10", ("torchvision", "CIFAR10"), "CIFAR10"),
    ],
)
def test_parts_and_title(place, parts, title):
    assert split_place(place) == parts
    assert place_title(place) == title
    assert place_title(Path(place)) == title


def test_a_place_means_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_place("photos") == tmp_path / "photos"
    assert str(absolute_place("webdataset:s/{0..3}.tar")) == f"webdataset:{tmp_path}/s/{{0..3}}.tar"
    assert str(absolute_place("hf:./birds:train")) == f"hf:{tmp_path}/birds:train"
    for place in ("hf:owner/name@v1:train", "torchvision:CIFAR10"):
        assert str(absolute_place(place)) == place
        assert absolute_place(absolute_place(place)) == Path(place)
    assert str(place_beside(Path("sub"), "webdataset:a.tar")) == f"webdataset:{tmp_path}/sub/a.tar"
    assert place_beside(Path("sub"), "birds") == Path("sub/birds")
    assert str(place_beside(Path("sub"), "hf:beans")) == "hf:beans"


def test_a_config_may_name_any_place(tmp_path):
    (tmp_path / "t.toml").write_text('photos = "torchvision:CIFAR10"\nplans = ["all"]\n')
    assert str(read_config(tmp_path / "t.toml").photos) == "torchvision:CIFAR10"


def test_results_do_not_go_among_the_pictures(tmp_path):
    (tmp_path / "s").mkdir()
    for place in (tmp_path / "s", Path(f"webdataset:{tmp_path}/s"), Path(f"hf:{tmp_path}/s")):
        assert folder_of(place) == tmp_path / "s"
        with pytest.raises(DataError, match="lies inside the pictures"):
            require_place(tmp_path / "s" / "run", place)
    assert folder_of("hf:beans") is None
    assert folder_of("torchvision:CIFAR10") is None
    require_place(tmp_path / "run", Path("torchvision:CIFAR10"))


@pytest.mark.parametrize("place", ["https://example.org/x.zip", "s3://bucket/x", "torchvison:CIFAR10"])
def test_what_begins_with_anything_else_is_told_what_may(place):
    with pytest.raises(DataError, match="Paths are read, and what begins with webdataset:, hf:, torchvision:"):
        list_pictures(place)


def test_a_tuning_is_resumed_on_the_same_place_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Path("webdataset:s/train-{0..3}.tar")
    write_request(tmp_path / "run", Order(place, ("all",), Options(), TrainOptions()))
    monkeypatch.chdir("/")
    assert str(read_request(tmp_path / "run").photos) == f"webdataset:{tmp_path}/s/train-{{0..3}}.tar"
