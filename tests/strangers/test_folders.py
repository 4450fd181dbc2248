"""Folders, archives and shards as people really have them: the right classes and parts, or a true reason."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

import thawline
from thawline.core.errors import DataError

PARTS = {"train": 24, "test": 9}
THREE = ("capuchin", "howler", "uakari")


def parts(dataset):
    return Counter(sample.split for sample in dataset.samples)


def counts(dataset):
    return Counter(dataset.class_names[sample.label] for sample in dataset.samples)


def rows(dataset):
    """Return the ledger's paths and reasons of what was left out."""
    return {row.path: row.reason for row in dataset.ledger if row.status == "skipped"}


@pytest.mark.parametrize("name", ["training_set", "training_testing", "train_dev", "train_eval", "wrapped"])
def test_parts_are_known_by_the_names_that_people_give_them(make_case, name):
    dataset, report = thawline.check(make_case(name))
    assert (dataset.class_names, parts(dataset), rows(dataset)) == (THREE, PARTS, {})
    assert report.notes == (
        ("everything is inside dataset/, which was taken as the root",) if name == "wrapped" else ()
    )


@pytest.mark.parametrize(("name", "folder"), [("seg_train", "seg_pred"), ("train_test_predict", "images to predict")])
def test_pictures_to_predict_are_passed_over_with_rows_and_a_note(make_case, name, folder):
    dataset, report = thawline.check(make_case(name))
    assert (dataset.class_names, parts(dataset)) == (THREE, PARTS)
    assert len(rows(dataset)) == 3
    assert all(path.startswith(f"{folder}/") and "prediction" in reason for path, reason in rows(dataset).items())
    assert [note for note in report.notes if note.startswith(f"{folder}/ waits for a prediction")]


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("nfd_nfc", {"Käse": 11, "Brötchen": 11, "Äpfel": 11}),
        ("nfd_nfc_flat", {"Käse": 16, "Brot": 8, "Äpfel": 8}),
    ],
)
def test_composed_and_decomposed_names_are_one_class_and_told(make_case, name, pictures):
    root = make_case(name)
    dataset, report = thawline.check(root)
    assert counts(dataset) == pictures
    assert all((root / sample.path).is_file() for sample in dataset.samples)
    assert ["look alike and differ in their bytes" in note for note in report.notes] == [True]
    assert report.notes[0].startswith("Käse:" if name == "nfd_nfc_flat" else "Brötchen, Käse, Äpfel:")


def test_folders_of_a_network_drive_and_of_windows_are_no_classes(make_case):
    dataset, report = thawline.check(make_case("nas"))
    assert counts(dataset) == dict.fromkeys(THREE, 8)
    system = ["#recycle", "$RECYCLE.BIN", "@eaDir", "System Volume Information", "lost+found"]
    assert sorted(rows(dataset)) == sorted([*system, *(f"{name}/@eaDir" for name in THREE)])
    assert report.near_copies == ()


def test_names_in_latin_1_stay_two_classes(make_case):
    root = make_case("latin1_folders")
    dataset, report = thawline.check(root)
    assert counts(dataset) == {"Brot": 8, "Käse": 8, "Köse": 8}
    assert [note for note in report.notes if note.startswith("Käse, Köse: the name of the folder is not UTF-8")]
    assert len({sample.path for sample in dataset.samples}) == 24
    json.dumps([row.path for row in dataset.ledger]).encode("utf-8")
    assert {os.fsencode(sample.source.path.parent.name) for sample in dataset.samples} == {
        b"K\xe4se",
        b"K\xf6se",
        b"Brot",
    }


def test_a_hidden_class_is_told_picture_by_picture(make_case):
    dataset, report = thawline.check(make_case("dot_classes"))
    assert dataset.class_names == ("java", "python")
    assert Counter(path.split("/")[0] for path in rows(dataset)) == {".net": 8}
    assert [note for note in report.notes if note.startswith(".net/ is hidden by its name") and "rename it" in note]


