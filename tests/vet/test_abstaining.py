"""The curve and the sentence count what is answered, strange pictures never, and sets hold the true class as said."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.listing import FileSource
from thawline.data.sources.places import Place
from thawline.vet.abstaining import abstaining, class_sets, coverage_curve
from thawline.vet.answered import TEST, Answered


def answered_of(probabilities, labels, *, num_test=0, groups=None):
    """Return answers of which the last `num_test` are of the test."""
    groups = range(len(labels)) if groups is None else groups
    samples = tuple(
        Sample(
            f"{place}.png",
            int(label),
            hashlib.sha256(b"%d" % place).hexdigest(),
            None,
            int(group),
            FileSource(Path("x")),
        )
        for place, (label, group) in enumerate(zip(labels, groups, strict=True))
    )
    dataset = Dataset(Place.of("photos"), tuple("abc"), samples, ())
    fold = np.where(np.arange(len(labels)) < len(labels) - num_test, 0, TEST)
    return Answered(dataset, np.arange(len(labels)), np.asarray(probabilities, np.float32), fold)


def drawn(n, *, num_test=0, seed=0):
    """Return calibrated answers: a class is true as often as its probability says."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet((0.4, 0.4, 0.4), n)
    labels = (rng.random(n)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return answered_of(shares, labels, num_test=num_test)


FOUR = answered_of([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.3, 0.7, 0], [0.6, 0.4, 0]], [0, 0, 0, 0])
NONE = np.zeros(4, dtype=bool)


def test_the_curve_goes_from_the_surest_to_all():
    points = coverage_curve(FOUR, ~NONE, is_outside=NONE)
    assert [(point.n, point.coverage, point.accuracy) for point in points] == [
        (1, 0.25, 1.0), (2, 0.5, 1.0), (3, 0.75, pytest.approx(2 / 3)), (4, 1.0, 0.75),
    ]  # fmt: skip
    assert points[1].min_probability == pytest.approx(0.8)
    assert all(point.low <= point.accuracy <= point.high for point in points)


def test_pictures_of_equal_probability_are_one_point_and_strange_ones_none():
    alike = answered_of([[0.9, 0.1, 0]] * 4, [0, 0, 1, 1])
    assert [point.n for point in coverage_curve(alike, ~NONE, is_outside=NONE)] == [4]
    strange = np.array([False, False, False, True])
    assert coverage_curve(FOUR, ~NONE, is_outside=strange)[-1].coverage == 0.75
    assert coverage_curve(FOUR, ~NONE, is_outside=~NONE) == ()


def test_many_pictures_are_at_most_100_points_with_both_ends():
    points = coverage_curve(drawn(3000), np.ones(3000, bool), is_outside=np.zeros(3000, bool))
    assert len(points) == 100
    assert (points[0].n, points[-1].n) == (1, 3000)


def test_the_sentence_counts_what_the_threshold_answers():
    told = abstaining(FOUR, is_outside=NONE, error_rate=0.1, min_probability=0.65)
    kept = told.out_of_fold
    assert (kept.num_answered, kept.answered, kept.right) == (3, 0.75, pytest.approx(2 / 3))
    assert (told.test, told.curve_on, told.sets) == (None, "out of fold", None)


def test_the_test_is_told_apart():
    told = abstaining(drawn(300, num_test=100), is_outside=np.zeros(300, bool), error_rate=None, min_probability=None)
    assert (told.out_of_fold.num_pictures, told.test.num_pictures, told.curve_on) == (200, 100, "test")
    assert told.test.answered == 1.0
    assert told.sets.checked_on == "test"


def test_where_all_are_strange_none_is_answered():
    told = abstaining(FOUR, is_outside=~NONE, error_rate=None, min_probability=None)
    assert (told.out_of_fold.num_answered, told.out_of_fold.right, told.curve) == (0, None, ())


def test_sets_hold_the_true_class_as_often_as_said():
    covers = [class_sets(drawn(1200, num_test=600, seed=seed)) for seed in range(8)]
    assert np.mean([sets.coverage for sets in covers]) == pytest.approx(0.9, abs=0.02)
    assert all(sum(sets.sizes) == sets.num_checked for sets in covers)
    assert 1 < covers[0].mean_size < 3


def test_without_a_test_half_of_the_groups_check_the_others():
    sets = class_sets(drawn(400))
    assert (sets.checked_on, sets.num_checked + sets.num_calibration) == ("half of the held-out pictures", 400)
    assert class_sets(drawn(30)) is None


def test_copies_count_once_in_setting_them():
    plain = drawn(200, num_test=100)
    groups = np.arange(200) // 4
    samples = tuple(replace(one, group=int(group)) for one, group in zip(plain.dataset.samples, groups, strict=True))
    copies = replace(plain, dataset=replace(plain.dataset, samples=samples))
    assert class_sets(copies).num_calibration == 25


def test_a_class_that_only_the_test_has_is_no_error():
    shares = np.tile(np.array([0.6, 0.4, 0.0], np.float32), (60, 1))
    labels = np.where(np.arange(60) < 40, np.arange(60) % 2, 2)
    assert class_sets(answered_of(shares, labels, num_test=20)).coverage == 0.0
