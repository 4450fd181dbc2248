"""Held-out confidences, and whether each answer was right -> the threshold below which a model says "not sure".

One idea: a promise such as "of what it answers, at most 1 % is wrong" is a hypothesis about every threshold, tested on
pictures that the model did not learn from; the lowest threshold that passes is taken, and so many tests are paid for.

Source: Angelopoulos, Bates, Candès, Jordan & Lei, "Learn then test: calibrating predictive algorithms to achieve risk
control", Annals of Applied Statistics 2025; as MAPIE does it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats, Ints

__all__ = ["CONFIDENCE", "DEFAULT_RATES", "LEAST_ANSWERED", "first_of_groups", "promised_threshold", "usual_threshold"]

CONFIDENCE = 0.95
"""With which a promise is kept."""
DEFAULT_RATES = (0.01, 0.02, 0.05, 0.1)
"""Promises that are tried, strictest first, where nobody named one."""
LEAST_ANSWERED = 0.5
"""Share of the pictures that must be answered for a promise that nobody named."""
MOST_TESTS = 50
STARTS = 3


def promised_threshold(
    confidence: Floats, is_right: npt.NDArray[np.bool_], *, error_rate: float, certainty: float = CONFIDENCE
) -> float | None:
    """Return the least confidence at which answers are wrong at a rate of at most so much; None where none is shown.

    With a probability of `certainty` over the pictures here, the share of wrong answers among further pictures that
    reach the threshold is at most `error_rate`.

    Args:
        confidence: (n,) in [0, 1] of independent pictures that the model did not learn from.
        is_right: (n,) whether the most probable class was the true one.
        error_rate: In (0, 1).
        certainty: In (0, 1).
    """
    fewest = math.ceil(math.log((1 - certainty) / STARTS) / math.log(1 - error_rate))
    ranked = np.sort(confidence)[::-1]
    if len(ranked) < fewest:
        return None
    places = np.unique(np.linspace(fewest - 1, len(ranked) - 1, MOST_TESTS).astype(np.int64))
    thresholds = np.unique(ranked[places])[::-1]
    thresholds = thresholds[thresholds > 0]
    if len(thresholds) == 0:
        return None
    valid = _controlled(confidence, is_right, thresholds=thresholds, error_rate=error_rate, certainty=certainty)
    return min(valid, default=None)


def _controlled(
    confidence: Floats, is_right: npt.NDArray[np.bool_], *, thresholds: Floats, error_rate: float, certainty: float
) -> list[float]:
    """Return the thresholds at which the error rate is shown to be kept, all of them together with one certainty."""
    from mapie.risk_control import BinaryClassificationController, FWERFixedSequenceTesting, precision

    def probabilities(confidence: Floats) -> Floats:
        return np.stack([1 - confidence, confidence], axis=1)

    controller = BinaryClassificationController(
        probabilities,
        risk=precision,
        target_level=1 - error_rate,
        confidence_level=certainty,
        list_predict_params=thresholds.astype(np.float64),
        fwer_method=FWERFixedSequenceTesting(n_starts=min(STARTS, len(thresholds))),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no threshold passed, or that all confidences are 1
        controller.calibrate(confidence.astype(np.float64), is_right.astype(np.int64))
    return [float(threshold) for threshold in np.ravel(controller.valid_predict_params)]


def usual_threshold(
    confidence: Floats, is_right: npt.NDArray[np.bool_], *, rates: Sequence[float] = DEFAULT_RATES
) -> tuple[float, float] | None:
    """Return the strictest usual promise at which half of the pictures are answered, and its threshold.

    The promises share what may go wrong, so that trying several costs no certainty. None where none is kept.

    Args:
        confidence: As in `promised_threshold`.
        is_right: As there.
        rates: Promises, strictest first.
    """
    certainty = 1 - (1 - CONFIDENCE) / len(rates)
    for rate in rates:
        threshold = promised_threshold(confidence, is_right, error_rate=rate, certainty=certainty)
        if threshold is not None and (confidence >= threshold).mean() >= LEAST_ANSWERED:
            return rate, threshold
    return None


def first_of_groups(groups: Ints) -> Ints:
    """Return the place of the first of each group, ascending: copies count once, as one picture."""
    places: Ints = np.sort(np.unique(groups, return_index=True)[1]).astype(np.int64)
    return places
