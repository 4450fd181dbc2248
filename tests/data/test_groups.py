"""Groups by a person's word: taken from names, joined with copies, never parted, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.errors import DataError, UsageError
from thawline.core.options import CheckOptions, make_options
from thawline.data.check import check
from thawline.data.groups import group_from_names, join_groups
from thawline.data.sources.listing import Candidate, FileSource, Listing
from thawline.data.sources.places import Place
from thawline.data.split import make_split


def listing(*paths: str) -> Listing:
    candidates = tuple(Candidate(path, path.partition("/")[0], None, FileSource(Path(path))) for path in paths)
    return Listing(Place.of("photos"), ("a", "b"), candidates)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"p\d+", ["p1", "p2", "p1"]),
        (r"/(p\d+)_(\d)", ["p1", "p2", "p1"]),
        (r"(?P<day>\d+)d_(?P<group>p\d+)|/(?P<other>p\d)", ["", "", ""]),
        (r"/(?P<group>p\d+)_(\d)", ["p1", "p2", "p1"]),
        (r"/p(?P<number>\d+)", ["1", "2", "1"]),
        (r"x(\d)|_(\d)", ["1", "1", "2"]),
    ],
)
def test_the_group_is_what_the_pattern_takes_from_the_path(pattern, groups):
    listed = listing("a/p1_1.png", "a/p2_1.png", "b/p1_2.png")
    if not any(groups):
        with pytest.raises(DataError, match="matches no picture's path"):
            group_from_names(listed, CheckOptions(group_from=pattern))
        return
    found = group_from_names(listed, CheckOptions(group_from=pattern))
    assert [item.group for item in found.candidates] == groups
    assert found.grouped_by == f"--group-from {pattern}"
    assert found.notes == ()


def test_pictures_that_do_not_match_are_their_own_group_and_counted():
    found = group_from_names(listing("a/p1.png", "a/x.png", "b/y.png"), CheckOptions(group_from="p[0-9]"))
    assert [item.group for item in found.candidates] == ["p1", "", ""]
    assert found.notes == ("--group-from: 2 pictures do not match, and each is a group of its own: a/x.png, b/y.png",)


@pytest.mark.parametrize("changes", [{"group_from": "("}, {"group_from": "a", "group_column": "patient"}])
def test_a_pattern_that_is_none_and_two_sources_are_wrong_usage(changes):
    with pytest.raises(UsageError, match="--group-from") as refused:
        make_options(**changes)
    assert "\n" not in str(refused.value)


def test_groups_and_copies_join_and_are_numbered_by_their_first_picture():
    copies = np.array([0, 1, 2, 2, 3, 4, 5])
    assert join_groups(copies, [""] * 7).tolist() == copies.tolist()
    assert join_groups(copies, ["", "x", "x", "", "y", "", "y"]).tolist() == [0, 1, 1, 1, 2, 3, 2]
    assert join_groups(copies, ["y", "x", "", "y", "", "x", "z"]).tolist() == [0, 1, 0, 0, 2, 1, 3]


@pytest.fixture
def clinic(make_folder) -> Path:
    """Eight patients with three pictures of each of two classes; the last two share a photo."""
    files = {
        f"{name}/p{patient}_{number}.png": 100 * index + 10 * patient + number
        for index, name in enumerate(("ill", "well"))
        for patient in range(8)
        for number in range(3)
    }
    return make_folder({**files, "ill/p7_9.png": 60})


def test_no_fold_and_no_test_parts_a_group(clinic):
    dataset, report = check(clinic, CheckOptions(group_from=r"p\d"))
    names = np.array([sample.named_group for sample in dataset.samples])
    split = make_split(dataset, num_folds=3)
    assert len(split.test) > 0
    assert not set(names[split.test]) & set(names[split.pool])
    for train, validation in split.folds:
        assert not set(names[train]) & set(names[validation])
    assert len({sample.group for sample in dataset.samples if sample.named_group in ("p6", "p7")}) == 1
    assert report.exact_copies == (("ill/p6_0.png", "ill/p7_9.png"),)
    assert report.near_copies == report.conflicts == report.leaks == ()
    assert report.to_json()["groups"] == {
        "by": r"--group-from p\d", "groups": 8, "pictures": 49, "alone": 0, "counted": 7,
    }  # fmt: skip


def test_a_persons_own_split_that_parts_a_group_is_a_leak(make_folder):
    files = {f"train/{name}/p{n}.png": 10 * k + n for k, name in enumerate("ab") for n in range(4)}
    files |= {"test/a/p1.png": 50, "test/b/p2.png": 51, "test/a/p3.png": 3, "test/b/p9.png": 52}
    dataset, report = check(make_folder(files), CheckOptions(group_from=r"p\d"))
    assert report.leaks == (("test/a/p3.png", "train/a/p3.png"),)
    assert report.group_leaks == (("test/a/p1.png", "train/a/p1.png", "p1"), ("test/b/p2.png", "train/a/p2.png", "p2"))
    assert report.to_json()["leaks"] == [
        {"path": "test/a/p3.png", "of": "train/a/p3.png"},
        {"path": "test/a/p1.png", "of": "train/a/p1.png", "group": "p1"},
        {"path": "test/b/p2.png", "of": "train/a/p2.png", "group": "p2"},
    ]
    assert len(dataset) == 12


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "x", "y", "z", "w"])), min_size=1, max_size=20))
def test_joined_groups_are_the_finest_that_part_neither(rows):
    copies = np.unique([number for number, _ in rows], return_inverse=True)[1]
    named = [name for _, name in rows]
    joined = join_groups(copies, named).tolist()
    parts = [{row} for row in range(len(rows))]  # united one by one, as slowly as one likes
    for one in range(len(rows)):
        for other in range(one):
            if copies[one] == copies[other] or (named[one] and named[one] == named[other]):
                both = parts[one] | parts[other]
                for row in both:
                    parts[row] = both
    assert [joined[one] == joined[other] for one in range(len(rows)) for other in range(len(rows))] == [
        other in parts[one] for one in range(len(rows)) for other in range(len(rows))
    ]
    first = [joined.index(group) for group in sorted(set(joined))]
    assert first == sorted(first)
    assert sorted(set(joined)) == list(range(len(set(joined))))
