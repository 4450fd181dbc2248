"""How fast engines are here and what each has left to read -> which one reads.

One idea: an engine has to earn its start. The eager one needs none and reads what it always read, so it stays wherever
another would save little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thawline.core.runtime import EngineName

__all__ = ["LEAST_GAIN", "LEAST_SAVED_S", "Pace", "fastest"]

LEAST_GAIN, LEAST_SAVED_S = 0.05, 1.0
"""An engine takes over where it saves at least this share of the time, and at least these seconds."""


@dataclass(frozen=True)
class Pace:
    """What an engine takes on this machine for one network.

    Attributes:
        start_s: Seconds until its first picture: to make the graph and compile it.
        picture_s: Seconds a picture, all processors together.
    """

    start_s: float
    picture_s: float

    def seconds(self, num_pictures: int) -> float:
        """Return what some pictures take; none take nothing."""
        return self.start_s + num_pictures * self.picture_s if num_pictures else 0.0


def fastest(paces: Mapping[EngineName, Pace], missing: Mapping[EngineName, int]) -> EngineName:
    """Return the engine that is done first, or `eager` where that is nearly as fast.

    Args:
        paces: Of the engines that are there, `eager` among them.
        missing: Pictures that each has left to read: what an engine has read once is kept.

    >>> paces = {"eager": Pace(0, 0.004), "openvino": Pace(2, 0.0025)}
    >>> [fastest(paces, {"eager": n, "openvino": n}) for n in (1_369, 60_000)]
    ['eager', 'openvino']
    """
    seconds = {engine: pace.seconds(missing[engine]) for engine, pace in paces.items()}
    best = min(seconds, key=seconds.__getitem__)
    saved = seconds["eager"] - seconds[best]
    return best if saved >= max(LEAST_SAVED_S, LEAST_GAIN * seconds["eager"]) else "eager"