@pytest.mark.parametrize(
    ("name", "inside", "reason"),
    [
        (
            "train_is_a_class",
            "",
            r"train/ holds folders and is next to bus/, car/.*If it is a class, move its pictures",
        ),
        ("nested_only_archive", "folder", r"photos\.zip is an archive: name it itself, as .*/folder/photos\.zip\.$"),
        (
            "nested_only_archive",
            "outer.zip",
            r"photos\.zip is an archive: unpack .*outer\.zip, and name photos\.zip\.$",
        ),
        ("names_in_files", "flat", r"If the names of the files tell the class \(cat, dog\), write a CSV table"),
        (
            "names_in_files",
            "withcsv",
            r"'images'.*labels\.csv may have the labels: name it itself, as .*withcsv/labels",
        ),
        ("singletons", "", r"once, onceagain has one usable picture each.*or pass --drop-small-classes"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_its_reason_and_a_next_step(make_case, name, inside, reason):
    with pytest.raises(DataError, match=reason) as caught:
        thawline.check(make_case(name) / inside)
    assert "\n" not in str(caught.value)


def test_links_are_followed_and_what_is_in_two_parts_is_told(make_case):
    root = make_case("links")
    for name in ("view", "folderlinks"):
        dataset, _ = thawline.check(root / name)
        assert (counts(dataset), parts(dataset)) == (dict.fromkeys(THREE, 10), {None: 30})
        assert rows(dataset) == ({"capuchin/gone.jpg": "a link that leads nowhere"} if name == "view" else {})
    dataset, report = thawline.check(root / "splitlinks")
    assert parts(dataset) == {"train": 30, "test": 30}
    assert len(report.leaks) == 30


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("backslash.zip", THREE),
        ("mac.zip", THREE),
        ("cp437.zip", ("Brot", "Käse", "Äpfel")),
        ("cp850.zip", ("Brot", "Käse", "Äpfel")),
        ("sjis.zip", ("猫犬", "花火", "表示")),
    ],
)
def test_zips_of_every_system_are_read_whole(make_case, name, classes):
    dataset, _ = thawline.check(make_case("zips") / name)
    assert (counts(dataset), rows(dataset)) == (dict.fromkeys(classes, 8), {})


@pytest.mark.parametrize("name", ["side.tar", "side.zip", "side_json.tar", "one_note.tar"])
def test_text_next_to_pictures_in_class_folders_is_no_label(make_case, name):
    dataset, _ = thawline.check(make_case("tar_sidecars") / name)
    assert counts(dataset) == dict.fromkeys(THREE, 8)
    assert len(rows(dataset)) == (1 if name == "one_note.tar" else 24)


def test_labels_with_leading_zeros_stay_apart_in_a_shard(make_case):
    dataset, _ = thawline.check(make_case("shard_zeros") / "train.tar")
    assert counts(dataset) == {"007": 8, "7": 8, "0042": 8}


@pytest.mark.parametrize(
    ("name", "table", "classes"),
    [
        ("stray_parquet", "embeddings.parquet", THREE),
        ("stray_parquet_data", "data/index.parquet", ("charts", "data", "photos")),
    ],
)
def test_class_folders_with_a_table_next_to_them_are_class_folders(make_case, name, table, classes):
    dataset, report = thawline.check(make_case(name))
    assert counts(dataset) == dict.fromkeys(classes, 10)
    assert list(rows(dataset)) == [table]
    assert [note for note in report.notes if note.startswith(f"{table}: next to class folders")]


def test_names_that_only_some_systems_can_bear_are_kept_to_the_letter(make_case):
    root = make_case("names")
    dataset, report = thawline.check(root)
    assert len(dataset.class_names) == 24
    assert {"new\nline", "a\tb", "=1+1", 'quo"te', " leading", "trailing ", "1", "01", "x" * 255} < set(
        dataset.class_names
    )
    assert json.loads(json.dumps(report.to_json()))["class_counts"] == dict.fromkeys(sorted(dataset.class_names), 4)
