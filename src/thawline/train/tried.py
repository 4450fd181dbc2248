"""A plan to be tried, its forecast and what its training runs took -> what is expected of the next one.

How far a forecast was off is learnt from a plan's own runs, that the machine has become busier from anybody's second
one; so what is expected of the next run is measured on those that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from thawline.train.context import Ground
from thawline.train.folds import FoldAnswers
from thawline.train.forecast import Forecast, forecast_plans
from thawline.train.plan import Plan
from thawline.train.spending import LEAST_EPOCHS, Cost

__all__ = ["Candidate", "Measured", "Pace", "Tried", "cost_of", "forecast_rows", "untried"]

PACES = (0.1, 10.0)
"""Seconds over those expected are believed within these: one odd measurement does not decide everything."""


@dataclass(frozen=True)
class Candidate:
    """A plan to be tried.

    Attributes:
        plan: What thaws.
        ground: What it is trained on, and how; all candidates of a run share everything but training options and
            folder.
        name: What it is called in the forecast; the strategy's name where this is empty.
        at_side: Returns the ground with a smaller input, whose side is a share of the whole one; None: it has one size.
    """

    plan: Plan
    ground: Ground
    name: str = ""
    at_side: Callable[[float], Ground] | None = None


@dataclass
class Tried:
    """A candidate, what it was expected to take, and what came of it.

    Attributes:
        candidate: Which; on the input that it was tried at.
        forecast: What its training runs were expected to take, on the whole input.
        whole_s: Seconds that all of it was expected to take.
        folds: What it answered, fold by fold; none where a row was run as a whole.
        took_s: Seconds of it so far; None where it did not run.
        outcome: What was run, or why it was not, in words.
        side: Of the input, as a share of the whole one.
        epochs: That each of its training runs had, with fractions; empty where it did not run.
        final_s: Seconds that its final training run will take, by the pace measured last.
        ratio: Seconds that its last run took over those forecast; None before its first one.
        slowed: Seconds that it would take now over those of its last run, as others have shown since; 1 or more.
    """

    candidate: Candidate
    forecast: Forecast
    whole_s: float
    folds: list[FoldAnswers] = field(default_factory=list)
    took_s: float | None = None
    outcome: str = ""
    side: float = 1.0
    epochs: tuple[float, ...] = ()
    final_s: float = 0.0
    ratio: float | None = None
    slowed: float = 1.0

    @property
    def plan(self) -> Plan:
        """What thaws."""
        return self.candidate.plan

    @property
    def name(self) -> str:
        """What it is called in the forecast."""
        return self.candidate.name or self.forecast.name

    @property
    def is_shortened(self) -> bool:
        """Whether a training run of it had fewer epochs than were wanted, or a smaller input."""
        return self.side < 1 or any(epochs < self.forecast.epochs - 0.01 for epochs in self.epochs)

    @property
    def is_too_short(self) -> bool:
        """Whether its first run had clearly fewer epochs than its smallest useful form, so that it says nothing."""
        return self.took_s is not None and self.epochs[0] < 0.75 * min(LEAST_EPOCHS, self.forecast.epochs)

    @property
    def shortened_words(self) -> str:
        """By how much it was shortened, to go behind what was run; empty text where it was not."""
        words = ""
        if any(epochs < self.forecast.epochs - 0.01 for epochs in self.epochs):
            ends = sorted({f"{min(self.epochs):.3g}", f"{max(self.epochs):.3g}"}, key=float)
            words += f", {'–'.join(ends)} of {self.forecast.epochs:g} epochs"
        if self.side < 1:
            words += f", at {self.candidate.ground.context.network.backbone.input.size_px} px"
        return words

    @property
    def expected_s(self) -> float:
        """Seconds that what was run was expected to take; those of all of it where it is run whole or was left out."""
        if not self.folds:
            return self.whole_s
        cost = cost_of(self.forecast).at_side(self.side)
        return cost.setup_s + sum(cost.fold_s(epochs) - cost.setup_s for epochs in self.epochs)


def cost_of(forecast: Forecast) -> Cost:
    """Return what a plan takes by its forecast."""
    return Cost(forecast.prefix_s, forecast.start_s, forecast.epoch_s, forecast.answers_s, forecast.growth)


class Measured(Protocol):
    """What is learnt of a candidate: `ratio` and `slowed` of `Tried`."""

    ratio: float | None
    slowed: float


class Pace:
    """What training runs took, over what was forecast: by plan, and by how busy the machine has become since.

    Attributes:
        all: All candidates of a run.
    """

    def __init__(self, candidates: Sequence[Measured]) -> None:
        self.all = candidates

    def factor(self, one: Measured) -> float:
        """Return the seconds a candidate will take over those forecast: by its own last run, else by the others'."""
        known = [other.ratio * other.slowed for other in self.all if other.ratio is not None]
        return one.ratio * one.slowed if one.ratio is not None else float(np.mean(known)) if known else 1.0

    def learn(self, one: Measured, *, took_s: float, forecast_s: float) -> None:
        """Take in what a run of a candidate took, next to what was forecast of just this.

        One that takes longer than was expected of it again says so of all others; one that is quicker takes back no
        more than what was said: who was measured in between is not known to be quicker.
        """
        ratio = min(PACES[1], max(PACES[0], took_s / max(1e-6, forecast_s)))
        if one.ratio is not None:
            news = ratio / (one.ratio * one.slowed)
            for other in self.all:
                other.slowed = max(1.0, other.slowed * news)
        one.ratio, one.slowed = ratio, 1.0


