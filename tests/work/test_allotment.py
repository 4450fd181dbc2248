"""What a budget leaves for racing, for training and for what follows is told by the clock and what was measured."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest

from thawline.train.allowance import UNLIMITED
from thawline.work import allotment
from thawline.work.allotment import final_allowance, left_for_training_s, picture_s
from thawline.work.session import Clock


@pytest.fixture
def budgeted(compared_for, order, monkeypatch):
    """Return a function from a budget to the comparison under it, begun a hundred seconds ago on a quiet machine."""
    monkeypatch.setattr(Clock, "slowness", 1.0)

    def lay(budget_s):
        laid = compared_for(replace(order, budget_s=budget_s))
        clock = Clock(start=time.perf_counter() - 100)
        return replace(laid, session=replace(laid.session, clock=clock))

    return lay


def test_without_a_budget_training_may_take_all_its_time_(budgeted):
    assert left_for_training_s(budgeted(None)) == math.inf
    assert final_allowance(budgeted(None), 3.0) is UNLIMITED


def test_what_was_spent_and_what_follows_are_taken_off(budgeted):
    left_s = left_for_training_s(budgeted(180.0))
    assert 60 < left_s < 180 - 100 - allotment.REPORT_S
    assert left_for_training_s(budgeted(400.0)) - left_s == pytest.approx(220, abs=1)
    assert left_for_training_s(budgeted(90.0)) < 0


def test_on_a_busy_machine_more_is_kept_for_what_follows(budgeted, monkeypatch):
    left = []
    for slowness in (1.0, 3.0, 50.0):
        monkeypatch.setattr(Clock, "slowness", slowness)
        left.append(left_for_training_s(budgeted(400.0)))
    assert left[0] - left[1] == pytest.approx(2 * allotment.REPORT_S, abs=0.2)
    assert left[0] - left[2] == pytest.approx((allotment.MOST_SLOWNESS - 1) * allotment.REPORT_S, abs=0.2)


def test_the_final_run_has_the_epochs_that_were_measured_and_the_time_that_is_left(budgeted):
    laid = budgeted(180.0)
    allowance = final_allowance(laid, 2.5)
    assert allowance.epochs == 2.5
    assert allowance.ends_at - time.monotonic() == pytest.approx(left_for_training_s(laid), abs=5)  # on a busy machine
    assert final_allowance(laid, 0.0).epochs == math.inf


def test_a_picture_takes_what_the_extraction_measured_or_else_what_the_pass_did(compared):
    many = replace(compared, extraction=replace(compared.extraction, num_lacking=100, seconds=2.0))
    assert picture_s(many) == 0.02
    few = replace(compared, full_pass_ms=8.0, extraction=replace(compared.extraction, num_lacking=3, seconds=2.0))
    assert 0 < picture_s(few) <= 0.012
