"""A run's budget, its clock and what was measured so far -> the seconds that training may spend.

One idea: what must be done comes first, the race of sizes and networks with it (`race.py` has its share of the budget);
plans get the rest. What follows training is reckoned from what was measured, and kept back.
"""

from __future__ import annotations

import math
import time

from thawline.core.runtime import num_workers
from thawline.train.allowance import UNLIMITED, Allowance
from thawline.work.session import Compared

__all__ = ["final_allowance", "left_for_training_s", "picture_s"]

REPORT_S = 3.0
"""Seconds to draw and write model, curves and report, on a machine that is not busy."""
MOST_SLOWNESS = 5.0
ROW_S = 5e-4
"""Seconds of drawing curves for each row of choosing."""
DECODING = 1.5
"""Seconds of a picture from its file over those of its pass, as measured."""
FEWEST_EXTRACTED = 48


def left_for_training_s(compared: Compared) -> float:
    """Return the seconds left for training runs, the winner's own included; infinitely many without a budget."""
    order, clock = compared.session.order, compared.session.clock
    if order.budget_s is None:
        return math.inf
    return order.budget_s - (time.perf_counter() - clock.start) - _afterwards_s(compared)


def _afterwards_s(compared: Compared) -> float:
    """Return the seconds of all that follows training: ranking again, answering the test, report and model."""
    ranking_s = compared.leaderboard.seconds - compared.comparison.frozen.seconds
    test_s = len(compared.split.test) * picture_s(compared)
    slowness = min(MOST_SLOWNESS, compared.session.clock.slowness)
    return max(0.0, ranking_s) + test_s + slowness * (ROW_S * len(compared.split.pool) + REPORT_S)


def picture_s(compared: Compared) -> float:
    """Return the seconds of a picture from its file through the backbone, as the extraction or its pass measured it."""
    extraction = compared.extraction
    if extraction.num_extracted >= FEWEST_EXTRACTED:
        return extraction.seconds / extraction.num_extracted
    return DECODING * compared.full_pass_ms / 1000 / num_workers()


def final_allowance(compared: Compared, epochs: float) -> Allowance:
    """Return what the final training run may use: the epochs that were measured, and the time that is left.

    Args:
        compared: The comparison.
        epochs: Of the training runs that were measured; 0: of none.
    """
    left_s = left_for_training_s(compared)
    if math.isinf(left_s):
        return UNLIMITED
    return Allowance(time.monotonic() + left_s, epochs or math.inf)
