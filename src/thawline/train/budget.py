"""Plans and a time to spend -> their answers: named ones, or the promising ones as long as time is left.

`spend` asks `spending.next_step` what to run next until nothing could use what is left. Every run is given a moment by
which it must end, so a machine that becomes busy shortens the run and not the time of those after it. Over the workers
of a cluster the same question is asked whenever one is free: there is one clock, and what goes on side by side takes it
once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thawline.core.intervals import paired_sign_flip
from thawline.core.types import Floats
from thawline.search.answers import Answers
from thawline.search.ties import SIGNIFICANCE
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.train.crew import Crew, Fit, crew_of, have_done, share_of
from thawline.train.folds import answer_fold, answers_of
from thawline.train.spending import LEAST_EPOCHS, SIDES, Cost, Standing, Step, Workers, kept_back, next_step
from thawline.train.tried import Candidate, Pace, Tried, cost_of, untried

__all__ = ["FORECAST_SHARE", "spend", "try_named"]

FORECAST_SHARE = 0.05
"""Share of what is left of a budget that forecasting may take."""


def try_named(candidates: Sequence[Candidate]) -> tuple[Tried, ...]:
    """Return what every candidate answered in the first folds, as many as its `TrainOptions.score_folds` says."""
    tried = untried(candidates)
    wanted = [(one, fold) for one in tried for fold in range(_num_named(one))]
    if wanted:
        fits = [Fit(one.plan, one.candidate.ground, fold) for one, fold in wanted]
        have_done(fits, crew_of(fits[0].ground))
    for one, fold in wanted:
        _take_in(one, fold, UNLIMITED)
    for one in tried:
        one.outcome = _what_ran(one)
    return tried


def _num_named(one: Tried) -> int:
    """Return how many folds a candidate that was named answers."""
    ground = one.candidate.ground
    return min(ground.context.training.score_folds, ground.split.num_folds)


def spend(
    candidates: Sequence[Candidate],
    *,
    left_s: Callable[[], float],
    count_in: Callable[[float], None],
    picture_s: float | None = None,
) -> tuple[Tried, ...]:
    """Return what candidates answered in the time that was left, in their order; the most promising in most folds.

    Args:
        candidates: What may be trained.
        left_s: Returns the seconds left for training, the winner's final run included.
        count_in: Called with the seconds that an earlier start of the run spent on what is there already.
        picture_s: Seconds of a picture from its file through the backbone; measured where it is None.
    """
    if not candidates:
        return ()
    ground = candidates[0].ground
    processes, num_folds = ground.context.machine.processes, ground.split.num_folds
    tried = untried(candidates, limit_s=FORECAST_SHARE * processes.agree(left_s()), picture_s=picture_s)
    team = _Team(crew_of(ground), Pace(tried), tried)
    total_s = processes.agree(left_s())
    while True:
        while True:
            standings, now_s, workers = team.standings(), processes.agree(left_s()), team.workers()
            step = next_step(standings, left_s=now_s, total_s=total_s, num_folds=num_folds, workers=workers)
            if step is None:
                break
            team.begin(step, standings[step.index])
            if not team.has_free:
                break
        if not team.running:
            break
        count_in(team.end())
    free_s = max(0.0, now_s - kept_back(standings, num_folds=num_folds))
    for one, standing in zip(tried, standings, strict=True):
        one.final_s, one.outcome = standing.cost.final_s(standing.epochs), _fate(one, standing, free_s)
    return tried


@dataclass(frozen=True)
class _Run:
    """A training run that goes on: its fit, when it began, and the seconds expected of it."""

    fit: Fit
    began_at: float
    expected_s: float


class _Team:
    """Those who take the steps of a budget, and what they are at.

    Attributes:
        running: Index of a candidate → the run of it that goes on.
        share: Processors of one run: an even share of them, where there are more of them than candidates.
    """

    def __init__(self, crew: Crew, pace: Pace, tried: Sequence[Tried]) -> None:
        self.crew, self.pace, self.tried = crew, pace, tried
        self.running: dict[int, _Run] = {}
        self.share = share_of(crew.count, len(tried))

    @property
    def count(self) -> int:
        """Training runs that may go on side by side."""
        return max(1, self.crew.count // self.share)

    @property
    def has_free(self) -> bool:
        """Whether a worker has nothing to do."""
        return len(self.running) < self.count

    def workers(self) -> Workers:
        """Return the workers, as `next_step` takes them."""
        now = time.perf_counter()
        left_s = [run.expected_s - (now - run.began_at) for run in self.running.values()]
        return Workers(self.count, sum(max(0.0, seconds) for seconds in left_s))

    def standings(self) -> list[Standing]:
        """Return where every candidate stands."""
        found = [_standing(one, self._cost(one)) for one in self.tried]
        return [replace(one, is_running=True) if index in self.running else one for index, one in enumerate(found)]

    def _cost(self, one: Tried) -> Cost:
        """Return what is expected of a candidate's next run on the processors that it gets."""
        return self._forecast(one).times(self.pace.factor(one))

    def _forecast(self, one: Tried) -> Cost:
        """Return what was forecast for this process, brought to the processors that a run gets."""
        return cost_of(one.forecast).at_side(one.side).times(1 / (self.crew.speed * self.share))

    def begin(self, step: Step, standing: Standing) -> None:
        """Let a candidate answer one more fold, within the seconds of the step."""
        one = self.tried[step.index]
        if step.side < 1 and not one.folds and one.candidate.at_side is not None:
            one.candidate, one.side = replace(one.candidate, ground=one.candidate.at_side(step.side)), step.side
        answers_s = standing.cost.at_side(step.side).answers_s
        now, least = time.monotonic(), LEAST_EPOCHS if not one.folds else 0.0
        allowance = Allowance(
            now + step.seconds - answers_s, step.epochs, least=least, latest_at=now + step.most_s - answers_s
        )
        fit = Fit(one.plan, one.candidate.ground, len(one.folds), allowance=allowance)
        expected_s = min(step.seconds, standing.cost.at_side(step.side).fold_s(step.epochs))
        self.running[step.index] = _Run(fit, time.perf_counter(), expected_s)
        self.crew.begin(fit, share=self.share)

    def end(self) -> float:
        """Take in a run that has ended, and learn from what it took.

        Returns the seconds of it that an earlier start of the run took, as far as they would be gone from the clock.
        """
        fit = self.crew.wait()
        index = next(index for index, run in self.running.items() if run.fit is fit)
        one, is_first = self.tried[index], not self.tried[index].folds
        took_s = _take_in(one, len(one.folds), fit.allowance)
        earlier_s = took_s - (time.perf_counter() - self.running.pop(index).began_at)
        cost = self._forecast(one)
        forecast_s = cost.fold_s(one.epochs[-1]) - (0.0 if is_first else cost.setup_s)
        agreed_s = one.candidate.ground.context.machine.processes.agree(took_s)
        self.pace.learn(one, took_s=agreed_s, forecast_s=forecast_s)
        return max(0.0, earlier_s) / self.count


