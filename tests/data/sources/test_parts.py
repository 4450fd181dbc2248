"""The words for the parts of the data, as people write them."""

from __future__ import annotations

import pytest

from thawline.data.sources.parts import file_roles, is_unlabelled, name_role, name_roles, says_nothing


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (
            "train Train TRAINING training_set TrainingSet trainset train_images images_train train2017 train-01",
            "train",
        ),
        ("train_val trainval X_train 训练集 Entraînement train.images train-00000-of-00001", "train"),
        ("val VALID Validation dev devel dev_set val2017 valset eval Evaluation evaluation_set", "validation"),
        (
            "test TEST Testing test1 test_set testSet testdata hold_out Held-Out holdout test-dev2017 测试",
            "test",
        ),
        (
            "trains trainer steam_train bus contest latest strain invalid values device predict train_test seg_train",
            None,
        ),
        ("PublicTest private_test", "test"),
        ("0 1 _ - data images public", None),
    ],
)
def test_the_part_that_a_name_stands_for_by_itself(names, role):
    assert {name: name_role(name) for name in names.split()} == dict.fromkeys(names.split(), role)
    assert name_role("") is None
    assert name_role(" held out ") == "test"


@pytest.mark.parametrize(
    "roles",
    [
        {"seg_train": "train", "seg_test": "test", "seg_pred": None},
        {"birds-train-0001": "train", "birds-train-0002": "train", "birds-val-0001": "validation"},
        {"train": "train", "dev": "validation", "test": "test"},
        {"train": "train", "dev": "validation", "eval": "test"},
        {"train": "train", "eval": "validation"},
        {"train": "train", "eval": "validation", "test": "test"},
        {"flowers train": "train", "flowers to predict": None},
        {"steam train": None, "bus": None},
        {"steam train": None, "crash test": None},
        {"crash test": None, "crash validation": None},
        {"my_train": "train", "predict": None, "other": None},
        {},
    ],
)
def test_siblings_tell_what_a_name_with_words_of_its_own_means(roles):
    assert name_roles(roles) == roles


def test_names_that_say_that_pictures_wait_for_a_prediction():
    waiting = ("images to predict", "seg_pred", "Predictions", "unlabeled", "unlabelled_images", "inference")
    assert [is_unlabelled(name) for name in waiting] == [True] * len(waiting)
    assert not any(is_unlabelled(name) for name in ("test", "bus", "predator", "label", ""))


def test_files_may_begin_with_the_word_and_go_on_as_they_like():
    files = {"train-cats-000.tar": "train", "val_cats.tar": "validation", "cats.tar": None, "test.v2.parquet": "test"}
    assert file_roles(files) == files
    timm = {"imagenet-train-0001.tar": "train", "imagenet-validation-0001.tar": "validation"}
    assert file_roles(timm) == timm


def test_names_that_say_nothing_of_a_class():
    assert [says_nothing(name) for name in ("images", "Data Set", "test", "JPGs", "cat", "7", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]
