"""What runs next is a function of seconds and costs; a machine with a fake clock spends whole budgets by it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import pytest

from thawline.train.spending import FIRST_SHARE, LEAST_EPOCHS, SIDES, SLACK, SLACK_S, Cost, Standing, Workers, next_step
from thawline.train.tried import Pace

TOLERANCE = 0.10


def standing(epoch_s=1.0, *, setup_s=0.0, start_s=0.5, answers_s=0.5, growth=1.25, epochs=16.0, **facts):
    return Standing(Cost(setup_s, start_s, epoch_s, answers_s, growth), epochs, **facts)


def following(standings, left_s, num_folds):
    """Return the next step of a budget that was spent on nothing yet."""
    return next_step(standings, left_s=left_s, total_s=left_s, num_folds=num_folds)


@dataclass
class Plan:
    """A plan as it is, not as it was forecast: what it truly takes, and how it truly compares."""

    truth: Cost
    forecast: Cost
    epochs: float
    lead: float
    is_behind: bool = False
    is_from_nothing: bool = False
    sides: tuple[float, ...] = (1.0,)
    folds: int = 0
    ran_epochs: float = 0.0
    side: float = 1.0
    ratio: float | None = None
    slowed: float = 1.0


class Machine:
    """Spends a budget on plans; `busy(now)` says how many times longer everything takes at a moment."""

    def __init__(self, plans, budget_s, busy, num_folds=5):
        self.plans, self.budget_s, self.busy, self.num_folds = plans, budget_s, busy, num_folds
        self.now_s, self.pace, self.steps = 0.0, Pace(plans), []

    def pass_time(self, seconds):
        """Let work of so many seconds of a quiet machine pass, in small pieces."""
        while seconds > 1e-9:
            piece = min(0.05, seconds)
            self.now_s += piece * self.busy(self.now_s)
            seconds -= piece

    def standings(self):
        found = []
        for plan in self.plans:
            cost = plan.forecast.at_side(plan.side).times(self.pace.factor(plan))
            facts = {"is_from_nothing": plan.is_from_nothing}
            if plan.folds:
                facts |= {"folds": plan.folds, "lead": plan.lead, "is_behind": plan.is_behind}
                facts["is_ahead"] = plan.lead > 0.015
                found.append(Standing(replace(cost, setup_s=0.0), plan.ran_epochs, **facts))
            else:
                found.append(Standing(cost, plan.epochs, sides=plan.sides, **facts))
        return found

    def train(self, truth, epochs, ends_at):
        """Train as the loop does: twenty steps an epoch, ended when the time is over; one step at least."""
        done = 0.0
        while done < epochs - 1e-9 and (not done or self.now_s < ends_at):
            self.pass_time(truth.epoch_s / 20)
            done += 1 / 20
        return done

    def spend(self):
        while True:
            standings = self.standings()
            left_s = self.budget_s - self.now_s
            step = next_step(standings, left_s=left_s, total_s=self.budget_s, num_folds=self.num_folds)
            if step is None:
                break
            self.steps.append(step)
            plan, began = self.plans[step.index], self.now_s
            if not plan.folds:
                plan.side = step.side
            truth, forecast = plan.truth.at_side(plan.side), plan.forecast.at_side(plan.side)
            is_first = not plan.folds
            ends_at = began + step.seconds - standings[step.index].cost.at_side(step.side).answers_s
            self.pass_time((truth.setup_s if is_first else 0.0) + truth.start_s)
            epochs = self.train(truth, step.epochs, ends_at)
            self.pass_time(truth.answers_s)
            plan.ran_epochs = epochs if is_first else plan.ran_epochs
            expected = forecast.fold_s(epochs) - (0.0 if is_first else forecast.setup_s)
            plan.folds += 1
            self.pace.learn(plan, took_s=self.now_s - began, forecast_s=expected)
        self.unused_s = self.budget_s - self.now_s
        self.left_out = standings
        self.finish()
        return self

    def finish(self):
        """Train the best plan that is ahead on all rows, by the end of the budget."""
        self.winner = None
        ahead = [plan for plan in self.plans if plan.folds and plan.lead > 0.015]
        if ahead:
            winner = max(ahead, key=lambda plan: plan.lead)
            truth = winner.truth.at_side(winner.side)
            self.pass_time(truth.start_s)
            self.final_epochs = self.train(
                replace(truth, epoch_s=truth.epoch_s * truth.growth), winner.ran_epochs, self.budget_s
            )
            self.winner = winner


def four(scale=1.0, error=1.0, leads=(-0.01, 0.01, 0.02, -0.3)):
    """Return what `fit` tries on 400 photos: a fifth, some blocks, everything, and a network from nothing."""
    costs = [
        Cost(2.0, 0.3, 1.3, 0.5, 1.25),
        Cost(4.5, 0.3, 3.1, 0.6, 1.25),
        Cost(0.0, 0.5, 8.8, 0.6, 1.25),
        Cost(0, 0.1, 0.5, 0.2, 1.25),
    ]
    plans = []
    for place, (cost, lead) in enumerate(zip(costs, leads, strict=True)):
        truth = cost.times(scale)
        plans.append(
            Plan(
                truth, truth.times(1 / error), 60.0 if place == 3 else 16.0, lead, is_behind=lead < -0.1,
                is_from_nothing=place == 3, sides=(1.0,) if place == 3 else SIDES,
            )
        )  # fmt: skip
    return plans


QUIET = staticmethod(lambda now: 1.0)
PACES = {
    "quiet": lambda budget_s: lambda now: 1.0,
    "busy": lambda budget_s: lambda now: 3.0,
    "busy midway": lambda budget_s: lambda now: 3.0 if now > budget_s / 2 else 1.0,
    "busy late": lambda budget_s: lambda now: 3.0 if now > 0.9 * budget_s else 1.0,
    "busy at first": lambda budget_s: lambda now: 3.0 if now < budget_s / 3 else 1.0,
    "in waves": lambda budget_s: lambda now: 2.0 + math.sin(now / 7),
}
CASES = list(itertools.product([10, 30, 60, 180, 600, 3600], PACES, [1.0, 0.4, 2.5]))


@pytest.mark.parametrize(("budget_s", "pace", "error"), CASES)
def test_a_budget_holds_is_used_and_tries_what_it_can(budget_s, pace, error):
    plans = four(error=error)
    machine = Machine(plans, budget_s, PACES[pace](budget_s)).spend()
    assert machine.now_s <= (1 + TOLERANCE) * budget_s + 1.0
    for one, plan in zip(machine.left_out, plans, strict=True):  # nothing could use what was left
        if not one.is_behind and one.folds < machine.num_folds:
            smallest = one.cost.at_side(plan.sides[-1]) if not one.folds else one.cost
            least = one.least if not one.folds else one.epochs
            assert smallest.fold_s(least) + min(
                smallest.fold_s(least), smallest.final_s(least)
            ) > machine.unused_s - max(
                (other.cost.final_s(other.epochs) for other in machine.left_out if other.may_win(5)), default=0.0
            )
    quiet_least = min(plan.truth.at_side(plan.sides[-1]).fold_s(LEAST_EPOCHS) for plan in plans)
    if 3 * max(error, 1 / error) * quiet_least <= budget_s / 2:
        assert any(plan.folds for plan in plans)


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("budget_s", [60, 180, 600])
def test_what_is_delivered_was_trained_about_as_long_as_what_was_measured(budget_s, pace):
    machine = Machine(four(), budget_s, PACES[pace](budget_s)).spend()
    if not machine.winner:
        return  # what is ahead was not reached
    least = 0.3 if pace in ("busy late", "busy midway") else 0.5
    assert machine.final_epochs >= least * machine.winner.ran_epochs


def test_a_quiet_hour_lets_all_promising_ones_answer_every_fold_whole():
    plans = four()
    Machine(plans, 3600, lambda now: 1.0).spend()
    assert [(plan.folds, plan.ran_epochs) for plan in plans[:3]] == [(5, pytest.approx(16))] * 3
    assert plans[3].folds == 1  # measured worse: no more of it


def test_three_minutes_shrink_all_plans_and_measure_the_better_half_again():
    plans = four()
    machine = Machine(plans, 155, lambda now: 1.0).spend()
    assert [plan.folds >= 1 for plan in plans] == [True] * 4
    assert all(LEAST_EPOCHS <= plan.ran_epochs < plan.epochs for plan in plans)
    assert max(plan.folds for plan in plans[:3]) >= 2
    assert [step.index for step in machine.steps[:4]] == [0, 1, 2, 3]  # cheap ones first, from nothing last


def test_where_two_epochs_do_not_fit_a_smaller_input_is_tried():
    plans = [replace(four()[2], sides=SIDES)]
    machine = Machine(plans, 25, lambda now: 1.0).spend()
    assert machine.steps[0].side == 0.75
    assert plans[0].ran_epochs >= LEAST_EPOCHS
    assert following([standing(10.0)], 25, 5) is None  # it has one size


def test_what_nothing_fits_into_is_left():
    assert following([standing(10.0)], 15.0, 5) is None
    assert following([standing()], 0.0, 5) is None
    assert following([standing()], -5.0, 5) is None


def test_epochs_are_shared_out_evenly_where_not_all_fit():
    step = following([standing(1.0), standing(2.0)], 40.0, 5)
    assert step.index == 0
    share = (FIRST_SHARE * 40 - 2) / (16 + 32)  # both give up the same share of what they want
    assert step.seconds == pytest.approx(1 + share * 16, rel=1e-3)
    assert step.epochs == 16  # a machine that is quicker than forecast does more of them


def test_a_run_whose_time_is_not_scarce_may_take_longer_than_expected():
    step = following([standing(1.0)], 1000.0, 5)
    assert step.seconds == pytest.approx(SLACK * 17 + SLACK_S)


def test_time_for_the_final_run_of_who_may_win_is_kept_back():
    ahead = standing(1.0, epochs=10.0, folds=1, lead=0.02, is_ahead=True)
    final_s = 0.5 + 10 * 1.25
    assert following([ahead], 11 + final_s - 0.1, 5) is None
    assert following([ahead], 11 + final_s + 0.1, 5).index == 0
    other = standing(0.1, epochs=10.0, folds=1, lead=-0.01)
    assert following([ahead, other], final_s + 1.9, 5) is None
    assert following([ahead, other], final_s + 2.1, 5).index == 1


def test_the_better_half_goes_on_and_what_is_left_goes_to_the_others():
    leads = (0.01, 0.03, 0.02, -0.01)
    plans = [standing(1.0, epochs=2.0, folds=1, lead=lead) for lead in leads]
    order = []
    while (step := following(plans, 1000.0, 3)) is not None:
        order.append(step.index)
        plans[step.index] = replace(plans[step.index], folds=plans[step.index].folds + 1)
    assert order == [1, 2, 1, 2, 0, 0, 3, 3]


def test_what_is_measured_worse_gets_no_more():
    behind = standing(1.0, epochs=2.0, folds=1, lead=-0.2, is_behind=True)
    assert following([behind], 1000.0, 5) is None
    assert not behind.may_win(1)


def test_a_finished_one_that_is_not_worse_may_win():
    assert standing(folds=5, lead=-0.001).may_win(5)
    assert not standing(folds=4, lead=0.001).may_win(5)
    assert standing(folds=1, lead=0.1, is_ahead=True).may_win(5)
    assert not standing(lead=0.0).may_win(5)


def test_a_smaller_input_costs_by_its_area():
    half = Cost(4.0, 1.0, 8.0, 2.0, 1.25).at_side(0.5)
    assert (half.setup_s, half.start_s, half.epoch_s, half.answers_s) == (1.0, 1.0, 2.0, 0.5)
    assert Cost(4.0, 1.0, 8.0, 2.0, 0.0).final_s(3) == 0  # a row that needs no final run


def test_a_first_fold_too_short_to_say_anything_gets_no_more_and_does_not_win():
    short = standing(epochs=0.1, folds=1, lead=0.5, is_ahead=True, is_too_short=True)
    assert following([short], 1000.0, 5) is None
    assert not short.may_win(5)


def test_the_smallest_useful_form_may_take_what_is_left_but_for_the_final_run():
    step = following([standing(1.0), standing(1.0)], 100.0, 5)
    assert step.seconds < step.most_s < 100


def test_what_runs_already_gets_no_other_run():
    both = [standing(is_running=True), standing(2.0)]
    assert following(both, 1000, 3).index == 1
    further = [standing(folds=1, lead=0.2, is_running=True), standing(folds=1, lead=0.1)]
    assert following(further, 1000, 3).index == 1
    assert following([standing(is_running=True)], 1000, 3) is None


def test_several_workers_fit_more_into_the_same_time():
    four = [standing(1.0) for _ in range(4)]  # whole, each takes 17 s
    alone, several = following(four, 80, 3), next_step(four, left_s=80, total_s=80, num_folds=3, workers=Workers(4))
    assert alone.seconds < several.seconds
    assert next_step(four, left_s=80, total_s=80, num_folds=3, workers=Workers(4, 200)).seconds < several.seconds


def test_no_worker_makes_a_run_fit_that_is_longer_than_the_time():
    assert next_step([standing(50.0)], left_s=60, total_s=60, num_folds=3, workers=Workers(64)) is None


def test_one_idle_worker_is_what_there_was_before():
    many = [standing(epoch_s) for epoch_s in (1.0, 2.0, 5.0)]
    for left_s in (5, 20, 60, 200):
        assert next_step(many, left_s=left_s, total_s=left_s, num_folds=3, workers=Workers()) == following(
            many, left_s, 3
        )
