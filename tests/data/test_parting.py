"""What is dealt out whole: copies, unless a class is hardly more than one group of them."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.parting import part_across_classes, whole_groups


def data_set(labels, copies, *, digests=None, named=None) -> Dataset:
    """Return samples with groups of copies, and perhaps equal bytes and groups that a person named."""
    digests = digests or [f"{row:064x}" for row in range(len(labels))]
    named = named or [""] * len(labels)
    samples = tuple(
        Sample(f"{row}.jpg", label, digests[row], None, copies[row], None, named[row], copies[row])
        for row, label in enumerate(labels)
    )
    return Dataset(None, ("good", "bad"), samples, ())


def sizes(whole, labels, label):
    return sorted(np.unique(whole.groups[np.array(labels) == label], return_counts=True)[1].tolist(), reverse=True)


def test_nothing_is_parted_where_every_class_has_enough_groups():
    data = data_set([0] * 6 + [1] * 4, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6])
    whole = whole_groups(data, needed=3, rows=np.arange(10))
    assert whole.groups is data.groups
    assert not whole.parted.any()


def test_the_largest_group_is_parted_first_and_no_more_than_needed():
    labels = [0] * 9 + [1] * 4
    data = data_set(labels, [0] * 5 + [1] * 4 + [2, 3, 4, 5])
    whole = whole_groups(data, needed=3, rows=np.arange(13))
    assert sizes(whole, labels, 0) == [4, 1, 1, 1, 1, 1]
    assert np.flatnonzero(whole.parted).tolist() == [0, 1, 2, 3, 4]
    assert whole.classes(data) == ("good",)


def test_a_group_of_two_classes_is_parted_in_both():
    labels = [0] * 4 + [1] * 4
    whole = whole_groups(data_set(labels, [0] * 8), needed=3, rows=np.arange(8))
    assert whole.parted.all()
    assert len(set(whole.groups.tolist())) == 8


def test_equal_bytes_stay_together():
    labels = [0] * 6 + [1] * 3
    digests = ["a", "a", "a", "b", "b", "c", "x", "y", "z"]
    whole = whole_groups(data_set(labels, [0] * 6 + [1, 2, 3], digests=digests), needed=3, rows=np.arange(9))
    assert sizes(whole, labels, 0) == [3, 2, 1]
    only = data_set(labels, [0] * 6 + [1, 2, 3], digests=["a"] * 6 + ["x", "y", "z"])
    assert not whole_groups(only, needed=3, rows=np.arange(9)).parted.any()


def test_what_a_person_groups_stays_together():
    labels = [0] * 6 + [1] * 3
    data = data_set(labels, [0] * 6 + [1, 2, 3], named=["cow"] * 4 + [""] * 5)
    whole = whole_groups(data, needed=3, rows=np.arange(9))
    assert sizes(whole, labels, 0) == [4, 1, 1]


def test_a_class_that_gains_nothing_by_it_is_not_parted():
    data = data_set([0] * 4 + [1] * 3, [0] * 4 + [1, 2, 3], named=["cow"] * 4 + [""] * 3)
    assert not whole_groups(data, needed=3, rows=np.arange(7)).parted.any()


def test_only_the_rows_that_count_are_counted():
    data = data_set([0] * 6 + [1] * 3, [0, 0, 0, 0, 1, 2, 3, 4, 5])
    assert not whole_groups(data, needed=2, rows=np.arange(9)).parted.any()
    rows = np.array([0, 1, 2, 3, 6, 7, 8])
    assert np.flatnonzero(whole_groups(data, needed=2, rows=rows).parted).tolist() == [0, 1, 2, 3]


def test_copies_under_several_labels_can_be_parted_alone():
    data = data_set([0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 2, 2])
    whole = whole_groups(data, needed=2, rows=np.arange(6))
    assert not whole.parted.any()
    assert np.flatnonzero(part_across_classes(data, whole).parted).tolist() == [4, 5]


@pytest.mark.parametrize(
    "word", ["4 of 6 pictures of good", "(0.jpg, 1.jpg, 2.jpg, and 1 more)", "interval", "--copies exact"]
)
def test_the_warning_names_the_copies_and_says_how_to_read_the_interval(word):
    data = data_set([0] * 6 + [1] * 3, [0] * 4 + [1, 1, 2, 3, 4])
    assert word in whole_groups(data, needed=3, rows=np.arange(9)).warning(data)
