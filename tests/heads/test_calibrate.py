"""One temperature makes probabilities honest and changes no ranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thawline.core.metrics import expected_calibration_error
from thawline.heads.calibrate import fit_temperature, probabilities


def calibrated(rng, n, k):
    """Return logits and labels drawn from their softmax."""
    logits = rng.normal(size=(n, k)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits, (shares.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, k - 1)


@pytest.mark.parametrize("temperature", [0.01, 0.3, 1.0, 4.0, 500.0])
def test_a_known_temperature_is_found_again(temperature):
    logits, labels = calibrated(np.random.default_rng(0), 4000, 5)
    scaled = (logits * temperature).astype(np.float32)
    found = fit_temperature(scaled, labels)
    assert found == pytest.approx(temperature, rel=0.06)
    assert expected_calibration_error(labels, probabilities(scaled, found)) < 0.03


def test_no_other_temperature_has_a_lower_cross_entropy():
    logits, labels = calibrated(np.random.default_rng(1), 300, 3)
    best = fit_temperature(logits, labels)

    def loss(temperature):
        return -np.log(probabilities(logits, temperature)[np.arange(300), labels]).mean()

    assert all(loss(best) <= loss(best * factor) + 1e-6 for factor in (0.25, 0.7, 0.95, 1.05, 1.4, 4))


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_ranking_stays(seed, temperature):
    logits = np.random.default_rng(seed).normal(size=(8, 4)).astype(np.float32)
    shares = probabilities(logits, temperature)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    largest = np.take_along_axis(shares, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
    assert np.array_equal(largest, shares.max(axis=1))  # a tie by rounding is allowed, a swap is not


def test_an_answer_that_says_nothing_stays_even():
    assert fit_temperature(np.zeros((6, 3)), np.array([0, 1, 2, 0, 1, 2])) > 0
    np.testing.assert_allclose(probabilities(np.zeros((1, 3)), 1e-6), 1 / 3)


def test_huge_logits_give_no_overflow():
    assert probabilities(np.array([[1e30, -1e30]]), 1e-3).tolist() == [[1, 0]]


def test_a_class_that_no_picture_was_trained_for_does_not_spoil_the_temperature():
    logits, labels = calibrated(np.random.default_rng(2), 2000, 3)
    never = np.full((2000, 1), -1e30)
    assert fit_temperature(np.hstack([logits, never]), labels) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("n", [7, 200])
def test_a_few_right_answers_in_a_row_do_not_make_a_model_certain(n):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    logits = 4.0 * np.eye(3)[labels] + rng.normal(0, 0.3, (n, 3))
    shares = probabilities(logits, fit_temperature(logits, labels))
    assert shares.max(axis=1).mean() == pytest.approx((n + 1) / (n + 2), abs=1e-4)


def test_answers_in_several_repeats_warrant_no_more_than_their_pictures():
    logits = np.array([[9.0, 0.0], [0.0, 9.0]] * 20)
    labels = np.array([0, 1] * 20)
    once = fit_temperature(logits, labels)
    assert fit_temperature(np.tile(logits, (3, 1)), np.tile(labels, 3), repeats=3) == pytest.approx(once)
    assert probabilities(logits, once).max(axis=1).mean() == pytest.approx(41 / 42, abs=1e-4)
