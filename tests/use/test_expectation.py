"""A test that was drawn counts together with the choosing, a person's own counts alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_cases import make_board

from thawline.core.evidence import pooled
from thawline.core.intervals import wilson
from thawline.core.scores import Score
from thawline.use.evaluate import evaluate
from thawline.use.expectation import expect


def evaluated(right, n, *, leaked=0):
    """Return the evaluation of n pictures of two classes, the first `right` of them right."""
    labels = np.arange(n) % 2
    predicted = np.where(np.arange(n) < right, labels, 1 - labels)
    return evaluate(
        labels,
        np.eye(2)[predicted] * 0.8 + 0.1,
        strategy="net",
        class_names=("ant", "bee"),
        paths=[str(row) for row in range(n)],
        groups=np.arange(n),
        leaked=(np.arange(n) < leaked).astype(np.int64),
    )


def board(right, n):
    """Return a leaderboard whose choosing has so many of n pictures right."""
    drawn = make_board()
    trials = tuple(replace(trial, num_pictures=n) for trial in drawn.trials)
    low, high = wilson(right, n)
    return replace(drawn, trials=trials, num_pictures=n, chosen_mean=right / n, chosen_low=low, chosen_high=high)


def test_a_drawn_test_and_the_choosing_count_by_what_each_is_worth():
    found = expect(evaluated(89, 96), board(310, 384), drew_test=True)
    assert found.is_pooled
    assert found.score.value == pytest.approx((89 + 310) / (96 + 384))
    assert found.score == pooled((found.test, found.choosing))
    assert found.test.value == pytest.approx(89 / 96)
    assert (found.choosing.value, found.choosing.n) == (310 / 384, 384)
    assert found.disagrees  # 92.7 % of 96 against 80.7 % of 384
    assert not expect(evaluated(79, 96), board(310, 384), drew_test=True).disagrees


def test_a_test_of_one_s_own_counts_alone_and_without_copies():
    evaluation = evaluated(50, 100)
    found = expect(evaluation, board(310, 384), drew_test=False)
    assert not found.is_pooled
    assert found.score == found.test == evaluation.accuracy
    assert found.disagrees
    evaluation = evaluated(90, 100, leaked=40)
    assert expect(evaluation, board(310, 384), drew_test=False).score == evaluation.accuracy_without_leaks
    assert evaluation.accuracy_without_leaks.n == 60


def test_the_metric_is_the_leaderboard_s():
    evaluation = evaluated(77, 96)
    balanced = replace(board(310, 384), metric="balanced_accuracy")
    found = expect(evaluation, balanced, drew_test=True)
    assert (found.metric, found.test) == ("balanced_accuracy", evaluation.balanced_accuracy)


def test_plain_data_say_what_it_stands_on():
    found = expect(evaluated(89, 96), board(310, 384), drew_test=True)
    facts = found.to_json()
    assert facts.keys() == {
        "metric", "value", "low", "high", "n", "from", "test", "choosing", "p_value", "disagree"
    }  # fmt: skip
    assert (facts["from"], facts["n"], facts["disagree"]) == ("test and choosing", 480, True)
    assert Score(**facts["choosing"]) == found.choosing
    own = expect(evaluated(89, 96), board(310, 384), drew_test=False).to_json()
    assert (own["from"], own["value"]) == ("test", 89 / 96)
