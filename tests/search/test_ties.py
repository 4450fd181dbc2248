"""When a strategy is tied with the leader, when it is as good, and that the words are made of the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thawline.search import ties


@pytest.mark.parametrize(
    ("low", "high", "tied"),
    [(0.0, 0.0, True), (-0.2, 0.001, True), (-0.001, 0.2, True), (-0.02, -0.001, False), (0.001, 0.02, False)],
)
def test_a_tie_is_an_interval_that_holds_zero(low, high, tied):
    assert ties.is_tie(low, high) == tied


def test_many_are_judged_at_once():
    assert ties.is_tie(np.array([-0.2, -0.2]), np.array([0.1, -0.1])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("lost", "error", "as_good"),
    [(0.0, 0.0, True), (0.003, 0.0, True), (0.0031, 0.0, False), (0.0, 0.0018, True), (0.0, 0.0019, False)],
)
def test_to_be_as_good_takes_evidence(lost, error, as_good):
    assert ties.is_as_good(np.array([lost]), np.array([error])).tolist() == [as_good]


def test_the_rule_is_told_in_the_numbers_that_make_it():
    assert ties.MARGIN_WORDS == "5 points"
    assert ties.TEST_WORDS == "a paired test at 5 %"
    assert ties.TIE_WORDS == "a paired test at 5 % cannot tell them apart"
    assert ties.AS_GOOD_WORDS == "shown to lose at most 0.3 points"


def test_other_numbers_would_give_other_words():
    source = Path(ties.__file__).read_text(encoding="utf-8")
    for ours, other in (
        ("SIGNIFICANCE = 0.05", "SIGNIFICANCE = 0.01"),
        ("CREDIT_MARGIN = 0.003", "CREDIT_MARGIN = 0.01"),
    ):
        source = source.replace(ours, other)
    changed = {}
    exec(source, changed)
    assert changed["TIE_WORDS"] == "a paired test at 1 % cannot tell them apart"
    assert changed["AS_GOOD_WORDS"] == "shown to lose at most 1 points"
