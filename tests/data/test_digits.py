from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from thawline.core.errors import DataError
from thawline.data.check import check
from thawline.data.digits import write_digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits") / "made here" / "digits")


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*.png"))}


def numbers(directory, part):
    return {path.stem for path in (directory / part).rglob("*.png")}


def test_every_scan_is_written_once(digits):
    assert len(files(digits)) == 1797
    assert not numbers(digits, "train") & numbers(digits, "test")


def test_training_gets_equally_many_of_each_digit(digits):
    assert sorted(path.name for path in (digits / "train").iterdir()) == [str(digit) for digit in range(10)]
    assert [len(list((digits / "train" / str(digit)).iterdir())) for digit in range(10)] == [5] * 10


def test_a_picture_is_its_scan_enlarged(digits):
    scans = load_digits()
    for path in list((digits / "train").rglob("*.png"))[::7]:
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (64, 64))
            ink = 255 - np.asarray(picture.resize((8, 8), Image.Resampling.BOX), dtype=float)
        assert path.parent.name == str(scans.target[int(path.stem)])
        assert np.corrcoef(ink.ravel(), scans.images[int(path.stem)].ravel())[0, 1] > 0.98


def test_no_two_pictures_have_the_same_bytes(digits):
    assert len({hashlib.sha256(content).digest() for content in files(digits).values()}) == 1797


def test_check_finds_nothing_odd_about_them(digits):
    dataset, report = check(digits)
    assert len(dataset) == report.used == 1797
    assert not report.skipped
    assert not report.exact_copies
    assert not report.near_copies
    assert {sample.split for sample in dataset.samples} == {"train", "test"}


def test_equal_arguments_make_equal_pictures_and_another_seed_chooses_others(digits, tmp_path):
    again = write_digits(tmp_path / "again")
    assert files(again) == files(digits)
    other = write_digits(tmp_path / "other", seed=1)
    assert numbers(other, "train") != numbers(digits, "train")


def test_the_folder_can_be_read_by_others_and_nothing_else_is_left(tmp_path):
    directory = write_digits(tmp_path / "digits", labels_per_class=1)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert len(numbers(directory, "train")) == 10


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match=r"digits cannot be written \(No space left on device\)\. Name another place"):
        write_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_left_alone(tmp_path):
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match="digits exists already"):
        write_digits(tmp_path / "digits")


@pytest.mark.parametrize("labels_per_class", [0, 151])
def test_an_impossible_number_of_labels_is_refused(tmp_path, labels_per_class):
    with pytest.raises(DataError, match=f"demo: {labels_per_class} labels a class: from 1 to 150"):
        write_digits(tmp_path / "digits", labels_per_class=labels_per_class)
