"""Held-out logits in -> how much credit each answer deserves out, made honest by the rows outside its fold.

One idea: right or wrong says little of two strategies that answer nearly alike; how clearly they are right says more.
An answer's credit is p / (p + r), p the probability of the true class and r that of its strongest rival: 1 where it is
sure and right, ½ where it wavers, 0 where it is sure and wrong. Its mean is an accuracy without the luck of close
calls. Log-loss would be the usual measure; it listens to a few answers that are far off, and chose worse in simulations
(decision 0022). A head that is merely too sure must not gain or lose by it, so every fold's logits are divided by the
temperature that suits the other folds best (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
networks", ICML 2017), whatever gave them: votes, distances, networks.
"""

from __future__ import annotations

import numpy as np

from thawline.core.types import Floats, Ints

__all__ = ["held_out_credit"]

MAX_STEPS = 12
MAX_FACTOR = 4.0
"""By which a Newton step may change the sharpness."""
START, RANGE = 4.0, 1000.0
"""How much sharper or blunter than logits of unit range an answer may become."""
FURTHEST = 4.0
"""Ranges of typical logits that an answer lies from the true class at most, also where that was never trained for."""
ROWS_TO_BEGIN, LOGITS_TO_BEGIN = 4096, 500_000
"""Rows, and logits, that the sharpness of all folds together is fitted on; each fold's own is a step from there on all
rows."""


def held_out_credit(logits: Floats, labels: Ints, *, weight: Floats, fold: Ints) -> Floats:
    """Return (n,) the credit of every row in [0, 1], the mean over the repeats that answered it; NaN where none did.

    Args:
        logits: (R, n, K) of held-out rows; NaN where a repeat has no answer.
        labels: (n,) true classes.
        weight: (n,) of the rows in the fit of the temperature.
        fold: (R, n) the fold that held a row out in each repeat; where there is one fold only, its own rows set its
            temperature.
    """
    credit = np.full(logits.shape[:2], np.nan)
    for repeat, answers in enumerate(logits):
        known = np.flatnonzero(~np.isnan(answers).any(axis=1))
        if len(known):
            credit[repeat, known] = _credit(answers[known], labels[known], weight[known], fold[repeat, known])
    answered = ~np.isnan(credit)
    count = answered.sum(axis=0)
    total = np.where(answered, credit, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(len(labels), np.nan), where=count > 0)
    return mean


def _credit(logits: Floats, labels: Ints, weight: Floats, fold: Ints) -> Floats:
    """Return (n,) credit of (n, K) logits that one repeat answered."""
    n = len(logits)
    spread = max(float(np.median(np.ptp(logits, axis=1))), 1e-6)
    logits = np.clip(logits - logits[np.arange(n), labels][:, None], -FURTHEST * spread, FURTHEST * spread)
    sharpness, limit = START / spread, RANGE / spread
    some = slice(None, None, max(1, n // ROWS_TO_BEGIN, logits.size // LOGITS_TO_BEGIN))
    for _ in range(MAX_STEPS):
        slope, bend = _derivatives(logits[some], sharpness)
        before, sharpness = (
            sharpness,
            _step(sharpness, float(slope @ weight[some]), float(bend @ weight[some]), limit=limit),
        )
        if abs(sharpness - before) < 1e-2 * before:
            break
    slope, bend = _derivatives(logits, sharpness)
    _, place = np.unique(fold, return_inverse=True)
    slopes, bends = np.bincount(place, slope * weight), np.bincount(place, bend * weight)
    alone = len(slopes) == 1
    own = [
        _step(sharpness, slopes.sum() - (not alone) * a, bends.sum() - (not alone) * b, limit=limit)
        for a, b in zip(slopes, bends, strict=True)
    ]
    rivals = logits.copy()
    rivals[np.arange(n), labels] = -np.inf
    credit: Floats = (1 - np.tanh(np.array(own)[place] * rivals.max(axis=1) / 2)) / 2  # the logistic function
    return credit


def _step(sharpness: float, slope: float, bend: float, *, limit: float) -> float:
    """Return the sharpness after a Newton step towards the least log-loss, within bounds."""
    target = sharpness - slope / max(bend, 1e-12)
    return float(min(max(target, sharpness / MAX_FACTOR), sharpness * MAX_FACTOR, limit))


def _derivatives(logits: Floats, sharpness: float) -> tuple[Floats, Floats]:
    """Return (n,) first and second derivatives of the log-loss by the sharpness; the true class has logit 0."""
    scaled = logits * sharpness
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    total = shares.sum(axis=1)
    shares *= logits
    mean = shares.sum(axis=1) / total
    shares *= logits
    return mean, shares.sum(axis=1) / total - mean**2