def _take_in(one: Tried, fold: int, allowance: Allowance) -> float:
    """Take in a candidate's answers to a fold, which this process runs where no worker has.

    Returns the seconds that it took, those of an earlier start where it was run there.
    """
    start = time.perf_counter()
    done = answer_fold(one.plan, one.candidate.ground, fold=fold, allowance=allowance)
    took_s = max(done.seconds, time.perf_counter() - start)
    one.folds.append(done)
    one.epochs = (*one.epochs, done.trained.epochs)
    one.took_s = (one.took_s or 0.0) + took_s
    return took_s


def _standing(one: Tried, cost: Cost) -> Standing:
    """Return where a candidate stands, in plain numbers; `cost` is what its next run is expected to take."""
    if not one.folds:
        sides = (1.0,) if one.candidate.at_side is None else SIDES
        return Standing(cost, one.forecast.epochs, is_from_nothing=one.plan.from_nothing, sides=sides)
    lead, p_value = _lead(one)
    is_told = p_value <= SIGNIFICANCE
    return Standing(
        replace(cost, setup_s=0.0),
        max(one.epochs[0], 1e-3),
        folds=len(one.folds),
        lead=lead,
        is_ahead=is_told and lead > 0,
        is_behind=is_told and lead < 0,
        is_too_short=one.is_too_short,
    )


def _lead(one: Tried) -> tuple[float, float]:
    """Return the mean difference from the best frozen strategy on the rows answered, and the p-value of the two."""
    ground = one.candidate.ground
    answers: Answers = answers_of(one.plan, ground, folds=one.folds)
    best: Floats = max(ground.frozen.answers, key=lambda entry: float(entry.scores.mean())).scores
    gaps, groups = (answers.scores - best)[answers.answered], ground.frozen.rows.scored_groups[answers.answered]
    return float(np.mean(gaps)), float(paired_sign_flip(gaps, groups, seed=ground.context.seed))


def _what_ran(one: Tried) -> str:
    """Return how many folds ran, and for how many epochs where these are fewer than were wanted."""
    return f"ran {len(one.folds)} of {one.candidate.ground.split.num_folds} folds{one.shortened_words}"


def _fate(one: Tried, standing: Standing, free_s: float) -> str:
    """Return what came of a candidate, and why it did not get more."""
    if not one.folds:
        smallest = standing.cost.at_side(standing.sides[-1])
        needed_s = smallest.fold_s(standing.least) + smallest.final_s(standing.least)
        return f"left out: it takes {needed_s:,.0f} s or more, and {free_s:,.0f} s were left"
    if standing.is_behind:
        return f"{_what_ran(one)}; measured worse than the best frozen strategy"
    if standing.is_too_short:
        return f"{_what_ran(one)}; too few to say anything of it"
    if len(one.folds) < one.candidate.ground.split.num_folds:
        return f"{_what_ran(one)}; then not enough of the budget was left"
    return _what_ran(one)
