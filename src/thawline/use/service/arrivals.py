"""What a model said of the pictures that arrive -> whether they look unlike those that it learned from.

One idea: of pictures like those that it learned from, a model calls at most a known share strange. Evidence against
that share is a bet whose worth is multiplied picture by picture and never falls below the stake. On pictures like the
learned ones the mean number until it has won `PICTURES_TO_FALSE_ALARM` times its stake is at least that number,
however long one looks (an e-detector: Shin, Ramdas and Rinaldo, 2022).
"""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thawline.core.types import Prediction
from thawline.use.doubt import NONE_OF_THESE, Doubt

__all__ = ["PICTURES_TO_FALSE_ALARM", "WINDOW", "Arrivals", "Drift", "expected_share"]

PICTURES_TO_FALSE_ALARM = 10_000
"""On average, this many pictures or more go by until the first false alarm."""

WINDOW = 200
"""Recent pictures whose shares are told."""

CONFIDENCE = 0.95
"""That the share expected of strange pictures is no larger, after as few held-out pictures as set it."""

STEPS = (0.1, 0.2, 0.4, 0.7, 0.95)
"""Bets on a share of strange pictures so far between the expected one and all of them."""

MAX_WORTH = 10.0 * PICTURES_TO_FALSE_ALARM
"""What a bet has won is capped here, so that an alarm ends soon after its cause; less evidence is no false alarm."""

REMEMBERED = 1000
"""A picture that came among so many before it counts once: whoever sends one again and again says nothing new."""


@dataclass(frozen=True)
class Drift:
    """How the recent pictures look to the model.

    Attributes:
        is_unlike: Whether they look unlike those that it learned from.
        num_pictures: Recent pictures that the shares are of, at most `WINDOW`.
        strange_share: Share of them that looks strange, in [0, 1].
        expected_share: The most that is expected of pictures like the learned ones, in (0, 1).
        abstained_share: Share of them on which the model abstained, in [0, 1].
    """

    is_unlike: bool
    num_pictures: int
    strange_share: float
    expected_share: float
    abstained_share: float

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain data, and the same in words."""
        return {**vars(self), "words": self.words()}

    def words(self) -> str | None:
        """Return what to tell a person, or None where there is nothing to tell."""
        if not self.is_unlike:
            return None
        return (
            f"What arrives looks unlike what was learned: {_percent(self.strange_share)} of the last "
            f"{self.num_pictures} pictures look strange to the model. Of pictures like those that it learned from, at "
            f"most {_percent(self.expected_share)} would. Its answers may be worse than its report says."
        )


class Arrivals:
    """The pictures that arrive at a service."""

    def __init__(self, doubt: Doubt | None) -> None:
        """Begin to look.

        Args:
            doubt: When the model abstains; where nothing tells strange pictures, drift is not known.
        """
        self._expected = None
        if doubt is not None and doubt.read_from is not None:
            self._expected = expected_share(doubt.false_alarms, num_groups=doubt.num_groups)
        self._worths = [1.0] * len(STEPS)
        self._recent: deque[tuple[bool, bool]] = deque(maxlen=WINDOW)
        self._known: OrderedDict[int, None] = OrderedDict()

    def add(self, row: Prediction, data: bytes) -> None:
        """Take note of a picture that was answered; what could not be read says nothing.

        Args:
            row: What the model said.
            data: The picture as it arrived, which tells it from others.
        """
        if row.error is not None or self._is_known(data):
            return
        is_strange = row.doubt == NONE_OF_THESE
        self._recent.append((is_strange, row.abstained))
        if self._expected is not None:
            self._worths = [_after(worth, is_strange, self._expected, step) for worth, step in _bets(self._worths)]

    def drift(self) -> Drift | None:
        """Return how the recent pictures look, or None where that is not known."""
        if self._expected is None or not self._recent:
            return None
        is_unlike = sum(self._worths) / len(STEPS) >= PICTURES_TO_FALSE_ALARM
        strange = sum(is_strange for is_strange, _ in self._recent) / len(self._recent)
        return Drift(is_unlike, len(self._recent), strange, self._expected, self.abstained_share())

    def abstained_share(self) -> float:
        """Return the share of the recent pictures on which the model abstained, in [0, 1]; 0 where there are none."""
        return sum(abstained for _, abstained in self._recent) / max(1, len(self._recent))

    def _is_known(self, data: bytes) -> bool:
        """Whether a picture came before; it is remembered from now on."""
        mark = zlib.crc32(data) << 32 | len(data)
        is_known = mark in self._known
        self._known[mark] = None
        self._known.move_to_end(mark)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return is_known


def expected_share(false_alarms: float, *, num_groups: int) -> float | None:
    """Return the largest share of strange pictures to be expected of those that belong; None where nothing set it.

    The threshold was set so that a share `false_alarms` of so many held-out pictures lay beyond it. Of all others that
    share is larger than what is returned with a probability of at most 1 - `CONFIDENCE` (Clopper and Pearson, 1934).

    >>> [round(expected_share(0.05, num_groups=n), 3) for n in (20, 100, 10_000)]
    [0.216, 0.102, 0.054]
    """
    if num_groups < 1:
        return None
    beyond = math.floor(false_alarms * num_groups + 1e-9)
    low, high = false_alarms, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if _binomial_tail(beyond, num_groups, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return min(high, 0.99)


def _binomial_tail(most: int, num: int, share: float) -> float:
    """Return the probability of at most `most` successes in `num` trials."""
    log_all, log_p, log_q = math.lgamma(num + 1), math.log(share), math.log1p(-min(share, 1 - 1e-15))
    logs = (
        log_all - math.lgamma(k + 1) - math.lgamma(num - k + 1) + k * log_p + (num - k) * log_q for k in range(most + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _bets(worths: Sequence[float]) -> zip[tuple[float, float]]:
    return zip(worths, STEPS, strict=True)


def _after(worth: float, is_strange: bool, expected: float, step: float) -> float:
    """Return what a bet is worth after a picture: no more in the mean, where no more than expected are strange."""
    share = expected + (1 - expected) * step
    ratio = share / expected if is_strange else (1 - share) / (1 - expected)
    return min(MAX_WORTH, max(worth, 1.0) * ratio)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
