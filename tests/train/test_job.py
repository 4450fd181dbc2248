"""A job is told from any other by what it learns from and how; rows to watch leave with all their copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.types import Curve
from thawline.train.job import Trained, set_aside
from thawline.train.new_head import HEAD_BIAS, HEAD_WEIGHT
from thawline.train.plan import default_epochs, default_learning_rate


def difference(a, b):
    """Return the names of the facts in which the identities of two jobs differ."""
    one, other = a.identity(), b.identity()
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


def relabelled(dataset, row, **changes):
    samples = list(dataset.samples)
    samples[row] = replace(samples[row], **changes)
    return replace(dataset, samples=tuple(samples))


def test_equal_jobs_have_equal_identities_and_watching_is_no_part_of_them(make_job):
    job = make_job("last 2 blocks")
    assert difference(job, make_job("last 2 blocks")) == set()
    assert difference(job, replace(job, held_out=job.held_out[:2])) == set()
    assert difference(job, make_job("last 2 blocks", checkpoint_every="1s", disk_budget="1MB", score_folds=3)) == set()


def test_what_changes_the_result_changes_the_identity_and_is_named(make_job, changed):
    job = make_job("last 2 blocks")
    first, dataset, of_pictures = int(job.train[0]), job.context.dataset, {"training pictures and labels"}
    assert difference(job, make_job("last 1 block")) == {"plan"}
    assert difference(job, make_job("last 2 blocks", seed=1)) == {"seed"}
    assert difference(job, make_job("last 2 blocks", ema=0.9)) == {"--ema"}
    assert difference(job, make_job("last 2 blocks", weight_decay=0.0)) == {"--weight-decay"}
    assert difference(job, replace(job, train=job.train[1:])) == of_pictures
    assert difference(job, changed(job, dataset=relabelled(dataset, first, label=2))) == of_pictures
    assert difference(job, changed(job, dataset=relabelled(dataset, first, path="moved.png"))) == set()
    assert difference(job, changed(job, dataset=relabelled(dataset, int(job.held_out[0]), label=2))) == set()
    assert difference(job, changed(job, dataset=replace(dataset, class_names=("a", "b", "c")))) == {"classes"}
    assert difference(job, replace(job, class_weights=np.array([2, 1, 1], np.float32))) == {"class weights"}
    assert difference(job, changed(job, runtime=replace(job.context.runtime, dtype="bfloat16"))) == {"number format"}
    other = make_job("last 2 blocks", backbone="resnet10t")
    assert difference(job, other) == {"backbone", "backbone weights", "input"}


def test_rules_of_thumb_fill_in_what_was_not_asked_for(make_job):
    asked, silent = make_job("all"), make_job("all", epochs=None, learning_rate=None)
    assert (asked.num_epochs, asked.learning_rate) == (3, 5e-3)
    assert silent.num_epochs == default_epochs(silent.plan, len(silent.train))
    assert silent.learning_rate == default_learning_rate(silent.plan, "adamw")
    assert silent.name == "test_resnet · all"


def test_the_head_of_what_was_trained_has_features_by_classes():
    weight, bias = torch.arange(6.0).view(3, 2), torch.arange(3.0)
    trained = Trained({HEAD_WEIGHT: weight, HEAD_BIAS: bias}, Curve((), (), (), ()), 0.0, 0.1)
    head = trained.head
    assert head.weight.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert head.bias.tolist() == [0, 1, 2]
    assert head.logits(np.array([[2.0, 1.0]], np.float32)).tolist() == [[1, 8, 15]]


@pytest.mark.parametrize("seed", range(5))
def test_rows_to_watch_leave_with_their_copies(drawn, seed):
    dataset = drawn(120, num_classes=3)
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 50, 120)  # copies across classes too
    samples = tuple(replace(sample, group=int(group)) for sample, group in zip(dataset.samples, groups, strict=True))
    dataset = replace(dataset, samples=samples)
    rows = np.sort(rng.choice(120, 90, replace=False))
    train, watched = set_aside(dataset, rows, seed=seed)
    assert np.array_equal(np.union1d(train, watched), rows)
    assert not np.intersect1d(train, watched).size
    assert not np.intersect1d(dataset.groups[train], dataset.groups[watched]).size
    assert set(dataset.labels[watched]) == {0, 1, 2}
    assert 0.03 * len(rows) < len(watched) < 0.4 * len(rows)
    again = set_aside(dataset, rows, seed=seed)
    assert np.array_equal(watched, again[1])


def test_a_tenth_of_every_class_is_watched_and_nothing_of_a_tiny_one(drawn):
    dataset = drawn(130, num_classes=1)
    labels = np.repeat([0, 1, 2], [100, 25, 5])
    samples = [replace(sample, label=int(label)) for sample, label in zip(dataset.samples, labels, strict=False)]
    dataset = replace(dataset, samples=tuple(samples))
    watched = set_aside(dataset, np.arange(130), seed=0)[1]
    assert np.bincount(labels[watched]).tolist() == [10, 2, 1]
    train, watched = set_aside(dataset, np.arange(125, 129), seed=0)  # four of a class: each is needed to learn from
    assert (len(train), len(watched)) == (4, 0)


def test_groups_that_hold_every_class_are_watched_a_tenth_of_and_each_class_keeps_some(drawn):
    dataset = drawn(60, num_classes=1)
    numbers = np.arange(60)
    groups = np.where(numbers < 40, numbers // 4, 0)  # ten patients of two classes; the third class lies in one of them
    labels = np.where(numbers < 40, numbers % 2, 2)
    samples = [
        replace(sample, label=int(label), group=int(group))
        for sample, label, group in zip(dataset.samples, labels, groups, strict=True)
    ]
    dataset = replace(dataset, samples=tuple(samples))
    for seed in range(20):
        train, watched = set_aside(dataset, numbers, seed=seed)
        assert set(dataset.labels[train]) == {0, 1, 2}
        assert len(np.unique(dataset.groups[watched])) == 1
        assert not np.intersect1d(dataset.groups[train], dataset.groups[watched]).size
