"""Facts of the pictures and their classes -> facts that alone tell a class from the others: a way to cheat.

The one idea: a tiny head, out of fold, is given one fact and asked for one class against all others. Classes differ in
light and colour by what they show, so such a fact must nearly give the class away; one that comes from taking, editing
or saving needs far less. The bars are measured: docs/decisions/0034-does-it-cheat.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thawline.core.intervals import class_mean_intervals
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.data.facts import Facts
from thawline.data.told_apart import clear_low, out_of_fold

__all__ = ["Cheat", "find_cheats"]

TECHNICAL = 0.65
"""What the lower end of the AUROC must reach where a fact comes from taking, editing or saving a picture."""
CONTENT = 0.85
"""The same where it may as well come from what the picture shows."""
CHANCE = 0.5
MAX_ROWS = 10_000
FAMILY_ERROR = 0.01
"""Probability of any finding where no fact tells any class, shared evenly by all that are tried."""
_MOST_OF_A_FACT = 5
_DISTINCT = 16
_BINS = 10
_BINS_OF_TOPS = 6  # of the brightest levels: fewer tell an edited class better, and one that is not worse
_WHY_TECHNICAL = "They may have been taken, edited or saved in another way, and a model may learn that instead."
_WHY_CONTENT = "It may be what these pictures show, or how they were taken: compare them with the others."


@dataclass(frozen=True)
class Cheat:
    """A fact that alone tells a class from the others.

    Attributes:
        fact: Which one: `format`, `compression`, `size`, `aspect`, `brightness`, `contrast`, `colour`, `blur`, `border`
            or `background`.
        class_name: The class that is told.
        accuracy: Mean of the shares of this class and of the others that a tiny head answers rightly out of fold.
        low: Lower end of its 95 % interval; copies count once.
        high: Upper end of it.
        chance: What guessing gets.
        auroc: How often, of a picture of the class and one of the others, the head finds out which is which.
        p_value: That it is no better than guessing, before the correction over all that was tried.
        is_technical: Whether what the pictures show hardly explains it.
        words: The finding in two sentences.
    """

    fact: str
    class_name: str
    accuracy: float
    low: float
    high: float
    chance: float
    auroc: float
    p_value: float
    is_technical: bool
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; the name of the class under `class`."""
        plain = dict(vars(self))
        return {"fact": plain.pop("fact"), "class": plain.pop("class_name")} | plain


@dataclass(frozen=True)
class _Measure:
    """One way to look at a fact.

    Attributes:
        fact: As in `Cheat`.
        columns: Of `FACTS`; none for the format and the brightest levels, which are kept apart.
        bar: `TECHNICAL` or `CONTENT`.
        subject: What tells the class, as a sentence begins.
        unit: Of the first column, with its place for the number; empty where a number would say nothing.
    """

    fact: str
    columns: tuple[str, ...]
    bar: float
    subject: str
    unit: str = ""


_MEASURES = (
    _Measure("format", (), TECHNICAL, "The file format"),
    _Measure("compression", ("jpeg_table",), TECHNICAL, "How strongly the JPEG was compressed"),
    _Measure("size", ("pixels", "width_px", "height_px"), TECHNICAL, "The size", "{:,.0f} pixels"),
    _Measure("aspect", ("aspect",), TECHNICAL, "The shape of the frame", "{:.2f} times as wide as high"),
    _Measure("brightness", (), TECHNICAL, "How full the very brightest levels are"),
    _Measure("brightness", ("brightness", "darkest", "brightest"), CONTENT, "Brightness", "a mean level of {:.0f}"),
    _Measure("contrast", ("contrast",), CONTENT, "Contrast", "a spread of {:.0f} levels"),
    _Measure("colour", ("is_grey",), TECHNICAL, "Whether there is colour"),
    _Measure("colour", ("saturation", "warmth"), CONTENT, "How colourful it is", "{:.0f} levels between channels"),
    _Measure("blur", ("sharpness",), CONTENT, "Sharpness", "a sharpness of {:.1f}"),
    _Measure("border", ("border", "border_spread"), CONTENT, "The border", "a mean level of {:.0f}"),
    _Measure("background", ("corners", "corners_spread"), CONTENT, "The corners", "a mean level of {:.0f}"),
    _Measure("compression", ("bytes_per_pixel",), CONTENT, "Bytes a pixel", "{:.2f} bytes"),
)


def find_cheats(dataset: Dataset, facts: Facts) -> tuple[Cheat, ...]:
    """Return the facts that alone tell a class from the others, technical ones first, the clearest first.

    Of copies one is asked; groups never straddle a fold. A class of fewer than ten groups is told by nothing. At most
    10,000 pictures are asked, of each class as many as it has or as all have.

    Args:
        dataset: Checked pictures with their groups.
        facts: Of them at least.
    """
    if len(dataset.class_names) < 2:
        return ()
    rows = _asked(dataset)
    labels, groups = dataset.labels[rows], dataset.groups[rows]
    own = facts.of([dataset.samples[row].path for row in rows.tolist()])
    limit = FAMILY_ERROR / (len(_MEASURES) * len(dataset.class_names))
    found = [
        cheat
        for measure in _MEASURES
        for cheat in _of_measure(measure, own, labels=labels, groups=groups, names=dataset.class_names, limit=limit)
    ]
    clearest: dict[tuple[str, str], Cheat] = {}
    for cheat in sorted(found, key=lambda one: (not one.is_technical, -one.auroc, one.fact, one.class_name)):
        clearest.setdefault((cheat.fact, cheat.class_name), cheat)
    return tuple(clearest.values())


