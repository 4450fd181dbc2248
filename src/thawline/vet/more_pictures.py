"""Held-out hits of heads that learnt from fewer pictures -> what more pictures should bring: in all, and of each class.

One idea: a score is measured where there are pictures, and forecast beyond by all power laws that fit (`power_law`).
Nothing is chosen here, and no test picture is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thawline.core.intervals import copies_factor, wilson
from thawline.core.types import Floats, Ints
from thawline.search.answers import Rows
from thawline.search.spread import MEANS_FACTOR, spread_of
from thawline.vet.power_law import Laws, fit_laws
from thawline.vet.thinning import Thinned

__all__ = ["ClassGain", "CurvePoint", "Forecast", "MorePictures", "class_gains", "laws_of", "more_pictures"]

TIMES = (1, 1.5, 2, 4)
"""Of the pictures that there are: where the curve is asked."""
ROUND = (5, 10, 20, 50, 100, 200, 500, 1000)
"""How many more of a class are asked about: the most of these that are no more than half of a typical class."""
PRIOR_DRAWS, PRIOR_PICTURES = 2, 2
"""As if so many drawings, or pictures, had varied as usual: a few alone do not say how much they do."""
LEAST_SPREAD = 0.5
"""Share of what a class's own pictures bring by which classes differ at least."""
STEEPER = 1.5
"""By which what a class's own pictures bring falls off faster than what pictures of all classes bring together."""
OWN_FACTOR = 4.0
"""By which the held-out pictures alone understate the variance of what a class's own pictures bring."""
ENDS_95, ENDS_80 = (0.025, 0.975), (0.1, 0.9)


@dataclass(frozen=True)
class CurvePoint:
    """The score of heads that learnt from so many pictures, on pictures that they never saw.

    Attributes:
        pictures: Training pictures.
        mean: Score in [0, 1]; measured, or by the curve.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        low_80: Lower end of its 80 % interval.
        high_80: Upper end of it.
    """

    pictures: int
    mean: float
    low: float
    high: float
    low_80: float
    high_80: float


@dataclass(frozen=True)
class Forecast(CurvePoint):
    """What the curve says of more pictures than there are.

    Attributes:
        gain: Score less that of as many pictures as there are, in [-1, 1].
        gain_low: Lower end of its 80 % interval.
        gain_high: Upper end of it.
    """

    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class ClassGain:
    """What more pictures of one class should bring to its recall.

    Attributes:
        name: The class.
        pictures: How many there are to learn from.
        recall: Share of them that was right, out of fold, in [0, 1].
        gain: What `MorePictures.more` more of them should add to its recall, in [-1, 1].
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        low_80: Lower end of its 80 % interval.
        high_80: Upper end of it.
        helps: Whether the 80 % interval lies above 0; else more would hardly help, or it is not known.
    """

    name: str
    pictures: int
    recall: float
    gain: float
    low: float
    high: float
    low_80: float
    high_80: float
    helps: bool


