"""The data of a report -> what to do next: a few steps, the one that should bring most first, each with its gain.

One idea: a step is only told where the run found a reason for it, and its gain is a number of the run or is said not
to be known. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from thawline.core.scores import Score
from thawline.view.report_data import ReportData
from thawline.view.words import percent, points

__all__ = ["MOST_STEPS", "Step", "next_steps"]

MOST_STEPS = 3
FEW_TESTED = 200
"""Held-out pictures below which more of them are worth having."""


@dataclass(frozen=True)
class Step:
    """Something to do.

    Attributes:
        title: What to do, as an order.
        text: Why, from what the run found.
        gain: What it should bring.
        section: Part of the page that shows more, or empty.
        weight: How much it should bring, in shares of right answers or as near to that as can be said; for the order.
    """

    title: str
    text: str
    gain: str
    section: str = ""
    weight: float = 0.0


def next_steps(data: ReportData, *, most: int = MOST_STEPS) -> tuple[Step, ...]:
    """Return the steps that should bring most, surest first; as many as there are reasons for, at most `most`."""
    found = [step for reasons in REASONS for step in reasons(data)]
    return tuple(sorted(found, key=lambda step: -step.weight)[:most])


def _conflicts(data: ReportData) -> Iterator[Step]:
    """Tell of the same picture under two labels."""
    conflicts = data.check.get("conflicts", ())
    if not conflicts:
        return
    num, used = len(conflicts), max(1, int(data.check.get("used", 1)))
    pictures = "picture lies" if num == 1 else "pictures lie"
    yield Step(
        "Decide on pictures that have two labels",
        f"{num:,} {pictures} in more than one class. A model can only be right about one of them.",
        f"up to {percent(num / used)} of your labels put right",
        "data",
        weight=num / used + 0.02,
    )


def _confused(data: ReportData) -> Iterator[Step]:
    """Tell of the two classes that are taken for each other most."""
    confusion = data.album.confusion
    if confusion is None or data.album.num_answered == 0 or len(confusion) < 3:
        return
    both = np.triu(confusion + confusion.T, 1)
    first, second = divmod(int(both.argmax()), len(both))
    num = int(both[first, second])
    if num < 2:
        return
    one, other = data.class_names[first], data.class_names[second]
    yield Step(
        f"Photograph what tells {one} and {other} apart",
        f"{num:,} of the {data.album.num_mistakes:,} mistakes take one of the two for the other. Look at these first: "
        "is the label right, and could you tell yourself?",
        f"at most {points(num / data.album.num_answered)} points, if all of them are put right",
        "fails",
        weight=num / data.album.num_answered / 2,
    )


def _weakest(data: ReportData) -> Iterator[Step]:
    """Tell of the class with the most of its pictures wrong, where that is more than its share."""
    confusion = data.album.confusion
    if confusion is None or data.album.num_mistakes < 3:
        return
    totals = confusion.sum(axis=1)
    wrong = totals - np.diag(confusion)
    weakest = int(np.argmax(wrong / np.maximum(totals, 1)))
    if wrong[weakest] < 2:
        return
    name = data.class_names[weakest]
    yield Step(
        f"Photograph more of {name}",
        f"{int(wrong[weakest]):,} of its {int(totals[weakest]):,} pictures were answered wrong, more than of any other "
        "class.",
        f"at most {points(float(wrong[weakest]) / data.album.num_answered)} points in all",
        "fails",
        weight=float(wrong[weakest]) / data.album.num_answered / 3,
    )


def _few_tested(data: ReportData) -> Iterator[Step]:
    """Tell that the score is a rough one, where few pictures were held out."""
    score = data.headline
    if score is None or score.n >= FEW_TESTED:
        return
    half = (score.high - score.low) / 2
    times = max(2, round(4 * FEW_TESTED / max(score.n, 1) / 4))
    yield Step(
        "Keep more labelled pictures aside",
        f"The score stands on {score.n:,} pictures, so it may lie anywhere from {percent(score.low)} to "
        f"{percent(score.high)}.",
        f"{times} times as many narrow ±{percent(half)} to about ±{percent(half / times**0.5)}",
        "answer",
        weight=half / 4,
    )


def _larger(data: ReportData) -> Iterator[Step]:
    """Tell that time buys larger inputs and training, where none was given."""
    if data.budget_s is not None or data.rows or data.headline is None or _has_trained(data):
        return
    error = 1 - data.headline.value
    yield Step(
        "Give it time to try more",
        "Only the frozen network was read. With a time budget larger pictures and further networks are tried, and the "
        "most promising are trained: add `--budget 15min` to the command.",
        f"not known before it is tried; {percent(error)} of the answers are wrong now",
        "strategies",
        weight=error / 10,
    )


def _elsewhere(data: ReportData) -> Iterator[Step]:
    """Tell to try the model where it is to be used: always worth doing."""
    score: Score | None = data.headline
    if score is None:
        return
    yield Step(
        "Try it where it is to be used",
        "The score holds for pictures like these. Label fifty from the place where the model will work and score it on "
        "them: `thawline evaluate`.",
        "you learn whether the score holds there",
        "usage",
        weight=0.0,
    )


def _has_trained(data: ReportData) -> bool:
    return any(trial.strategy.kind != "frozen" for trial in data.leaderboard.trials)


REASONS: tuple[Callable[[ReportData], Iterator[Step]], ...] = (
    _conflicts,
    _confused,
    _weakest,
    _few_tested,
    _larger,
    _elsewhere,
)
