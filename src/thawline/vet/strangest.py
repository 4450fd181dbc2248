"""How strange every held-out picture looks to a model -> the false alarms of "none of these", and the strangest ones.

One idea: a picture of the data that looks like none of its classes is either rare and worth more of its like, or does
not belong there.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Strange", "Strangest"]


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
