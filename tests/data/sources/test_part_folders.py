"""Which folders are parts of the data, which are classes, and which are passed over."""

from __future__ import annotations

from collections import defaultdict

import pytest

from thawline.core.errors import DataError
from thawline.data.sources.part_folders import Branch, find_branches, lone_folder


def branches(*files):
    by_top = defaultdict(list)
    for file in files:
        by_top[file.split("/")[0]].append(tuple(file.split("/")))
    found, notes = find_branches("photos", by_top, step_if_flat=lambda: "Sort them.")
    return {"/".join(folder): branch for folder, branch in found.items()}, notes


TRAIN, TEST = Branch("train", 1, 2), Branch("test", 1, 2)


def test_class_folders_need_no_branch():
    assert branches("cat/1", "dog/deep/1", "train/1") == ({}, [])


def test_parts_hold_class_folders_perhaps_inside_a_folder_of_their_own():
    found, notes = branches("train/cat/1", "train/dog/1", "test/images/cat/1", "test/images/dog/1", "test/r")
    assert (found, notes) == ({"train": TRAIN, "test": Branch("test", 2, 3)}, [])
    found, _ = branches("seg_train/seg_train/cat/1", "seg_train/seg_train/dog/1", "seg_test/seg_test/cat/1")
    assert found == {"seg_train": Branch("train", 2, 3), "seg_test": Branch("test", 2, 3)}
    found, _ = branches("train/birds/cat/1", "train/birds/dog/1", "test/fotos/cat/1", "test/fotos/dog/1")
    assert found == {"train": Branch("train", 2, 3), "test": Branch("test", 2, 3)}


def test_a_held_out_class_with_folders_in_it_stays_a_class():
    found, _ = branches("train/cat/1", "train/dog/1", "test/cat/a/1", "test/cat/b/1")
    assert found["test"] == TEST


def test_what_is_no_part_is_passed_over_next_to_a_training_and_a_held_out_part():
    for folder in ("new", "images to predict", "pred/pred", "annotations/xmls"):
        found, (note,) = branches("train/cat/1", "train/dog/1", "test/cat/1", f"{folder}/1")
        top = folder.split("/")[0]
        assert found[top].why_passed.startswith(f"{top}/ ")
        assert note.startswith(f"{top}/ ")
        assert "passed over (files: 1). Classes are read from test/, train/" in note
        assert {name: branch for name, branch in found.items() if name != top} == {"train": TRAIN, "test": TEST}


@pytest.mark.parametrize("test", ["test/1", "test/images/1", "test1/test1/1", "test/unknown/1", "predict/cat/1"])
def test_a_held_out_folder_without_labels_is_passed_over(test):
    found, notes = branches("train/cat/1", "train/dog/1", test)
    assert found["train"] == TRAIN
    assert found[test.split("/")[0]].why_passed
    assert len(notes) == 1


def test_a_held_out_class_that_training_lacks_is_kept_for_the_check_to_refuse():
    assert branches("train/cat/1", "train/dog/1", "test/bird/1")[0]["test"] == TEST


def test_folders_of_one_part_that_differ_by_their_numbers_are_taken_together():
    found, notes = branches("train_1/cat/1", "train_2/dog/1", "test/cat/1")
    assert found == {"train_1": TRAIN, "train_2": TRAIN, "test": TEST}
    assert notes == ["train_1/, train_2/ were taken together, as train"]


def test_parts_inside_the_classes():
    found, notes = branches("cat/train/1", "cat/val/1", "dog/train/1", "dog/val/1", "dog/2", "dog/old/3")
    inside = {"train": Branch("train", 0, 2), "val": Branch("validation", 0, 2)}
    lost = {name: branch for name, branch in found.items() if "/" not in name}
    assert {name: branch for name, branch in found.items() if "/" in name} == {
        f"{label}/{part}": branch for label in ("cat", "dog") for part, branch in inside.items()
    }
    assert [bool(branch.why_passed) for branch in lost.values()] == [True, True]
    assert notes == []
    assert branches("cat/train/1", "dog/old/1") == ({}, [])


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["train/1", "val/2"], "holds train/, val/ but no class folders inside. Sort them."),
        (["val/a/1", "test/a/2"], "holds test/, val/ but no training pictures. Add a folder train/"),
        (
            ["test/a/1", "a/1", "b/1"],
            "no training pictures. If a/, b/ are the classes to train on, move them into train/",
        ),
        (["test/a/1", "train/1"], "no training pictures. train/ holds no class folders"),
        (
            ["train/steam/1", "train/tram/1", "bus/1"],
            "train/ holds folders and is next to bus/, so it may be a class or",
        ),
        (["train/a/1", "test/a/1", "extra/a/1"], "and, next to them, the same classes in extra/"),
        (["train/a/1", "training/a/2"], "two folders for the same part of the data: train/, training/"),
        (
            ["a/train/1", "a/test/1", "b/1"],
            "holds a/ with a folder for training and one held out inside, and b/ without",
        ),
        (["images/train/1.jpg", "images/val/1.jpg", "labels/train/1.txt", "labels/val/1.txt"], "as sets for detection"),
    ],
)
def test_what_leaves_open_which_pictures_are_for_training_is_refused(files, reason):
    with pytest.raises(DataError) as caught:
        branches(*files)
    assert str(caught.value).startswith("list: photos")
    assert reason in str(caught.value)


def test_the_one_folder_that_holds_all_others():
    assert lone_folder([("a", "b", "1"), ("1",)], 0) == "a"
    assert lone_folder([("a", "b", "1"), ("1",)], 1) is None
    assert lone_folder([("a", "b", "1"), ("c", "1")], 0) is None
    assert lone_folder([], 0) is None
