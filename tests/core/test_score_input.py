"""What scores are computed from: worked out once, copies counted once in every interval."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.score_input import Score, ScoreInput

SHARES = np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])
GIVEN = ScoreInput(np.array([0, 1, 2, 1]), SHARES, np.array([0, 1, 2, 3]), np.zeros(4, int))


def test_places_count_the_classes_before_the_true_one():
    assert GIVEN.places.tolist() == [0, 1, 0, 1]
    assert GIVEN.top(1).tolist() == [1, 0, 1, 0]
    assert GIVEN.top(2).tolist() == [1, 1, 1, 1]
    assert GIVEN.predicted.tolist() == [0, 0, 2, 0]


def test_what_several_scores_need_is_worked_out_once():
    for name in ("places", "ranking", "losses", "confusion", "class_means"):
        assert getattr(GIVEN, name) is getattr(GIVEN, name)


def test_losses_are_of_the_pictures_one_by_one():
    log_losses, briers = GIVEN.losses
    assert log_losses == pytest.approx(-np.log([0.6, 0.4, 0.6, 0.3]))
    assert briers[0] == pytest.approx(0.4**2 + 0.3**2 + 0.1**2)


@pytest.mark.parametrize("how", ["share", "mean", "mean_of", "class_mean"])
def test_copies_count_once(how):
    def score(times):
        labels, hits = np.repeat([0, 1, 2, 1], times), np.repeat([1.0, 0.0, 1.0, 1.0], times)
        given = ScoreInput(labels, np.repeat(SHARES, times, axis=0), np.repeat(np.arange(4), times), 0 * labels)
        added = (hits - 0.75) / len(hits)
        return getattr(given, how)(*((hits,) if how in ("share", "mean") else (0.75, added)))

    once, copied = score(1), score(5)
    assert isinstance(once, Score)
    assert once.low < 0.75 < once.high
    assert (copied.value, copied.low, copied.high, copied.n) == (
        pytest.approx(0.75),
        *map(pytest.approx, (once.low, once.high)),
        20,
    )
