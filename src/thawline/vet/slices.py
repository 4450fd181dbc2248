"""Answers of a model and facts of the pictures -> parts of the set on which it is significantly less often right.

One idea: a part is compared with what its mix of classes would give, so that a hard class is not taken for a bad light.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from thawline.core.intervals import accuracy_interval
from thawline.core.types import Bools, Floats, Ints
from thawline.data.facts import Facts
from thawline.vet.answered import Answered

__all__ = ["Slice", "Slices", "find_slices"]

FALSE_DISCOVERIES = 0.05
"""Share of what is found that may be chance (Benjamini and Hochberg 1995, "Controlling the false discovery rate")."""
LEAST_DROP = 0.03
"""How much less often right a part must be to be worth telling."""
MIN_UNITS = 10
TAIL = 0.2
"""Share of the pictures that are called the smallest, darkest, …."""
MOST_OF_TAIL = 0.4
"""Where more pictures than this share are alike at an end, they are no tail."""
MOST_FOUND = 10
MOST_PATHS = 12
MOST_NAMES = 200
"""Formats, folders or groups that are tried, each."""
EXPLAINED = 0.05
"""From this p-value on, class by class, a part is taken to be explained by its classes."""


@dataclass(frozen=True)
class Slice:
    """A part of the pictures on which the model is less often right than on the others.

    Attributes:
        fact: What they share: `size`, `aspect`, `brightness`, `contrast`, `colour`, `blur`, `format`, `folder` or
            `group`.
        name: Which part it is: `the 61 smallest pictures (shorter side up to 180 px)`.
        words: The finding in two sentences.
        num_pictures: How many pictures are in it.
        num_wrong: How many of them were answered wrongly.
        accuracy: Share of them that was answered rightly, in [0, 1].
        low: Lower end of its 95 % interval; copies count once.
        high: Upper end of it.
        others: Share of all other pictures that was answered rightly, in [0, 1].
        expected: What its mix of classes would give: each class as often right as outside of the part, in [0, 1].
        is_class_mix: Whether its classes alone explain it: they are hard outside of the part as well.
        p_value: That it is less often right by chance, one-sided, before the correction over all parts.
        wrong: Paths of pictures in it that were answered wrongly, surest first; at most twelve.
    """

    fact: str
    name: str
    words: str
    num_pictures: int
    num_wrong: int
    accuracy: float
    low: float
    high: float
    others: float
    expected: float
    is_class_mix: bool
    p_value: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Slices:
    """The parts that were tried, and those on which the model is less often right.

    Attributes:
        num_tried: Parts that were tried; the false-discovery rate is held over all of them.
        found: Those that were found, the most wrong answers too many first; at most ten.
    """

    num_tried: int
    found: tuple[Slice, ...]


@dataclass(frozen=True)
class _Part:
    """Some of the pictures: `fact` as in `Slice`, `name` without its article, `mask` (N,) bool."""

    fact: str
    name: str
    mask: Bools


@dataclass(frozen=True)
class _Ends:
    """A number whose lowest and highest fifth are parts.

    Attributes:
        fact: As in `Slice`.
        columns: Of `FACTS`; of several the least.
        lowest: What the pictures with the lowest values are called.
        highest: What those with the highest are called.
        unit: The value at the end of the part, with places for `up to` or `from` and the number; may be empty.
    """

    fact: str
    columns: tuple[str, ...]
    lowest: str
    highest: str
    unit: str = ""


_ENDS = (
    _Ends("size", ("width_px", "height_px"), "smallest pictures", "largest pictures", "shorter side {} {:,.0f} px"),
    _Ends("aspect", ("aspect",), "narrowest pictures", "widest pictures", "{} {:.2f} times as wide as high"),
    _Ends("brightness", ("brightness",), "darkest pictures", "brightest pictures", "mean level {} {:.0f} of 255"),
    _Ends("contrast", ("contrast",), "pictures of least contrast", "pictures of most contrast"),
    _Ends("colour", ("saturation",), "least colourful pictures", "most colourful pictures"),
    _Ends("blur", ("sharpness",), "blurriest pictures", "sharpest pictures"),
)


def find_slices(answered: Answered) -> Slices:
    """Return the parts of the pictures on which the model is significantly less often right.

    Tried are the lowest and the highest fifth of each number, each format, folder and named group, where ten or more
    groups are in the part and ten outside; copies, and what a person says belongs together, count once, by what most of
    them are. The test is Fisher's exact one, one-sided; whether the classes explain a part is asked class by class, by
    the exact form of the test of Mantel and Haenszel (1959), "Statistical aspects of the analysis of data".
    """
    tried = []
    for part in _parts(answered):
        units = _units(part.fact, part.mask, answered)
        if _is_testable(units):
            tried.append((part, units, _p_value(units, by_class=False)))
    limit = _false_discovery_limit(np.array([p_value for _, _, p_value in tried]))
    found = [
        _slice(part, units, answered=answered, p_value=p_value) for part, units, p_value in tried if p_value <= limit
    ]
    found = [one for one in found if one.others - one.accuracy >= LEAST_DROP]
    found.sort(key=lambda one: (-(one.others - one.accuracy) * one.num_pictures, one.name))
    return Slices(len(tried), tuple(found[:MOST_FOUND]))


def _parts(answered: Answered) -> Iterator[_Part]:
    """Yield every part that may be tried."""
    if answered.dataset.facts is not None and len(answered):
        own = answered.dataset.facts.of(answered.paths)
        yield from _ends(own)
        yield from _named("format", own.formats, "{:,} {} pictures")
    yield from _named("folder", _folders(answered), "{:,} pictures in the folder {}")
    groups = [answered.dataset.samples[row].named_group for row in answered.rows.tolist()]
    yield from _named("group", groups, "{:,} pictures of the group {}")


def _ends(facts: Facts) -> Iterator[_Part]:
    """Yield the lowest and the highest fifth of each number, unless too many are alike at that end."""
    for ends in _ENDS:
        values = np.min([facts.column(name) for name in ends.columns], axis=0)
        low = float(np.quantile(values, TAIL, method="lower"))
        high = float(np.quantile(values, 1 - TAIL, method="higher"))
        for called, word, mask, end in (
            (ends.lowest, "up to", values <= low, low),
            (ends.highest, "from", values >= high, high),
        ):
            if mask.mean() <= MOST_OF_TAIL:
                unit = f" ({ends.unit.format(word, end)})" if ends.unit else ""
                yield _Part(ends.fact, f"{mask.sum():,} {called}{unit}", mask)


def _named(fact: str, names: Sequence[str], words: str) -> Iterator[_Part]:
    """Yield the part of each name, the most frequent ones first; of a set with one name none."""
    counts = Counter(names)
    array = np.array([*names, None], dtype=object)[:-1]
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMES]:
        if name and len(counts) > 1 and count >= MIN_UNITS:
            yield _Part(fact, words.format(count, name), array == name)


def _folders(answered: Answered) -> list[str]:
    """Return the folder of every picture, without the folder that is its class."""
    names = answered.dataset.class_names
    folders = []
    for path, label in zip(answered.paths, answered.labels.tolist(), strict=True):
        parts = PurePosixPath(path.replace("\\", "/")).parts[:-1]
        folders.append("/".join(part for part in parts if part != names[label]))
    return folders


def _units(fact: str, part: Bools, answered: Answered) -> tuple[Bools, Bools, Ints]:
    """Return (U,) whether each unit is in the part, whether it was answered wrongly, and its class.

    A unit is a group within a class. Of named groups as parts, copies are units.
    """
    groups = answered.groups
    if fact == "group":
        groups = np.array([answered.dataset.samples[row].copies for row in answered.rows.tolist()], dtype=np.int64)
    units, places = np.unique(np.stack([groups, answered.labels]), axis=1, return_inverse=True)
    places = places.ravel()
    sizes = np.bincount(places)
    inside = np.bincount(places, part) * 2 > sizes
    wrong = np.bincount(places, ~answered.is_right.astype(bool)) * 2 > sizes
    return inside, wrong, units[1]


def _is_testable(units: tuple[Bools, Bools, Ints]) -> bool:
    inside = units[0]
    return bool(min(inside.sum(), (~inside).sum()) >= MIN_UNITS)


def _p_value(units: tuple[Bools, Bools, Ints], *, by_class: bool) -> float:
    """Return the probability of so many wrong units in a part by chance, within each class or overall."""
    from scipy.stats import hypergeom

    inside, wrong, labels = units
    pmf, least = np.ones(1), 0
    for label in np.unique(labels).tolist() if by_class else [None]:
        own = np.ones(len(labels), dtype=bool) if label is None else labels == label
        num, num_wrong, num_inside = int(own.sum()), int(wrong[own].sum()), int(inside[own].sum())
        low, high = max(0, num_inside + num_wrong - num), min(num_inside, num_wrong)
        pmf = np.convolve(pmf, hypergeom.pmf(np.arange(low, high + 1), num, num_wrong, num_inside))
        least += low
    observed = int((inside & wrong).sum())
    return float(min(1.0, pmf[observed - least :].sum()))


def _false_discovery_limit(p_values: Floats) -> float:
    """Return the largest p-value that is found; below all of them where none is."""
    if not len(p_values):
        return -1.0
    ordered = np.sort(p_values)
    is_below = ordered <= FALSE_DISCOVERIES * np.arange(1, len(ordered) + 1) / len(ordered)
    return float(ordered[np.flatnonzero(is_below)[-1]]) if is_below.any() else -1.0


def _expected(part: Bools, answered: Answered) -> float:
    """Return which share of a part would be right if each class were so often right as outside of it.

    A class that lies wholly within the part counts as it is: nothing says that the part is what makes it hard.
    """
    num_classes = len(answered.dataset.class_names)
    right = answered.is_right.astype(np.float64)
    inside, all_of = (np.bincount(answered.labels[own], minlength=num_classes) for own in (part, part | True))
    right_inside, right_all = (
        np.bincount(answered.labels[own], right[own], minlength=num_classes) for own in (part, part | True)
    )
    outside = all_of - inside
    share = np.where(outside > 0, right_all - right_inside, right_inside) / np.maximum(
        np.where(outside > 0, outside, inside), 1
    )
    return float((share * inside).sum() / inside.sum())


def _slice(part: _Part, units: tuple[Bools, Bools, Ints], *, answered: Answered, p_value: float) -> Slice:
    """Return what is told of a part."""
    is_right, mask = answered.is_right.astype(np.float64), part.mask
    accuracy, others = float(is_right[mask].mean()), float(is_right[~mask].mean())
    low, high = accuracy_interval(is_right[mask], answered.groups[mask])
    expected = _expected(mask, answered)
    is_class_mix = _p_value(units, by_class=True) > EXPLAINED
    wrong = np.flatnonzero(mask & (is_right == 0))
    surest = wrong[np.argsort(-answered.confidence[wrong], kind="stable")][:MOST_PATHS]
    mix = f"its mix of classes alone would give {_percent(expected)}"
    why = f"{mix[0].upper()}{mix[1:]}" if not is_class_mix else f"The classes may be why: {mix}"
    return Slice(
        fact=part.fact,
        name=f"the {part.name}",
        words=f"Of the {part.name} {_percent(accuracy)} were right [{100 * low:.0f}, {100 * high:.0f}], of the others "
        f"{_percent(others)}. {why}.",
        num_pictures=int(mask.sum()),
        num_wrong=len(wrong),
        accuracy=accuracy,
        low=low,
        high=high,
        others=others,
        expected=expected,
        is_class_mix=is_class_mix,
        p_value=p_value,
        wrong=tuple(answered.paths[row] for row in surest.tolist()),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
