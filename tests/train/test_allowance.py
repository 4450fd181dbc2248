"""A training run that must end is planned anew after every step, by the pace that was measured; clocks are faked."""

from __future__ import annotations

import pytest

from thawline.train import allowance
from thawline.train.allowance import UNLIMITED, Allowance, Course
from thawline.train.position import Position
from thawline.train.processes import Processes


class Clock:
    """A clock that is turned by hand."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(allowance.time, "monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def course_of(limit, epochs, num_steps=10):
    return Course(limit, epochs, num_steps=num_steps, agree=Processes().agree)


def run(course, clock, step_s, answer_s=0.0):
    """Run all phases; `step_s` says what a step takes at a moment. Return the steps of each phase and the plans."""
    at, steps, plans = Position(), [], []
    for phase in range(len(course.wanted)):
        at.phase, at.epoch, at.step = phase, 0, 0
        began = at.steps
        course.begin()
        while course.is_left(at, course.planned(at)):
            while at.step < course.num_steps:
                plans.append(course.planned(at))
                if at.step and not course.is_left(at, plans[-1]):
                    break
                clock.now_s += step_s(clock.now_s)
                at.add_step(1.0, 1.0, count=1)
                course.add_step()
            clock.now_s += answer_s
            course.add_answers()
            at.epoch, at.step = at.epoch + 1, 0
        steps.append(at.steps - began)
    return steps, plans


def test_without_a_limit_every_epoch_runs(clock):
    steps, plans = run(course_of(UNLIMITED, [3, 2]), clock, lambda now: 1.0)
    assert steps == [30, 20]
    assert set(plans) == {3, 2}


def test_epochs_are_planned_as_the_pace_allows(clock):
    steps, plans = run(course_of(Allowance(ends_at=100 + 45), [16]), clock, lambda now: 1.0)
    assert steps == [45]
    assert plans[0] == 16  # before the first step nothing is known
    assert plans[1:] == pytest.approx([4.5] * len(plans[1:]))


@pytest.mark.parametrize("slower_at", [0, 10, 60, 100, 140])
def test_a_machine_that_becomes_three_times_slower_changes_the_end_by_little(clock, slower_at):
    course = course_of(Allowance(ends_at=100 + 150), [40])
    run(course, clock, lambda now: 3.0 if now >= 100 + slower_at else 1.0, answer_s=1.0)
    assert 150 - 5 <= clock.now_s - 100 <= 150 + 3


def test_a_machine_that_becomes_quicker_is_used(clock):
    steps, _ = run(course_of(Allowance(ends_at=100 + 100), [40]), clock, lambda now: 2.0 if now < 120 else 0.5)
    assert steps == [pytest.approx(10 + 160, abs=2)]


def test_the_end_of_an_epoch_has_its_time(clock):
    run(course_of(Allowance(ends_at=100 + 100), [16]), clock, lambda now: 1.0, answer_s=5.0)
    assert 100 - 6 <= clock.now_s - 100 <= 100


def test_phases_give_up_the_same_share(clock):
    steps, _ = run(course_of(Allowance(ends_at=100 + 60), [8, 4]), clock, lambda now: 1.0)
    assert steps == [pytest.approx(40, abs=1), pytest.approx(20, abs=1)]


def test_fewer_epochs_can_be_asked_for_and_need_not_be_whole(clock):
    steps, plans = run(course_of(Allowance(epochs=2.5), [16]), clock, lambda now: 1.0)
    assert (steps, set(plans)) == ([25], {2.5})
    assert run(course_of(Allowance(epochs=99), [2]), clock, lambda now: 1.0)[0] == [20]


def test_one_step_is_taken_even_where_no_time_is_left(clock):
    assert run(course_of(Allowance(ends_at=99.0), [4, 4]), clock, lambda now: 1.0)[0] == [1, 0]


def test_the_least_epochs_may_end_later_but_not_after_the_latest_moment(clock):
    late = Allowance(ends_at=101.0, least=2.0, latest_at=100 + 60)  # a cache took nearly all of the time to fill
    assert run(course_of(late, [16]), clock, lambda now: 1.0)[0] == [20]
    clock.now_s = 100.0
    assert run(course_of(late, [16]), clock, lambda now: 5.0)[0] == [12]
    clock.now_s = 100.0
    assert run(course_of(Allowance(ends_at=150.0, least=2.0, latest_at=160.0), [16]), clock, lambda now: 1.0)[0] == [50]
