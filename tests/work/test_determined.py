"""A comparison is known by what it is computed from, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from thawline.core.remembered import facts_key
from thawline.search.compare import CompareOptions
from thawline.work.determined import what_determines


def key_of(compared, **changes):
    """Return the key of a comparison that differs by `changes`."""
    dataset, context = compared.dataset, compared.session.context
    given = {"split": compared.split, "asked": CompareOptions(), "policy": "none", "dataset": dataset, **changes}
    reading = SimpleNamespace(context=context, extractions=compared.extractions, view_banks=())
    return facts_key(what_determines(given.pop("dataset"), reading, **given))


def relabelled(dataset, row):
    """Return a data set with another class of one picture."""
    samples = list(dataset.samples)
    samples[row] = replace(samples[row], label=(samples[row].label + 1) % len(dataset.class_names))
    return replace(dataset, samples=tuple(samples))


def test_labels_of_choosing_options_and_folds_determine_a_comparison_and_labels_of_the_test_do_not(compared):
    own, dataset, split = key_of(compared), compared.dataset, compared.split
    assert len(split.test)
    assert own == key_of(compared)
    assert own == key_of(compared, dataset=relabelled(dataset, int(split.test[0])))
    others = [
        key_of(compared, dataset=relabelled(dataset, int(split.pool[0]))),
        key_of(compared, asked=CompareOptions(seed=1)),
        key_of(compared, policy="flip"),
        key_of(compared, split=replace(split, folds=split.folds[::-1])),
    ]
    assert len({own, *others}) == 1 + len(others)
    assert np.isin(split.test, split.pool).sum() == 0