def _asked(dataset: Dataset) -> Ints:
    """Return (n,) rows that are asked, ascending: the first of each set of copies under a label, and not too many."""
    keys = [(sample.copies, sample.label) for sample in dataset.samples]
    first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
    rows = np.array(sorted(first.values()), dtype=np.int64)
    if len(rows) <= MAX_ROWS:
        return rows
    mixed = np.random.default_rng(0).permutation(rows)
    by_class = mixed[np.argsort(dataset.labels[mixed], kind="stable")]
    labels = dataset.labels[by_class]
    turn = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return np.sort(by_class[np.argsort(turn, kind="stable")[:MAX_ROWS]])


def _of_measure(
    measure: _Measure, facts: Facts, *, labels: Ints, groups: Ints, names: tuple[str, ...], limit: float
) -> list[Cheat]:
    """Return what one measure tells, the clearest class first, each next one among the classes that are left."""
    bins = _binned(measure, facts)
    left = np.ones(len(labels), dtype=bool) if measure.columns or measure.fact == "format" else facts.has_highlights
    found: list[Cheat] = []
    while bins is not None and len(found) < _MOST_OF_A_FACT and len(np.unique(labels[left])) > 1:
        told = [
            (low, auroc, p_value, scores, number)
            for number, scores in out_of_fold(bins[left], labels[left], groups=groups[left], num_classes=len(names))
            for auroc, low, p_value in [clear_low(scores, labels[left] == number, groups=groups[left])]
            if low >= measure.bar and p_value <= limit
        ]
        if not told:
            break
        _, auroc, p_value, scores, number = max(told, key=lambda one: (one[0], -one[4]))
        is_own = labels[left] == number
        means, lows, highs = class_mean_intervals(
            is_own.astype(np.int64), (scores > 0).astype(np.int64), groups=groups[left], num_classes=2
        )
        accuracy, low, high = float(means[1]), float(lows[1]), float(highs[1])
        if low > CHANCE:
            rest = [name for place, name in enumerate(names) if place != number and (labels[left] == place).any()]
            others = "the others" if len(rest) > 1 else f"`{rest[0]}`"
            example = _example(measure, facts, left=left, is_own=is_own)
            words = (
                f"{measure.subject} alone tells `{names[number]}` from {others} in {100 * accuracy:.0f} % "
                f"[{100 * low:.0f}, {100 * high:.0f}] where chance is 50 %{example}. "
                f"{_WHY_TECHNICAL if measure.bar == TECHNICAL else _WHY_CONTENT}"
            )
            found.append(
                Cheat(
                    measure.fact, names[number], accuracy, low, high, CHANCE, auroc, p_value,
                    measure.bar == TECHNICAL, words,
                )
            )  # fmt: skip
        left &= labels != number
    return found


def _binned(measure: _Measure, facts: Facts) -> Ints | None:
    """Return (N, d) bins of what is measured, of few distinct values one each; None where it is the same everywhere."""
    if measure.fact == "format":
        columns: list[Floats] = [np.unique(facts.formats, return_inverse=True)[1].astype(np.float64)]
    elif measure.columns:
        columns = [facts.column(name) for name in measure.columns]
    else:
        columns = list(facts.spikes.T)
    bins, num_bins = [], _BINS if measure.columns else _BINS_OF_TOPS
    for values in columns:
        distinct, places = np.unique(values, return_inverse=True)
        if len(distinct) > _DISTINCT:
            edges = np.unique(np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1]))
            places = np.searchsorted(edges, values, side="right")
        if places.any():
            bins.append(places)
    return np.column_stack(bins).astype(np.int64) if bins else None


def _example(measure: _Measure, facts: Facts, *, left: Ints, is_own: Ints) -> str:
    """Return how the class and the others differ, in words that follow the finding, or nothing."""
    if measure.fact == "format":
        formats = np.array(facts.formats)[left]
        shares = {name: (formats[is_own] == name).mean() - (formats[~is_own] == name).mean() for name in set(formats)}
        name = max(sorted(shares), key=lambda one: shares[one])
        own, other = (100 * (formats[part] == name).mean() for part in (is_own, ~is_own))
        return f": {own:.0f} % of its pictures are {name}, of the others {other:.0f} %"
    if measure.columns == ("is_grey",):
        own, other = (100 * facts.column("is_grey")[left][part].mean() for part in (is_own, ~is_own))
        return f": {own:.0f} % of its pictures are grey, of the others {other:.0f} %"
    if not measure.unit:
        return ""
    own, other = (float(np.median(facts.column(measure.columns[0])[left][part])) for part in (is_own, ~is_own))
    return (
        f": half of its pictures have more than {measure.unit.format(own)}, of the others {measure.unit.format(other)}"
    )
