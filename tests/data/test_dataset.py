"""What a checked data set knows of itself: labels, groups, keys that names and order do not change, a short text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thawline.data.check import check
from thawline.data.dataset import Dataset, Sample
from thawline.data.exported import export
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import Place
from thawline.data.split import make_split


def dataset_of(*rows: tuple[str, int, int], names: tuple[str, ...] = ("a", "b")) -> Dataset:
    """Return a data set of (digest, label, group) rows."""
    samples = tuple(Sample(f"{at}", label, digest, None, group, None) for at, (digest, label, group) in enumerate(rows))
    return Dataset(Place.of("photos"), names, samples, ())


def test_labels_and_groups_are_arrays_in_the_order_of_the_samples():
    dataset = dataset_of(("x", 1, 7), ("y", 0, 7), ("z", 1, 2))
    assert len(dataset) == 3
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.groups.tolist() == [7, 7, 2]
    assert dataset.labels.dtype == dataset.groups.dtype == np.int64


def test_the_key_of_the_pictures_knows_nothing_but_the_pictures():
    key = dataset_of(("x", 1, 7), ("y", 0, 7)).images_key
    assert dataset_of(("y", 1, 0), ("x", 1, 3), ("x", 0, 3)).images_key == key
    assert dataset_of(("x", 1, 7)).images_key != key


def test_the_labelled_key_knows_the_names_of_the_classes_too():
    dataset = dataset_of(("x", 1, 7), ("y", 0, 7))
    key = dataset.labelled_key
    assert dataset_of(("y", 0, 1), ("x", 1, 2)).labelled_key == key
    assert dataset_of(("x", 0, 7), ("y", 1, 7), names=("b", "a")).labelled_key == key  # other numbers, the same names
    assert dataset_of(("x", 0, 7), ("y", 1, 7)).labelled_key != key
    assert dataset_of(("x", 1, 7), ("y", 0, 7), ("y", 0, 7)).labelled_key != key
    assert replace(dataset, class_names=("a", "c")).labelled_key != key


def test_what_a_check_gives_is_shown_in_two_short_lines(make_folder, tmp_path):
    files = {f"{label}/{at}.png": at // 2 for label in "abc" for at in range(0, 60, 1)}
    root = make_folder({**files, "a/text": b"x"})
    dataset, report = check(root)
    assert repr(dataset) == f"<Dataset '{root}': 180 pictures in 3 classes>"
    assert repr(report) == "<CheckReport used: 180, skipped: 1, exact copies: 30, conflicts: 60>"
    assert len(repr((dataset, report))) < 250
    assert repr(list_pictures(root)) == f"<Listing '{root}': 181 files in 3 classes>"
    other, found = check(make_folder({f"{label}/{at}.png": at for at, label in enumerate("ab" * 10)}, name="other"))
    split = make_split(other, num_folds=5, num_repeats=2, seed=3)
    assert repr(split) == "<Split 5 folds × 2: 16 pictures, 4 for the test, seed 3>"
    out = tmp_path / "out"
    assert repr(export(other, found, out=out)) == f"<Export '{out}': 20 pictures in 2 classes>"
