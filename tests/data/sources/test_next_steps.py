"""Whoever has the labels elsewhere is told where they seem to be."""

from __future__ import annotations

import pytest

from thawline.data.sources.next_steps import step_for_labels, tables_among


@pytest.mark.parametrize(
    ("files", "step"),
    [
        (["1.jpg", "2.jpg"], "Put the pictures of each class into a folder named after the class, as in"),
        (["photos.zip", "readme.txt"], "photos.zip is an archive: name it itself, as {root}/photos.zip."),
        (["deep/a.tar.gz"], "deep/a.tar.gz is an archive: name it itself, as {root}/deep/a.tar.gz."),
        (
            ["1.jpg", "labels.csv", "x.zip"],
            "labels.csv may have the labels: name it itself, as {root}/labels.csv. Or put",
        ),
        (
            ["train/1.jpg", "train/metadata.csv"],
            "train/metadata.csv has the labels, as `datasets` writes them: name the folder as hf:{root}.",
        ),
        (["cat.1.jpg", "dog.1.jpg"], "If the names of the files tell the class (cat, dog), write a CSV table"),
        (
            ["Abyssinian_1.jpg", "yorkshire_terrier_20.jpg"],
            "If the names of the files tell the class (Abyssinian, yorkshire_terrier)",
        ),
        (["img1.jpg", "img2.jpg"], "Put the pictures"),
    ],
)
def test_where_the_labels_seem_to_be(tmp_path, files, step):
    found = step_for_labels(tmp_path, [tuple(file.split("/")) for file in files])
    assert found.startswith(step.format(root=tmp_path))


def test_an_archive_inside_an_archive_is_to_be_unpacked(tmp_path):
    outer = tmp_path / "outer.zip"
    assert step_for_labels(outer, [("in.zip",)]) == f"in.zip is an archive: unpack {outer}, and name in.zip."
    assert step_for_labels(outer, [("labels.csv",), ("1.jpg",)]).startswith("Put the pictures")


def test_tables_directly_below_the_root():
    paths = [("b.csv",), ("A.TSV",), ("c.parquet",), ("deep", "d.csv"), ("e.txt",)]
    assert tables_among(paths) == ["A.TSV", "b.csv", "c.parquet"]
