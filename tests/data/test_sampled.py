"""A sample of a split: groups whole, every class in every fold, folds as they were."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.sampled import LEAST_A_CLASS, sampled_split
from thawline.data.split import make_split


def data_set(labels, groups=None, parts=None) -> Dataset:
    """Return pictures that are never read."""
    groups, parts = groups or range(len(labels)), parts or [None] * len(labels)
    samples = tuple(
        Sample(f"{row}", label, f"{row:064x}", part, group, None)
        for row, (label, group, part) in enumerate(zip(labels, groups, parts, strict=True))
    )
    return Dataset(None, tuple(f"class {label}" for label in range(max(labels) + 1)), samples, ())


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 6000, p=[0.6, 0.3, 0.09, 0.01])
    groups = np.arange(6000)
    groups[::5] = groups[1::5]  # a fifth of the pictures has a copy
    labels[::5] = labels[1::5]
    data = data_set(labels.tolist(), groups.tolist())
    return data, make_split(data, num_folds=3, num_repeats=2)


def test_small_sets_are_ranked_whole(many):
    data, split = many
    assert sampled_split(data, split, most=len(split.pool)) is split


def test_folds_and_test_stay_what_they_were(many):
    data, split = many
    sample = sampled_split(data, split, most=1000)
    assert 1000 <= len(sample.pool) <= 1100
    assert np.array_equal(sample.test, split.test)
    assert len(sample.folds) == len(split.folds)
    for (train, held_out), (all_train, all_held_out) in zip(sample.folds, split.folds, strict=True):
        assert np.isin(train, all_train).all()
        assert np.isin(held_out, all_held_out).all()
        assert np.array_equal(np.union1d(train, held_out), sample.pool)
        assert len(np.unique(data.labels[train])) == len(np.unique(data.labels[held_out])) == 4
    for part in (sample.pool, *(part for fold in sample.folds for part in fold)):
        assert part.dtype == np.int64
        assert not part.flags.writeable
    assert sample.rule == f"3 folds × 2, on a sample of {len(sample.pool):,} of {len(split.pool):,} pictures"


def test_groups_are_taken_whole_and_classes_by_their_share_or_by_more(many):
    data, split = many
    sample = sampled_split(data, split, most=1000)
    inside = np.isin(split.pool, sample.pool)
    groups = data.groups[split.pool]
    assert not np.isin(groups[inside], groups[~inside]).any()
    counts, whole = np.bincount(data.labels[sample.pool]), np.bincount(data.labels[split.pool])
    np.testing.assert_allclose(counts[:3], whole[:3] * 1000 / len(split.pool), rtol=0.08)
    assert counts[3] == min(whole[3], LEAST_A_CLASS) or counts[3] >= LEAST_A_CLASS


def test_it_is_drawn_by_the_seed_of_the_split(many):
    data, split = many
    first, again = sampled_split(data, split, most=500), sampled_split(data, split, most=500)
    assert np.array_equal(first.pool, again.pool)
    other = sampled_split(data, make_split(data, num_folds=3, num_repeats=2, seed=1), most=500)
    assert not np.array_equal(first.pool, other.pool)


def test_large_groups_and_many_classes_leave_every_fold_with_every_class():
    labels = np.arange(3000) % 50
    groups = np.arange(3000) // 500 * 50 + labels  # six groups of ten pictures of each class
    data = data_set(labels.tolist(), groups.tolist())
    split = make_split(data, num_folds=3, num_repeats=2)
    sample = sampled_split(data, split, most=100)
    for train, held_out in sample.folds:
        assert len(np.unique(data.labels[train])) == len(np.unique(labels))
        if sample.num_repeats == 1:
            assert len(np.unique(data.labels[held_out])) == 50
    assert sample.num_repeats * 3 == len(sample.folds)


def test_the_validation_folder_is_sampled_as_training_is(many):
    labels = [0, 1] * 500
    data = data_set(labels, parts=["train"] * 600 + ["validation"] * 300 + ["test"] * 100)
    split = make_split(data)
    ((train, held_out),) = sampled_split(data, split, most=90).folds
    assert 90 <= len(train) + len(held_out) <= 124
    assert 2 * len(held_out) == pytest.approx(len(train), abs=4)
