"""Splits: the person's own parts are kept, ours are stratified, and groups stay whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import DataError, UsageError
from thawline.data.dataset import Dataset, Sample
from thawline.data.split import leaked, make_split, too_small


class Nowhere:
    def read(self) -> bytes:
        raise AssertionError("a split reads no picture")


def data_set(labels, groups=None, parts=None, *, named=False) -> Dataset:
    groups = range(len(labels)) if groups is None else groups
    parts = [None] * len(labels) if parts is None else parts
    samples = tuple(
        Sample(f"{index}", int(label), f"{index:064x}", part, int(group), Nowhere(), f"p{group}" if named else "")
        for index, (label, group, part) in enumerate(zip(labels, groups, parts, strict=True))
    )
    return Dataset(None, tuple(f"class {name}" for name in range(max(labels) + 1)), samples, ())


def test_without_parts_a_stratified_fifth_is_held_out():
    labels = [0] * 50 + [1] * 25 + [2] * 25
    split = make_split(data_set(labels))
    assert split.rule == "5 folds × 2"
    assert np.bincount(np.array(labels)[split.test]).tolist() == [10, 5, 5]
    assert len(split.folds) == 10
    for train, validation in split.folds:
        assert np.bincount(np.array(labels)[validation]).tolist() == [8, 4, 4]
        assert np.array_equal(np.union1d(train, validation), split.pool)
    assert not leaked(data_set(labels), split).any()


def test_arrays_are_sorted_int64_and_read_only():
    split = make_split(data_set([0, 1] * 20))
    for array in (split.test, split.pool, *(part for fold in split.folds for part in fold)):
        assert array.dtype == np.int64
        assert (np.diff(array) > 0).all()
        assert not array.flags.writeable


def test_repeats_and_seeds_differ_and_repeat_themselves():
    data = data_set([0, 1] * 30)
    first, again, other = make_split(data), make_split(data), make_split(data, seed=1)
    flat = [[fold[1].tolist() for fold in split.folds] for split in (first, again, other)]
    assert flat[0] == flat[1]
    assert flat[0] != flat[2]
    assert flat[0][:5] != flat[0][5:]
    assert first.test.tolist() != other.test.tolist()


def test_the_persons_test_is_the_test_and_its_labels_do_not_matter():
    rng = np.random.default_rng(0)
    parts = ["train"] * 40 + ["test"] * 10
    labels = rng.integers(0, 2, 50)
    scrambled = labels.copy()
    scrambled[40:] = rng.permutation(1 - labels[40:])
    first, second = make_split(data_set(labels, parts=parts)), make_split(data_set(scrambled, parts=parts))
    assert first.test.tolist() == list(range(40, 50))
    assert [fold[1].tolist() for fold in first.folds] == [fold[1].tolist() for fold in second.folds]


def test_a_validation_part_is_the_one_fold():
    parts = ["train"] * 6 + ["validation"] * 4 + ["test"] * 2
    split = make_split(data_set([0, 1] * 6, parts=parts))
    assert [part.tolist() for part in split.folds[0]] == [list(range(6)), list(range(6, 10))]
    assert (split.num_folds, split.num_repeats, split.rule) == (1, 1, "the validation folder")
    assert split.test.tolist() == [10, 11]
    assert split.pool.tolist() == list(range(10))


def test_leaked_rows_are_those_with_a_copy_outside_the_test():
    parts = ["train"] * 8 + ["test"] * 4
    data = data_set([0, 1] * 6, groups=[0, 1, 2, 3, 4, 5, 6, 7, 2, 8, 8, 9], parts=parts)
    assert leaked(data, make_split(data, num_folds=2)).tolist() == [True, False, False, False]


def test_a_small_class_lowers_the_number_of_folds_and_the_rule_says_so():
    parts = ["train"] * 43 + ["test"] * 2
    split = make_split(data_set([0] * 40 + [1] * 3 + [0, 1], parts=parts))
    assert split.num_folds == 3
    assert split.rule == "3 folds × 2 (fewer than 5: class 1 has 3 distinct pictures)"
    for train, validation in split.folds:
        assert (np.count_nonzero((train >= 40) & (train < 43)), np.count_nonzero(validation >= 40)) == (2, 1)


def test_a_class_that_is_one_group_of_near_copies_is_dealt_out_one_by_one_with_a_warning():
    labels = [0] * 20 + [1] * 10
    data = data_set(labels, groups=[*range(20), *[20] * 10])
    split = make_split(data)
    assert split.rule == "5 folds × 2, copies parted in class 1"
    assert split.warning.startswith("10 of 10 pictures of class 1 are copies of one another (20, 21, 22, and 7 more):")
    assert np.bincount(np.array(labels)[split.test]).tolist() == [4, 2]
    for train, validation in split.folds:
        assert {0, 1} == set(data.labels[train]) == set(data.labels[validation])
    assert leaked(data, split).tolist() == [False] * 4 + [True] * 2  # copies are still known for what they are


def test_equal_bytes_are_never_parted_and_the_refusal_says_what_is_the_matter():
    samples = data_set([0] * 20 + [1] * 6, groups=[*range(20), *[20] * 6]).samples
    equal = tuple(replace(sample, sha256="same") if sample.label else sample for sample in samples)
    data = Dataset(None, ("good", "bad"), equal, ())
    expected = (
        "split: the 6 files of bad to train on are one picture, byte for byte (20 = 21 = 22); folds need two or more "
        "of each class. Add pictures of it (five or more), remove the class, or pass --drop-small-classes, or count "
        "every file as a picture of its own (--copies ignore)."
    )
    with pytest.raises(DataError) as caught:
        make_split(data)
    assert str(caught.value) == expected


def test_copies_that_tie_all_classes_together_are_parted():
    """Each group holds both classes, so that no fold of whole groups could train both."""
    labels = [0, 1] * 12
    data = data_set(labels, groups=[0, 0] * 11 + [1, 1])
    split = make_split(data)
    assert split.warning
    assert np.bincount(data.labels[split.test]).min() >= 1
    for train, _ in split.folds:
        assert set(data.labels[train]) == {0, 1}


def test_few_pictures_without_copies_are_refused_without_a_word_of_copies():
    with pytest.raises(DataError, match="class 0 has 2 pictures to train on; three or more are needed") as caught:
        make_split(data_set([0, 0, 1, 1]))
    assert "cop" not in str(caught.value)


def test_classes_with_test_pictures_only_are_refused_by_name():
    parts = ["train"] * 20 + ["test"] * 8
    data = data_set([0, 1] * 10 + [0, 1, 2, 2, 2, 3, 0, 1], parts=parts)
    expected = (
        r"^split: pictures of class 2 \(all 3\), class 3 \(all 1\) are for test or validation only; a class needs some "
        r"to train on\. Put some of them under train, or remove the class\.$"
    )
    for options in ({}, {"hold_out": False}):
        with pytest.raises(DataError, match=expected):
            make_split(data, **options)


@pytest.mark.parametrize("elsewhere", [["validation"], ["test"], ["validation", "test"]])
def test_a_class_without_training_pictures_beside_a_validation_part_is_refused(elsewhere):
    parts = ["train"] * 6 + ["validation"] * 4 + ["test"] * 2
    labels = [0, 1] * 6
    assert make_split(data_set(labels, parts=parts)).rule == "the validation folder"
    data = data_set([*labels, *[2] * len(elsewhere)], parts=[*parts, *elsewhere])
    with pytest.raises(DataError, match=rf"^split: pictures of class 2 \(all {len(elsewhere)}\) are for test or"):
        make_split(data)


def test_many_classes_without_training_pictures_are_counted():
    labels = [0, 1] * 5 + list(range(14))
    with pytest.raises(DataError, match=r"class 11 \(all 1\), and 2 more are for test"):
        make_split(data_set(labels, parts=["train"] * 10 + ["test"] * 14))


def test_a_class_of_two_pictures_keeps_both_for_learning():
    split = make_split(data_set([0] * 40 + [1] * 2))
    assert {40, 41} <= set(split.pool.tolist())
    assert split.num_folds == 2


def test_too_few_for_a_test():
    with pytest.raises(DataError, match="too few to hold a fifth out"):
        make_split(data_set([0, 0, 1, 1]))


def test_classes_tied_together_by_conflicting_copies_are_refused():
    data = data_set([0, 1, 0, 1] + [2] * 20, groups=[0, 0, 1, 1, *range(2, 22)], parts=["train"] * 22 + ["test"] * 2)
    assert make_split(data, num_folds=2).num_folds == 2
    tied = data_set([0, 0, 1, 1, 0] * 3, groups=[0, 1, 0, 1, 1] * 3, parts=["train"] * 14 + ["test"])
    for train, _ in make_split(tied).folds:
        assert len(set(tied.labels[train])) == 2


def test_wrong_numbers_are_usage_errors():
    for options in ({"num_folds": 1}, {"num_repeats": 0}):
        with pytest.raises(UsageError, match="at least 2 folds and 1 repeat"):
            make_split(data_set([0, 1] * 10), **options)


def test_fifty_thousand_pictures_are_split_evenly():
    rng = np.random.default_rng(0)
    data = data_set(rng.integers(0, 10, 50_000).tolist(), groups=rng.integers(0, 500_000, 50_000).tolist())
    split = make_split(data)
    sizes = [len(validation) for _, validation in split.folds]
    assert max(sizes) - min(sizes) <= 50


def test_few_large_groups_still_leave_a_test_and_folds():
    """Three patients with every class: one is the test, two are the folds, whatever the seed."""
    labels, groups = [0, 1] * 15, [row // 10 for row in range(30)]
    for seed in range(12):
        split = make_split(data_set(labels, groups, named=True), seed=seed)
        assert len(split.test) == 10
        assert split.rule == "2 folds × 2 (fewer than 5: class 0 has 2 groups)"
        assert not leaked(data_set(labels, groups), split).any()


@pytest.mark.parametrize(
    ("labels", "groups", "parts", "said"),
    [
        ([0] * 9 + [1] * 9, [0, 1, 2] * 3 + [3] * 9, None, "all 9 pictures of class 1 are of one group (p3)"),
        (
            [0] * 9 + [1] * 9,
            [0, 1, 2] * 3 + [3] * 9,
            ["train"] * 8 + ["test"] * 2 + ["train"] * 8,
            "of one group (p3); fo",
        ),
        ([0] * 9 + [1] * 9, [0, 1] * 9, None, "all 9 pictures of class 0 are of 2 groups (p0, p1)"),
    ],
)
def test_a_class_in_too_few_groups_is_refused_with_the_reason_and_ways_out(labels, groups, parts, said):
    with pytest.raises(DataError) as refused:
        make_split(data_set(labels, groups, parts, named=True))
    for words in (said, "--group-column none", "--drop-small-classes"):
        assert words in str(refused.value)


def test_classes_that_cannot_be_folded_and_tested_are_too_small():
    names, groups = ["a"] * 4 + ["b"] * 3 + ["c"] * 2, np.array([0, 1, 2, 3, 4, 4, 5, 6, 7])
    assert too_small(names, groups, parts=[""] * 9) == {"b": 2, "c": 2}
    parts = ["train"] * 3 + ["test"] + ["train"] * 3 + ["train", "test"]
    assert too_small(names, groups, parts=parts) == {"c": 1}
    assert too_small(names, groups, parts=["validation" if part == "test" else part for part in parts]) == {}
