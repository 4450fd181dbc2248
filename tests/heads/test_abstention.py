"""A promised error rate is kept as often as was said, is never promised without evidence, and copies count once."""

import numpy as np
import pytest

from thawline.heads.abstention import first_of_groups, promised_threshold, usual_threshold


def draw(rng, n):
    """Return confidences and whether each answer was right: calibrated, so that 0.9 is right nine times in ten."""
    confidence = rng.beta(6, 1, n)
    return confidence, rng.random(n) < confidence


def test_the_promise_is_kept():
    rng = np.random.default_rng(0)
    kept, answered = [], []
    for _ in range(60):
        threshold = promised_threshold(*draw(rng, 800), error_rate=0.08)
        if threshold is not None:
            confidence, is_right = draw(rng, 20_000)
            answers = confidence >= threshold
            kept.append(1 - is_right[answers].mean() <= 0.08)
            answered.append(answers.mean())
    assert len(kept) > 50
    assert np.mean(kept) >= 0.93
    assert np.mean(answered) > 0.4


def test_a_model_that_is_right_all_the_time_answers_everything():
    confidence = np.linspace(0.5, 1, 1000)
    assert promised_threshold(confidence, np.ones(1000, bool), error_rate=0.01) == 0.5


@pytest.mark.parametrize(
    ("confidence", "is_right"),
    [
        (np.ones(20), np.ones(20, bool)),
        (np.linspace(0, 1, 500), np.zeros(500, bool)),
        (np.zeros(500), np.ones(500, bool)),
        (np.empty(0), np.empty(0, bool)),
        (np.ones(500), np.arange(500) % 2 == 0),
    ],
    ids=["too few", "all wrong", "all strange", "none", "half wrong, all equally sure"],
)
def test_nothing_is_promised_without_evidence(confidence, is_right):
    assert promised_threshold(confidence, is_right, error_rate=0.01) is None
    assert usual_threshold(confidence, is_right) is None


def test_of_equal_confidences_all_or_none_are_answered():
    assert promised_threshold(np.full(1000, 0.7), np.ones(1000, bool), error_rate=0.05) == pytest.approx(0.7)


def test_the_usual_promise_is_the_strictest_that_answers_half():
    rng = np.random.default_rng(0)
    confidence = np.sort(rng.random(3000))
    is_right = np.where(confidence > 0.3, rng.random(3000) > 0.03, rng.random(3000) > 0.5)
    rate, threshold = usual_threshold(confidence, is_right)
    assert rate == 0.05
    assert 0.1 < threshold < 0.5


def test_the_first_of_each_group_counts():
    assert first_of_groups(np.array([7, 3, 7, 3, 1])).tolist() == [0, 1, 4]
