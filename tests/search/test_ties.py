"""When a strategy is tied with the leader, and that the words are made of the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thawline.search import ties


@pytest.mark.parametrize(
    ("p_value", "low", "tied"),
    [
        (1.0, 0.0, True),
        (0.051, -0.05, True),
        (0.05, -0.01, False),  # the test tells them apart
        (0.5, -0.051, False),  # a large loss is not ruled out
        (0.01, -0.2, False),
    ],
)
def test_a_tie_needs_the_test_and_the_interval(p_value, low, tied):
    assert ties.is_tie(p_value, low) == tied


def test_many_are_judged_at_once():
    assert ties.is_tie(np.array([0.2, 0.2, 0.01]), np.array([-0.01, -0.2, -0.01])).tolist() == [True, False, False]


def test_the_rule_is_told_in_the_numbers_that_make_it():
    assert ties.MARGIN_WORDS == "5 points"
    assert ties.TEST_WORDS == "a paired test at 5 %"
    assert ties.TIE_WORDS == "a paired test at 5 % cannot tell them apart, within 5 points"


def test_other_numbers_would_give_other_words():
    source = Path(ties.__file__).read_text(encoding="utf-8")
    for ours, other in (("SIGNIFICANCE = 0.05", "SIGNIFICANCE = 0.01"), ("MARGIN = 0.05", "MARGIN = 0.025")):
        source = source.replace(ours, other)
    changed = {}
    exec(source, changed)
    assert changed["TIE_WORDS"] == "a paired test at 1 % cannot tell them apart, within 2.5 points"