def untried(
    candidates: Sequence[Candidate],
    *,
    num_folds: int | None = None,
    limit_s: float = float("inf"),
    picture_s: float | None = None,
) -> tuple[Tried, ...]:
    """Return candidates with what is expected of them, none of them run.

    Args:
        candidates: All of one run.
        num_folds: That each will answer; 0: it learns from every row of choosing and answers the test rows; None: all
            folds of a repeat, and the final training run.
        limit_s: Seconds that measuring may take, about.
        picture_s: Seconds of a picture from its file through the backbone; measured where it is None.
    """
    if not candidates:
        return ()
    shared = candidates[0].ground
    contexts = [(candidate.plan, candidate.ground.context) for candidate in candidates]
    forecasts = forecast_plans(contexts, shared.split, bank=shared.bank.spec, picture_s=picture_s, limit_s=limit_s)
    tried, agree = [], shared.context.machine.processes.agree
    for candidate, measured in zip(candidates, forecasts, strict=True):
        forecast = replace(
            measured,
            prefix_s=agree(measured.prefix_s),
            start_s=agree(measured.start_s),
            epoch_s=agree(measured.epoch_s),
            answers_s=agree(measured.answers_s),
            answer_s=agree(measured.answer_s),
        )
        if num_folds is None:
            whole_s = forecast.folds_s(shared.split.num_folds) + forecast.final_s
        elif num_folds:
            whole_s = forecast.folds_s(num_folds)
        else:
            whole_s = forecast.prefix_s + forecast.final_s + len(shared.split.test) * forecast.answer_s
        tried.append(Tried(candidate, forecast, whole_s))
    return tuple(tried)


def forecast_rows(tried: Sequence[Tried]) -> tuple[Mapping[str, Any], ...]:
    """Return forecasts next to what happened, as a report shows them; what was left out has all it would take."""
    return tuple(
        {
            "strategy": one.name,
            "seconds": one.expected_s,
            "memory_bytes": one.forecast.memory_bytes,
            "disk_bytes": one.forecast.disk_bytes,
            "outcome": one.outcome,
            "took_s": one.took_s,
            "folds": len(one.folds),
            "epochs": [round(epochs, 2) for epochs in one.epochs],
            "epochs_wanted": one.forecast.epochs,
            "size_px": one.candidate.ground.context.network.backbone.input.size_px if one.side < 1 else None,
        }
        for one in tried
    )
