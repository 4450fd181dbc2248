"""What an interval is worth in pictures, shares that are taken together, and whether two of them differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.core.evidence import differ_by_chance, num_worth, pooled
from thawline.core.intervals import wilson
from thawline.core.scores import Score


def score(right, n, *, worth=None):
    """Return a share with the Wilson interval of `worth` pictures, n by default."""
    value, number = right / n, worth or n
    return Score(value, *wilson(value * number, number), n)


@given(st.integers(1, 500), st.data())
def test_a_wilson_interval_is_worth_its_own_pictures(n, data):
    right = data.draw(st.integers(0, n))
    worth = data.draw(st.floats(0.5, n))
    assert num_worth(score(right, n)) == pytest.approx(n)
    assert num_worth(score(right, n, worth=worth)) == pytest.approx(worth, rel=1e-6)


def test_no_interval_is_worth_more_than_its_pictures():
    assert num_worth(Score(0.9, 0.9, 0.9, 40)) == 40
    assert num_worth(Score(0.9, 0.0, 1.0, 40)) < 1


def test_shares_of_plain_pictures_are_taken_together_as_if_counted_at_once():
    together = pooled((score(60, 74), score(252, 295)))
    expected = score(60 + 252, 74 + 295)
    assert (together.value, together.low, together.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert together.n == 74 + 295


def test_a_share_of_copies_weighs_less():
    low, high = score(50, 100), score(100, 100)
    assert pooled((low, high)).value == pytest.approx(0.75)
    assert pooled((low, score(100, 100, worth=25))).value == pytest.approx((50 + 25) / 125)
    assert pooled((low,)).value == 0.5
    everything = pooled((score(20, 20), score(80, 80)))
    assert (everything.value, everything.high) == (1.0, 1.0)
    assert everything.low == pytest.approx(wilson(100, 100)[0])


def test_two_shares_differ_by_chance_as_often_as_is_said():
    rng = np.random.default_rng(0)
    draws = [
        differ_by_chance(score(rng.binomial(74, 0.85), 74), score(rng.binomial(295, 0.85), 295)) for _ in range(1500)
    ]
    assert np.mean(np.array(draws) <= 0.05) == pytest.approx(0.05, abs=0.02)
    assert differ_by_chance(score(89, 96), score(310, 384)) < 0.01  # 92.7 % against 80.7 %
    assert differ_by_chance(score(61, 74), score(254, 295)) > 0.3
    assert differ_by_chance(score(9, 9), score(70, 70)) == 1.0
    assert differ_by_chance(score(20, 20), score(0, 20)) < 1e-6
