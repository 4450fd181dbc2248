"""What is far from all classes looks strange, most training pictures do not, and shares are what they are called."""

import numpy as np
import pytest

from thawline.heads.outsiders import (
    NUM_QUANTILES,
    Outsiders,
    combined,
    energy,
    fit_strangeness,
    num_directions,
    quantiles_of,
    standardised,
)


@pytest.fixture(scope="module")
def drawn():
    """Three classes around means of their own in 40 columns, and pictures of a fourth class and of noise."""
    rng = np.random.default_rng(0)
    means = rng.normal(0, 2, (4, 40))
    labels = np.arange(300) % 3
    features = (means[labels] + rng.normal(0, 1, (300, 40))).astype(np.float32)
    fourth = (means[3] + rng.normal(0, 1, (100, 40))).astype(np.float32)
    noise = rng.normal(0, 6, (100, 40)).astype(np.float32)
    return features, labels, fourth, noise


def known_of(features, labels, reads=None):
    reads = np.ones(features.shape[1], dtype=bool) if reads is None else reads
    is_first = np.arange(len(labels)) % 2 == 0
    near, far = np.empty(len(labels)), np.empty(len(labels))
    for inside in (is_first, ~is_first):
        fitted = fit_strangeness(features[inside], labels[inside], reads=reads, directions=20)
        near[~inside], far[~inside] = fitted.near_far(features[~inside])
    score = standardised(fit_strangeness(features, labels, reads=reads, directions=20), near=near, far=far)
    return Outsiders(score, quantiles_of(combined(score, near=near, far=far), np.arange(len(labels))))


def test_a_fourth_class_and_noise_look_stranger_than_what_belongs(drawn):
    features, labels, fourth, noise = drawn
    known, none = known_of(features[:200], labels[:200]), np.empty((0, 0))
    belongs = known.outside(features[200:], none)
    assert 0.2 < belongs.mean() < 0.8
    assert known.outside(fourth, none).min() > 0.99
    assert known.outside(noise, none).min() > 0.99


def test_columns_that_are_not_read_change_nothing(drawn):
    features, labels, _, _ = drawn
    reads = np.arange(40) < 30
    score = fit_strangeness(features, labels, reads=reads)
    moved = features.copy()
    moved[:, ~reads] = 1e6
    np.testing.assert_array_equal(score.score(moved), score.score(features))


def test_a_score_is_the_same_for_a_picture_alone(drawn):
    features, labels, _, _ = drawn
    score = fit_strangeness(features, labels, reads=np.ones(40, dtype=bool))
    np.testing.assert_allclose(score.score(features[:1]), score.score(features)[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (2, 3), (3, 50), (20, 7)], ids=lambda value: str(value))
@pytest.mark.parametrize("constant", [False, True])
def test_few_pictures_and_constant_columns_give_finite_scores(rows, columns, constant):
    rng = np.random.default_rng(0)
    features = np.ones((rows, columns), np.float32) if constant else rng.normal(0, 1, (rows, columns)).astype("f4")
    score = fit_strangeness(features, np.arange(rows) % 2, reads=np.ones(columns, dtype=bool))
    asked = rng.normal(0, 9, (5, columns)).astype(np.float32)
    assert np.isfinite(score.score(asked)).all()
    near, far = score.near_far(features)
    assert np.isfinite(standardised(score, near=near, far=far).score(asked)).all()


def test_the_share_is_that_of_held_out_pictures_that_look_less_strange():
    scores = np.arange(999, dtype=np.float32)
    known = Outsiders(None, quantiles_of(scores, np.arange(999)))
    assert len(known.quantiles) == NUM_QUANTILES
    asked = np.array([-5, 99, 499, 899, 989, 2000], np.float32)
    np.testing.assert_allclose(known.share_below(asked), [0, 0.1, 0.5, 0.9, 0.99, 1], atol=2e-3)


def test_a_further_picture_is_called_strange_as_often_as_was_said():
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(400):
        scores = rng.normal(0, 1, 199).astype(np.float32)
        known = Outsiders(None, quantiles_of(scores, np.arange(199)))
        alarms.append((known.share_below(rng.normal(0, 1, 500).astype(np.float32)) > 0.95).mean())
    assert 0.04 < np.mean(alarms) < 0.06


def test_copies_count_once():
    scores = np.concatenate([np.arange(10), np.full(1000, 9.0)]).astype(np.float32)
    groups = np.concatenate([np.arange(10), np.full(1000, 9)])
    once = quantiles_of(np.arange(10, dtype=np.float32), np.arange(10))
    asked = np.array([1.5, 4.5, 7.5, 8.5], np.float32)
    with_copies = Outsiders(None, quantiles_of(scores, groups)).share_below(asked)
    np.testing.assert_allclose(with_copies, Outsiders(None, once).share_below(asked), atol=0.06)


def test_few_pictures_tell_few_directions():
    assert [num_directions(*size) for size in ((1, 1), (20, 1000), (1000, 10), (9999, 4096), (9999, 9999))] == [
        1, 5, 5, 128, 52,
    ]  # fmt: skip


def test_equal_scores_are_one_step():
    known = Outsiders(None, quantiles_of(np.ones(20, np.float32), np.arange(20)))
    np.testing.assert_allclose(known.share_below(np.array([0.9, 1.0, 1.1], np.float32)), [0, 0, 1], atol=0.06)


def test_energy_is_high_where_no_class_is_likely():
    sure, unsure = energy(np.array([[9.0, 0, 0], [0.1, 0, 0]], np.float32))
    assert sure < unsure
    assert unsure == pytest.approx(-np.log(np.exp(0.1) + 2))
    known = Outsiders(None, quantiles_of(np.linspace(-9, 0, 99).astype("f4"), np.arange(99)))
    assert known.outside(np.empty((1, 0)), np.array([[9.0, 0, 0]]))[0] < 0.05
