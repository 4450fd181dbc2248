"""Groups of copies -> what is dealt out whole to folds and test, and in words what was parted or is too little.

The one idea: copies stay together as long as a class can be learnt and tried that way. Where it cannot, since it is
hardly more than one scene, its largest groups are dealt out picture by picture and a warning says so: a score that is
known to flatter is worth more than a refusal. What a person groups is never parted, nor are equal bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thawline.core.errors import first_few
from thawline.core.types import Ints
from thawline.data.copies import group_equal
from thawline.data.dataset import Dataset
from thawline.data.groups import join_groups

__all__ = ["Whole", "lies_in", "part_across_classes", "way_out", "whole_groups"]

SHOWN = 3


@dataclass(frozen=True)
class Whole:
    """What is dealt out whole.

    Attributes:
        groups: (N,) int64; pictures with equal ones go together.
        parted: (N,) pictures whose group of copies is dealt out one by one.
    """

    groups: Ints
    parted: npt.NDArray[np.bool_]

    def classes(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the classes of which copies were parted, sorted."""
        return tuple(dataset.class_names[label] for label in np.unique(dataset.labels[self.parted]))

    def warning(self, dataset: Dataset) -> str:
        """Return in words which copies were parted, and how scores and intervals are then to be read."""
        told = []
        for name in self.classes(dataset):
            samples = [sample for sample in dataset.samples if dataset.class_names[sample.label] == name]
            largest, count = Counter(sample.copies for sample in samples).most_common(1)[0]
            paths = first_few([sample.path for sample in samples if sample.copies == largest], SHOWN)
            told.append(f"{count:,} of {len(samples):,} pictures of {name} are copies of one another ({paths})")
        return (
            f"{first_few(told, SHOWN)}: too few different ones to fold and test with copies kept together. So these "
            "were dealt out one by one, and scores flatter: held-out pictures have copies among those learnt from. "
            "Every interval still counts a group of copies once and shows how little the set can tell: go by it, not "
            "by the score. Pictures of other scenes would help; --copies exact counts near copies singly."
        )


def whole_groups(dataset: Dataset, *, needed: int, rows: Ints) -> Whole:
    """Return the groups to be dealt out whole, such that every class has as many as it needs, or as it can have.

    Args:
        dataset: Checked pictures.
        needed: Groups of each class: two to be folded, one more to be tested.
        rows: Rows that count.
    """
    whole = Whole(dataset.groups, np.zeros(len(dataset), dtype=bool))
    if not len(short := _short(dataset.labels, whole.groups, rows, needed)):
        return whole
    labels, copies = dataset.labels, np.array([sample.copies for sample in dataset.samples], dtype=np.int64)
    smallest = _parted(dataset, np.ones(len(dataset), dtype=bool)).groups
    while True:
        can_have = {label: len(np.unique(smallest[rows[labels[rows] == label]])) for label in short}
        parted = whole.parted.copy()
        for label in short:
            own = rows[(labels[rows] == label) & ~whole.parted[rows]]
            num_groups = len(np.unique(whole.groups[rows[labels[rows] == label]]))
            if len(own) and num_groups < can_have[label]:
                numbers, counts = np.unique(copies[own], return_counts=True)
                parted |= copies == numbers[np.argmax(counts)]
        if (parted == whole.parted).all():
            return whole
        whole = _parted(dataset, parted)
        short = _short(labels, whole.groups, rows, needed)


def part_across_classes(dataset: Dataset, whole: Whole) -> Whole:
    """Return what is dealt out whole once copies under several labels are parted too."""
    labels_of: dict[int, set[int]] = {}
    for sample in dataset.samples:
        labels_of.setdefault(sample.copies, set()).add(sample.label)
    torn = np.array([len(labels_of[sample.copies]) > 1 for sample in dataset.samples])
    return _parted(dataset, whole.parted | torn)


def lies_in(dataset: Dataset, rows: Ints, *, label: int) -> str:
    """Return in words how few pictures or groups of pictures some rows have of a class."""
    name = dataset.class_names[label]
    samples = [dataset.samples[row] for row in rows if dataset.samples[row].label == label]
    num_groups = len({sample.group for sample in samples})
    if dataset.has_named_groups:
        named = sorted({sample.named_group for sample in samples} - {""})
        groups = "one group" if num_groups == 1 else f"{num_groups:,} groups"
        joined = ", joined by copies" if len(named) > num_groups else ""
        return f"all {len(samples):,} pictures of {name} are of {groups} ({first_few(named, SHOWN)}{joined})"
    digests = Counter(sample.sha256 for sample in samples)
    distinct = "one picture" if len(digests) == 1 else f"{len(digests):,} pictures"
    if len(digests) == len(samples):
        return f"{name} has {distinct} to train on"
    most = digests.most_common(1)[0][0]
    paths = " = ".join([sample.path for sample in samples if sample.sha256 == most][:SHOWN])
    return f"the {len(samples):,} files of {name} to train on are {distinct}, byte for byte ({paths})"


def way_out(dataset: Dataset) -> str:
    """Return what to do where a class has too few pictures, or groups of them."""
    if dataset.has_named_groups:
        return (
            "Add pictures of it from other groups, name other groups with --group-column or --group-from, go without "
            "any (no --group-from, --group-column none), or leave the class out (--drop-small-classes)."
        )
    counted = {sample.copies for sample in dataset.samples}
    single = ", or count every file as a picture of its own (--copies ignore)" if len(counted) < len(dataset) else ""
    return f"Add pictures of it (five or more), remove the class, or pass --drop-small-classes{single}."


def _short(labels: Ints, groups: Ints, rows: Ints, needed: int) -> Ints:
    """Return the classes that have fewer groups than they need."""
    names, counts = np.unique(
        np.unique(np.stack([labels[rows], groups[rows]], axis=1), axis=0)[:, 0], return_counts=True
    )
    short: Ints = names[counts < needed]
    return short


def _parted(dataset: Dataset, parted: npt.NDArray[np.bool_]) -> Whole:
    """Return the groups of a data set with the copies of some rows parted, down to equal bytes."""
    copies = [str(sample.copies) for sample in dataset.samples]
    keys = [
        sample.sha256 if alone else number
        for sample, number, alone in zip(dataset.samples, copies, parted, strict=True)
    ]
    named = [sample.named_group for sample in dataset.samples]
    return Whole(join_groups(group_equal(keys), named), parted)
