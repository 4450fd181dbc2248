"""Whatever the labels and copies: folds and test are disjoint, exhaustive and group-safe."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from thawline.core.errors import DataError
from thawline.data.dataset import Dataset, Sample
from thawline.data.split import leaked, make_split


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    num_classes = draw(st.integers(2, 4))
    labels = draw(st.lists(st.integers(0, num_classes - 1), min_size=6, max_size=60))
    groups = draw(st.lists(st.integers(0, 80), min_size=len(labels), max_size=len(labels)))
    tested = draw(st.sampled_from([None, "test"]))
    samples = tuple(
        Sample(str(row), label, "", (tested if row % 4 == 0 else "train") if tested else None, group, None)
        for row, (label, group) in enumerate(zip(labels, groups, strict=True))
    )
    return Dataset(None, tuple("abcd"[:num_classes]), samples, ())


@settings(max_examples=150)
@given(data_sets(), st.integers(2, 6), st.integers(1, 3), st.integers(0, 3))
def test_disjoint_exhaustive_group_safe(dataset: Dataset, num_folds: int, num_repeats: int, seed: int) -> None:
    try:
        split = make_split(dataset, num_folds=num_folds, num_repeats=num_repeats, seed=seed)
    except DataError:
        return  # too few distinct pictures of a class; that it says so is tested elsewhere
    groups, labels = dataset.groups, dataset.labels
    everything = np.arange(len(dataset))
    assert np.array_equal(np.sort(np.concatenate([split.pool, split.test])), everything)
    assert len(split.test) > 0
    own_test = [row for row, sample in enumerate(dataset.samples) if sample.split == "test"]
    if own_test:
        assert split.test.tolist() == own_test
    else:
        assert not leaked(dataset, split).any()
    assert 2 <= split.num_folds <= num_folds
    assert len(split.folds) == split.num_folds * num_repeats
    for repeat in range(num_repeats):
        folds = split.folds[repeat * split.num_folds : (repeat + 1) * split.num_folds]
        assert np.array_equal(np.sort(np.concatenate([validation for _, validation in folds])), split.pool)
        for train, validation in folds:
            assert np.array_equal(np.union1d(train, validation), split.pool)
            assert len(np.intersect1d(train, validation)) == 0
            assert len(np.intersect1d(groups[train], groups[validation])) == 0
            assert set(labels[train]) == set(labels)
