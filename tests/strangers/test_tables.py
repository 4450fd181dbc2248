"""Tables as people and programs write them are read, or refused with the option that helps."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

import thawline
from thawline.core.errors import DataError
from thawline.core.options import CheckOptions
from thawline.data.sources.pictures import list_pictures

LABELS = {"Äpfel": 10, "Brot": 10, "Käse, jung": 10}


@pytest.fixture(scope="module")
def csvs(make_case):
    return make_case("csvs")


def readable(place, **options):
    """Return the pictures that can be read, by class; whether they decode is another matter."""
    listing = list_pictures(place, **options)
    for item in listing.candidates:
        item.source.read()
    return Counter(item.label for item in listing.candidates)


ODD = {"zeros", "nan", "split_words", "split_TEST", "split_testing", "split_flag"}


def test_every_dialect_of_csv_gives_the_same_pictures(csvs):
    plain = [file for file in sorted(csvs.iterdir()) if file.is_file() and file.stem not in ODD]
    assert len(plain) >= 30
    for file in plain:
        assert readable(file) == LABELS, file.name
        assert thawline.check(file)[1].used == 30, file.name


def test_leading_zeros_are_kept_and_nothing_is_no_label(csvs):
    assert readable(csvs / "zeros.csv") == {"001": 10, "01": 10, "1": 10}
    _, report = thawline.check(csvs / "nan.csv")
    assert report.used == 18
    assert Counter(reason for _, reason in report.skipped) == {
        "no label": 4,
        "no label (nan)": 4,
        "no label (NaN)": 4,
    }


@pytest.mark.parametrize(
    ("name", "held_out"), [("split_words", 7), ("split_TEST", 7), ("split_testing", 7), ("split_flag", 8)]
)
def test_parts_in_a_column(csvs, name, held_out):
    dataset, _ = thawline.check(csvs / f"{name}.csv")
    assert Counter(sample.split for sample in dataset.samples) == {"train": 30 - held_out, "test": held_out}


def test_what_was_assumed_is_told_and_what_was_not_is_not(csvs):
    notes = {file.stem: " ".join(list_pictures(file).notes) for file in csvs.glob("*.csv")}
    assert notes["plain"] == notes["utf16"] == notes["semicolon"] == notes["absolute"] == ""
    assert "cp1252" in notes["excel_de"]
    assert "no line of names" in notes["noheader"]
    assert notes["windows_abs"].startswith("paths start in C:/")
    assert "(30), which is not here" in notes["windows_abs"]
    assert "by case, ending or accents" in notes["case"]
    rows = thawline.check(csvs / "dup_rows.csv")[1].skipped
    assert len(rows) == 30
    assert all("named again" in reason for _, reason in rows)


def test_labels_of_linux_and_names_of_a_mac_meet(make_case):
    dataset, _ = thawline.check(make_case("nfd_csv") / "list.csv")
    composed = {unicodedata.normalize("NFC", name) for name in ("Käse", "Brot", "Äpfel")}
    assert set(dataset.class_names) == composed
    assert len(dataset.samples) == 24


def test_several_labels_a_picture_are_refused_or_told_with_the_way_out(make_case):
    with pytest.raises(DataError, match=r"column label holds lists, several labels a picture.*--label-column"):
        thawline.check(make_case("multilabel_parquet") / "multi.parquet")
    folder = make_case("multilabel_csv")
    _, report = thawline.check(folder / "pipes.csv")
    assert any("looks like several labels a picture" in note and "--label-column" in note for note in report.notes)
    with pytest.raises(
        DataError, match=r"a column of 0 and 1 for each class \(cat, dog, bird\).*10 of 30 rows.*`label`"
    ):
        thawline.check(folder / "onehot.csv")
    _, report = thawline.check(folder / "repeated.csv")
    assert any("several labels for one picture" in note and "and 12 more" in note for note in report.notes)


def test_every_string_type_of_parquet(make_case):
    folder = make_case("parquet_string_types")
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 7
    for file in files:
        assert readable(file) == {"capuchin": 10, "howler": 10, "uakari": 10}, file.name


def test_every_kind_of_label_and_picture_column_of_parquet(make_case):
    folder = make_case("parquet_labels")
    classes, numbers = {"c0": 10, "c1": 10, "c2": 10}, {"0": 10, "1": 10, "2": 10}
    right = {
        "float_nan": {"0": 9, "1": 9, "2": 10},
        "binary_label": classes,
        "label_first_binary": classes,
        "bool": {"False": 10, "True": 20},
        "int": numbers,
        "text_nan": {"c0": 9, "c1": 9, "c2": 10},
        "mask_first": classes,
        "mask_pictures_first": classes,
        "fine_label": numbers,
        "labels": numbers,
        "class": classes,
    }
    assert {file.stem for file in folder.glob("*.parquet")} == {*right, "struct_label"}
    for name, counts in right.items():
        dataset, _ = thawline.check(folder / f"{name}.parquet")
        assert Counter(dataset.class_names[sample.label] for sample in dataset.samples) == counts, name
    with pytest.raises(DataError, match=r"column label holds several values a picture \(id, name\).*--label-column"):
        thawline.check(folder / "struct_label.parquet")
    told = " ".join(thawline.check(folder / "mask_pictures_first.parquet")[1].notes)
    assert "those of the column photo; --path-column takes mask instead" in told
    masks, _ = thawline.check(folder / "mask_pictures_first.parquet", CheckOptions(path_column="mask"))
    photos, _ = thawline.check(folder / "mask_pictures_first.parquet")
    assert masks.images_key != photos.images_key
    coarse, _ = thawline.check(folder / "fine_label.parquet", CheckOptions(label_column="coarse_label"))
    assert coarse.class_names == ("0", "1")


@pytest.mark.parametrize("name", ["fine_label", "labels", "mask_pictures_first", "binary_label", "label_first_binary"])
def test_hf_takes_the_columns_that_a_local_table_takes(make_case, tmp_path, monkeypatch, name):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    file = make_case("parquet_labels") / f"{name}.parquet"
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.parquet").write_bytes(file.read_bytes())
    local, _ = thawline.check(file)
    through, _ = thawline.check(f"hf:{tmp_path}/set")
    assert (through.class_names, through.images_key) == (local.class_names, local.images_key)


def test_a_list_whose_pictures_are_in_another_folder_is_told_the_option(make_case, tmp_path):
    names = [file.stem for file in sorted((make_case("base") / "capuchin").glob("*.jpg"))]
    (tmp_path / "all").mkdir()
    for number, file in enumerate(sorted(make_case("base").rglob("*.jpg"))):
        (tmp_path / "all" / f"{number:02}.jpg").write_bytes(file.read_bytes())
    rows = [f"{number:02},{'abc'[number // 10]}" for number in range(3 * len(names))]
    (tmp_path / "train.csv").write_text("\n".join(["id,breed", *rows]))
    with pytest.raises(DataError, match=rf"00 \(missing\).*pass --picture-folder {tmp_path}/all"):
        thawline.check(tmp_path / "train.csv")
    _, report = thawline.check(tmp_path / "train.csv", CheckOptions(picture_folder=tmp_path / "all"))
    assert report.class_counts == {"a": 10, "b": 10, "c": 10}
