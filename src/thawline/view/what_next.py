"""The data of a report -> what to do next: a few steps, the one that should bring most first, each with its gain.

One idea: a step is only told where the run found a reason for it, and its gain is a number of the run or is said not
to be known. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from thawline.core.scores import Score
from thawline.vet.abstaining import CoveragePoint
from thawline.view.report_data import ReportData
from thawline.view.words import percent, points

__all__ = ["MOST_STEPS", "Step", "next_steps"]

MOST_STEPS = 3
LEAST_ANSWERED = 0.5
"""Share of the pictures that a model must still answer where it leaves the others to a person."""
LEAST_GAIN = 0.0005
"""Of a score: less reads as nothing."""
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


def _suspects(data: ReportData) -> Iterator[Step]:
    """Tell of labels in doubt: how many are wrong by estimate, or that hardly one is."""
    found = data.advice.suspects if data.advice else None
    if found is None or not found.num_found:
        return
    doubtful = min(found.num_copies + found.num_likely, found.num_found)
    correct = "Correct what is wrong in `suspects.csv` and run again with `--corrections suspects.csv`."
    if not doubtful:
        yield Step(
            f"Look at {_counted(found.num_found, 'picture')} taken for another class",
            f"By estimate hardly one of the labels is wrong: most are hard pictures. {correct}",
            "not known: a label put right is a mistake less",
            "data",
            weight=0.1 * found.num_found / found.num_asked,
        )
        return
    copies = f"{found.num_copies:,} cop{'y' if found.num_copies == 1 else 'ies'}"
    told = f"{copies} of a picture under another label. " if found.num_copies else ""
    told += f"By estimate about {found.num_likely:,} labels are wrong, most of them early in the list. "
    yield Step(
        f"Look at the first {_counted(doubtful, 'label')} in doubt",
        f"{told}{correct}",
        f"about {percent(doubtful / found.num_asked)} of the labels put right, if the estimate holds: a model that is "
        "often wrong doubts right labels too",
        "data",
        weight=(found.num_copies + 0.5 * found.num_likely) / found.num_asked,
    )


def _cheats(data: ReportData) -> Iterator[Step]:
    """Tell of a fact that alone gives a class away, where what the pictures show hardly explains it."""
    cheats = [cheat for cheat in data.check.get("cheats", ()) if cheat.get("is_technical")]
    if not cheats:
        return
    yield Step(
        f"Make sure that {cheats[0]['class']} is not told by its {cheats[0]['fact']}",
        f"{cheats[0]['words']}",
        f"a score to rely on: where that fact is missing, up to {percent(cheats[0]['accuracy'] - cheats[0]['chance'])} "
        "of being right on this class may be missing too",
        "data",
        weight=0.05,
    )


def _more_pictures(data: ReportData) -> Iterator[Step]:
    """Tell of the class that more pictures should help most, else of more pictures of all."""
    found = data.advice.more_pictures if data.advice else None
    if found is None or not found.points:
        return
    helped = [one for one in found.classes if one.helps]
    total = max(1, sum(one.pictures for one in found.classes))
    if helped:
        best = max(helped, key=lambda one: one.gain * one.pictures)
        yield Step(
            f"Photograph {found.more:,} more of {best.name}",
            f"It has {best.pictures:,} pictures to learn from, and {percent(best.recall)} of them were right when they "
            "were held out.",
            f"{points(best.gain)} points [{points(best.low_80)} to {points(best.high_80)}] on {best.name}",
            "next",
            weight=best.gain * best.pictures / total,
        )
    twice = next((one for one in found.forecast if one.pictures >= 2 * found.pictures), None)
    if twice is not None and twice.gain_low > 0 and twice.gain >= LEAST_GAIN:
        yield Step(
            "Photograph more of everything",
            f"The model learnt from {found.pictures:,} pictures and still gets better with more of them.",
            f"{points(twice.gain)} points [{points(twice.gain_low)} to {points(twice.gain_high)}] from twice as many",
            "next",
            weight=twice.gain / 2,
        )


def _abstain(data: ReportData) -> Iterator[Step]:
    """Tell what it brings to leave the least sure answers to a person."""
    curve = data.advice.abstaining.curve if data.advice and data.advice.abstaining else ()
    if not curve:
        return
    error = 1 - curve[-1].accuracy
    better = [one for one in curve if one.coverage >= LEAST_ANSWERED and 1 - one.accuracy <= error / 2]
    if error <= 0 or not better:
        return
    best: CoveragePoint = max(better, key=lambda one: one.coverage)
    yield Step(
        "Leave the least sure answers to a person",
        f"Of its answers with a probability of {percent(best.min_probability)} or more, {percent(best.accuracy)} were "
        f"right: {percent(best.coverage)} of the pictures.",
        f"wrong answers fall from {percent(error)} to {percent(1 - best.accuracy)}",
        "sure",
        weight=0.3 * (error - (1 - best.accuracy)),
    )


def _slices(data: ReportData) -> Iterator[Step]:
    """Tell of a kind of pictures that is answered wrong more often than its classes explain."""
    found = data.advice.slices.found if data.advice and data.advice.slices else ()
    hard = [one for one in found if not one.is_class_mix]
    if not hard or not data.album.num_answered:
        return
    one = max(hard, key=lambda found: (found.expected - found.accuracy) * found.num_pictures)
    share = (one.expected - one.accuracy) * one.num_pictures / data.album.num_answered
    yield Step(
        "Photograph more of what it finds hard",
        one.words,
        f"up to {points(share)} points in all, if these come up to the others",
        "fails",
        weight=share / 2,
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
    if confusion is None or data.album.num_mistakes < 3 or (data.advice and data.advice.more_pictures):
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


def _counted(num: int, thing: str) -> str:
    return f"{num:,} {thing}{'' if num == 1 else 's'}"


def _has_trained(data: ReportData) -> bool:
    return any(trial.strategy.kind != "frozen" for trial in data.leaderboard.trials)


REASONS: tuple[Callable[[ReportData], Iterator[Step]], ...] = (
    _conflicts,
    _suspects,
    _cheats,
    _more_pictures,
    _abstain,
    _slices,
    _confused,
    _weakest,
    _few_tested,
    _larger,
    _elsewhere,
)