@dataclass(frozen=True)
class MorePictures:
    """What more pictures should bring.

    Attributes:
        metric: What is scored: `accuracy` or `balanced_accuracy`.
        strategy: Whose curve it is: the one that is kept, or the best frozen one where a trained network is kept.
        pictures: How many there are to learn from, those of the test not among them.
        points: What was measured, few pictures first; empty where nothing could be.
        forecast: What the curve says at `pictures`, at half as many again, at twice and at four times as many.
        more: How many more pictures of a class `classes` speaks of.
        classes: Most gain first: what to photograph next; empty where it could not be asked.
        num_fits: Heads that were fitted for it.
        note: Why something is missing or rougher than usual; empty where nothing is.
    """

    metric: str
    strategy: str
    pictures: int
    points: tuple[CurvePoint, ...] = ()
    forecast: tuple[Forecast, ...] = ()
    more: int = 0
    classes: tuple[ClassGain, ...] = ()
    num_fits: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `learning_curve.json` holds; scripts may rely on `points` and `forecast`, and on their keys."""
        return asdict(self)


def more_pictures(
    thinned: Thinned, rows: Rows, *, class_names: Sequence[str], metric: str, strategy: str, note: str = ""
) -> MorePictures:
    """Return what more pictures should bring, by heads that learnt from fewer.

    Args:
        thinned: What those heads said.
        rows: The rows of choosing.
        class_names: Of all classes.
        metric: As in `MorePictures`.
        strategy: As in `MorePictures`.
        note: As in `MorePictures`.
    """
    n, (laws, points) = len(rows.labels), laws_of(thinned, rows)
    now, forecast = laws.errors(n), []
    for times in TIMES:
        errors = laws.errors(times * n)
        gain = now - errors
        gain_low, gain_high = _ends(gain, ENDS_80)
        (low, high), (low_80, high_80) = (_ends(1 - errors, ends) for ends in (ENDS_95, ENDS_80))
        mean = float((1 - errors).mean())
        point = (round(times * n), mean, low, high, low_80, high_80)
        forecast.append(Forecast(*point, float(gain.mean()), gain_low, gain_high))
    more = _how_many_more(np.bincount(rows.labels))
    classes = class_gains(thinned, rows, laws=laws, more=more, class_names=class_names)
    return MorePictures(
        metric, strategy, n, points, tuple(forecast), more if classes else 0, classes, thinned.num_fits, note
    )


def _ends(values: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    low, high = np.quantile(values, ends).tolist()
    return low, high


def laws_of(thinned: Thinned, rows: Rows) -> tuple[Laws, tuple[CurvePoint, ...]]:
    """Return the power laws that fit the measured sizes, and what was measured there.

    The sizes are measured on the same held-out pictures, so that their errors move together; how a size depends on
    which pictures were drawn comes on top. That all were drawn from one training set is allowed for as in `spread`.
    """
    weight = rows.weight[thinned.places]
    groups, labels = rows.groups[thinned.places], rows.labels[thinned.places]
    spread = spread_of((1 - thinned.hits).T * weight[:, None], labels=labels, groups=groups, weight=weight)
    together = MEANS_FACTOR * spread.added.T @ spread.added
    usual = (1 - 1 / MEANS_FACTOR) * np.diag(together)  # what one drawing adds where that is not known
    drawn = (thinned.between * thinned.draws * (thinned.draws - 1) + PRIOR_DRAWS * usual) / (
        thinned.draws - 1 + PRIOR_DRAWS
    )
    drawn = np.where(thinned.shares < 1, drawn / thinned.draws, 0.0)
    laws = fit_laws(thinned.pictures, spread.means, covariance=together + np.diag(drawn) + spread.typical**2, seed=0)
    variances = np.diag(together) + drawn
    sizes = zip(thinned.pictures.tolist(), (1 - spread.means).tolist(), variances.tolist(), strict=True)
    return laws, tuple(_measured(*size, most=1 / spread.typical) for size in sizes)


def _measured(pictures: float, mean: float, variance: float, *, most: float) -> CurvePoint:
    """Return a measured point with its Wilson intervals, at the number of pictures that vary as much."""
    mean = min(1.0, max(0.0, mean))
    spread = mean * (1 - mean)
    n = most if spread <= 0 or variance <= 0 else min(most, spread / variance)
    (low, high), (low_80, high_80) = (wilson(mean * n, n, confidence=level) for level in (0.95, 0.8))
    return CurvePoint(round(pictures), mean, low, high, low_80, high_80)


def _how_many_more(counts: Ints) -> int:
    """Return how many more pictures of a class are asked about: a round number that is small next to a typical one."""
    typical = float(np.median(counts[counts > 0]))
    return max([number for number in ROUND if number <= typical / 2], default=ROUND[0])


def class_gains(
    thinned: Thinned, rows: Rows, *, laws: Laws, more: int, class_names: Sequence[str]
) -> tuple[ClassGain, ...]:
    """Return what more pictures of each class should bring to its recall, most first.

    A class's recall with all of its pictures less that with half of them is what its own pictures bring. That is known
    roughly, from few held-out pictures, so it is drawn towards what such pictures bring to all classes, as a share of
    the class's errors (empirical Bayes; Efron & Morris, "Stein's paradox in statistics", 1977): the more, the less the
    class itself shows. What is brought by half of the pictures says by the laws' slopes what more will bring.

    Args:
        thinned: Held-out hits.
        rows: The rows of choosing.
        laws: How errors fall.
        more: Pictures of a class that would come.
        class_names: Of all classes.
    """
    labels = rows.labels[thinned.places]
    known = ~np.isnan(thinned.whole)
    asked = np.unique(labels[known])
    if len(asked) < 2:
        return ()
    counts = np.bincount(rows.labels, minlength=len(class_names))
    trained = np.bincount(rows.labels, weights=(rows.train[:, rows.repeat == 0] > 0).mean(axis=1))
    lost, lost_error, wrong, num = (
        np.array(values)
        for values in zip(
            *(_own(thinned, rows.groups[thinned.places], known & (labels == label)) for label in asked), strict=True
        )
    )
    usual = float((num * wrong).sum() + 1) / float(num.sum() + PRIOR_PICTURES)
    error = (num * wrong + PRIOR_PICTURES * usual) / (num + PRIOR_PICTURES)
    mean, spread = _drawn_together(lost, lost_error, error)
    rng = np.random.default_rng(1)
    found = []
    for place, label in enumerate(asked.tolist()):
        n, slope = int(counts[label]), STEEPER * laws.slope
        halving = mean[place] + spread[place] * rng.standard_normal(len(slope))
        rate = (n / trained[label]) ** -slope * (1 - (1 + more / n) ** -slope) / (2**slope - 1)
        gain = np.minimum(halving * rate, wilson(wrong[place] * num[place], num[place])[1])
        (low, high), (low_80, high_80) = _ends(gain, ENDS_95), _ends(gain, ENDS_80)
        value = float(gain.mean())
        found.append(
            ClassGain(class_names[label], n, float(1 - wrong[place]), value, low, high, low_80, high_80, low_80 > 0)
        )
    return tuple(sorted(found, key=lambda one: -one.gain))


def _own(thinned: Thinned, groups: Ints, is_own: Ints) -> tuple[float, float, float, float]:
    """Return of a class: recall lost by halving it, the variance of that, its share of errors, and its pictures."""
    lost = (thinned.whole - thinned.halved)[is_own]
    copies, n = copies_factor(groups[is_own]), len(lost)
    variance = (((lost - lost.mean()) ** 2).sum() + PRIOR_PICTURES / n) / n**2 * copies * OWN_FACTOR
    return float(lost.mean()), float(variance), float(1 - thinned.hits[-1, is_own].mean()), n / copies


def _drawn_together(lost: Floats, variance: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return what each class loses by halving, and its standard error, drawn towards a share of its errors."""
    weight = error**2 / variance
    share = max(float((lost * error / variance).sum() / weight.sum()), 0.0)
    varies = float(((lost - share * error) ** 2 - variance).sum() / (error**2).sum())
    prior = error**2 * (max(varies, (LEAST_SPREAD * share) ** 2) + 1 / weight.sum())
    pull = prior / (prior + variance)
    return share * error + pull * (lost - share * error), np.sqrt(pull * variance)
