"""How strange every held-out picture looks to a model -> the false alarms of "none of these", and the strangest ones.

One idea: a picture of the data that looks like none of its classes is either rare and worth more of its like, or does
not belong there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thawline.core.intervals import accuracy_interval
from thawline.core.types import Floats, Ints
from thawline.data.dataset import Dataset
from thawline.use.doubt import Doubt

__all__ = ["Doubted", "Strange", "Strangest", "strangest"]

MOST_SHOWN = 24


@dataclass(frozen=True)
class Doubted:
    """How strange pictures look that were held out, to fits without them.

    Attributes:
        rows: (n,) indices of samples, ascending.
        outside: (n,) float64 shares of the held-out training pictures that look less strange.
        score: (n,) how strange.
        doubt: When the model abstains.
        note: What a person should know of its promise; empty where there is nothing.
    """

    rows: Ints
    outside: Floats
    score: Floats
    doubt: Doubt
    note: str

    @property
    def strange(self) -> Ints:
        """Indices of the samples to which the model says "none of these", ascending."""
        return self.rows[self.outside > 1 - self.doubt.false_alarms]


@dataclass(frozen=True)
class Strange:
    """One picture that looks strange.

    Attributes:
        path: As shown to people.
        label: Its class.
        outside: Share of the held-out training pictures that look less strange, in [0, 1].
        score: How strange, on a scale whose standard deviation over held-out pictures is about 1.
        is_outside: Whether the model says "none of these" to it.
        is_test: Whether it is a test picture.
    """

    path: str
    label: str
    outside: float
    score: float
    is_outside: bool
    is_test: bool


@dataclass(frozen=True)
class Strangest:
    """What "none of these" costs on pictures that do belong, and which of them look strangest.

    Attributes:
        read_from: `features`, or `answers` where the network was trained and only its answers are held out.
        false_alarms: Share of the pictures that belong which may be called strange, as it was named.
        resolved: The least share that so few pictures can tell: above `false_alarms` it is what is promised instead.
        num_groups: Independent held-out pictures that set the threshold.
        test_alarms: Share of the test pictures that are called strange; None where there is no test.
        test_low: Lower end of its 95 % interval.
        test_high: Upper end.
        num_test: Test pictures.
        strangest: At most 24 pictures, strangest first.
        note: What a person should know; empty where there is nothing.
    """

    read_from: str
    false_alarms: float
    resolved: float
    num_groups: int
    test_alarms: float | None
    test_low: float
    test_high: float
    num_test: int
    strangest: tuple[Strange, ...]
    note: str = ""


def strangest(doubted: Doubted, dataset: Dataset, *, test: Ints) -> Strangest:
    """Return what "none of these" costs on pictures that belong, and the strangest of them.

    Args:
        doubted: How strange they look.
        dataset: All pictures.
        test: Indices of the test pictures; those without a score count nowhere.
    """
    doubt, rows = doubted.doubt, doubted.rows
    is_test, is_outside = np.isin(rows, test), np.isin(rows, doubted.strange)
    resolved = 1 / (doubt.num_groups + 1)
    low, high, alarms = 0.0, 1.0, None
    if is_test.any():
        found = is_outside[is_test].astype(np.float64)
        alarms = float(found.mean())
        low, high = accuracy_interval(found, dataset.groups[rows[is_test]])
    order = np.lexsort((rows, -doubted.score.astype(np.float64)))[:MOST_SHOWN]
    shown = [
        Strange(
            path=dataset.samples[row].path,
            label=dataset.class_names[dataset.samples[row].label],
            outside=float(doubted.outside[place]),
            score=float(doubted.score[place]),
            is_outside=bool(is_outside[place]),
            is_test=bool(is_test[place]),
        )
        for place, row in zip(order.tolist(), rows[order].tolist(), strict=True)
    ]
    return Strangest(
        read_from=doubt.read_from or "answers",
        false_alarms=doubt.false_alarms,
        resolved=resolved,
        num_groups=doubt.num_groups,
        test_alarms=alarms,
        test_low=low,
        test_high=high,
        num_test=int(is_test.sum()),
        strangest=tuple(shown),
        note=_note(doubt.num_groups, doubt.false_alarms),
    )


def _note(num_groups: int, false_alarms: float) -> str:
    """Return what is to be said where the pictures are too few for the rate that was named."""
    resolved = 1 / (num_groups + 1)
    if resolved <= false_alarms:
        return ""
    needed = int(np.ceil(1 / false_alarms - 1 - 1e-9))
    return (
        f"{num_groups:,} held-out pictures are too few for false alarms of {100 * false_alarms:g} %, which take "
        f"{needed:,}: about {100 * resolved:.1f} % of the pictures that belong are called strange, those that look "
        "stranger than all of them."
    )
