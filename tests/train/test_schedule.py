"""Factors on the step size: where they start, where they peak, how they end; and falls where learning stalls."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thawline.train.schedule import FLOOR, PLATEAU_FACTOR, PLATEAU_GAIN, PLATEAU_PATIENCE, Plateau, schedule_factor

SCHEDULES = ("cosine", "one-cycle", "plateau", "constant")


def factors(schedule, num_epochs=10, warmup=1.0, steps=20):
    """Return the factor at every step of a training run."""
    return [
        schedule_factor(schedule, step / steps, num_epochs=num_epochs, warmup=warmup)
        for step in range(num_epochs * steps)
    ]


@given(st.sampled_from(SCHEDULES), st.integers(1, 60), st.floats(0, 1), st.floats(0, 100))
def test_a_factor_is_above_0_and_at_most_1(schedule, num_epochs, done, warmup):
    assert 0 < schedule_factor(schedule, done * num_epochs, num_epochs=num_epochs, warmup=warmup) <= 1


@given(st.sampled_from(SCHEDULES), st.integers(1, 30), st.floats(0, 3))
def test_it_rises_once_and_then_never_again(schedule, num_epochs, warmup):
    found = factors(schedule, num_epochs, warmup, steps=50)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


@given(st.sampled_from(SCHEDULES), st.integers(1, 30), st.floats(0.01, 3), st.floats(0, 1))
def test_it_never_jumps(schedule, num_epochs, warmup, done):
    epoch = done * num_epochs
    here, next_to_it = (
        schedule_factor(schedule, at, num_epochs=num_epochs, warmup=warmup) for at in (epoch, epoch + 1e-6)
    )
    assert abs(next_to_it - here) < 2e-4


@pytest.mark.parametrize("schedule", ["cosine", "plateau", "constant"])
def test_warm_up_rises_in_a_straight_line_from_nearly_0_to_1(schedule):
    found = factors(schedule, warmup=2.0)
    assert found[0] < 1e-3
    assert found[20] == pytest.approx(0.5, abs=1e-3)
    assert found[40] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("schedule", ["cosine", "plateau", "constant"])
def test_without_warm_up_it_starts_at_1(schedule):
    assert schedule_factor(schedule, 0, num_epochs=10, warmup=0) == 1


def test_a_warm_up_takes_no_more_than_half_of_a_short_phase():
    assert schedule_factor("cosine", 0.5, num_epochs=1, warmup=5.0) == pytest.approx(1, abs=1e-2)
    assert schedule_factor("constant", 0.5, num_epochs=1, warmup=5.0) == pytest.approx(1, abs=1e-2)


def test_cosine_passes_half_way_and_ends_at_the_floor():
    assert schedule_factor("cosine", 5, num_epochs=10, warmup=0) == pytest.approx((1 + FLOOR) / 2)
    assert schedule_factor("cosine", 2.5, num_epochs=10, warmup=0) == pytest.approx(
        FLOOR + (1 - FLOOR) * (1 + math.sqrt(0.5)) / 2
    )
    assert schedule_factor("cosine", 10, num_epochs=10, warmup=0) == pytest.approx(FLOOR)
    assert schedule_factor("cosine", 10, num_epochs=10, warmup=2) == pytest.approx(FLOOR)


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_these_do_not_fall_by_themselves(schedule):
    assert set(factors(schedule, warmup=0)) == {1.0}


def test_one_cycle_rises_for_three_tenths_and_comes_down_to_the_floor_whatever_the_warm_up():
    assert schedule_factor("one-cycle", 0, num_epochs=10, warmup=0) == pytest.approx(0.04)
    assert schedule_factor("one-cycle", 3, num_epochs=10, warmup=0) == pytest.approx(1)
    assert schedule_factor("one-cycle", 10, num_epochs=10, warmup=0) == pytest.approx(FLOOR)
    assert factors("one-cycle", warmup=0) == factors("one-cycle", warmup=4)


def test_a_plateau_cuts_after_more_stalled_epochs_than_its_patience():
    plateau = Plateau()
    for loss in (1.0, 0.9, *[0.9] * PLATEAU_PATIENCE):
        plateau.see(loss)
        assert plateau.factor == 1
    plateau.see(0.95)
    assert plateau.factor == pytest.approx(PLATEAU_FACTOR)
    assert (plateau.best, plateau.stalled) == (0.9, 0)


def test_a_gain_below_what_counts_is_none():
    plateau = Plateau()
    plateau.see(1.0)
    for _ in range(PLATEAU_PATIENCE + 1):
        plateau.see(1.0 - 0.9 * PLATEAU_GAIN)
    assert plateau.factor < 1
    assert plateau.best == 1.0


def test_a_better_epoch_starts_the_count_again():
    plateau = Plateau()
    for loss in (1.0, 1.0, 1.0, 0.8, 0.8, 0.8):
        plateau.see(loss)
    assert plateau.factor == 1


def test_a_plateau_ends_at_the_floor():
    plateau = Plateau()
    for _ in range(100):
        plateau.see(1.0)
    assert plateau.factor == FLOOR
