"""Held-out logits in, a temperature out: so that 0.9 means right nine times in ten.

Source: Guo et al., "On calibration of modern neural networks", ICML 2017. One number cannot change a ranking, so the
accuracy of a model stays what it was.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp, softmax

from thawline.core.types import Floats, Ints

__all__ = ["fit_temperature", "probabilities"]


def fit_temperature(logits: Floats, labels: Ints, *, repeats: int = 1) -> float:
    """Return the temperature T > 0 that minimises the cross-entropy of softmax(logits / T), within reason.

    Where all pictures are right the minimum lies at 0, and the model would be certain of everything. N right answers in
    a row warrant no more than (N + 1) / (N + 2) (Laplace's rule of succession): T is raised until the mean confidence
    is down to that.

    Args:
        logits: (N, K) of pictures that the head was not trained on.
        labels: (N,) true classes.
        repeats: How many answers there are to each picture: N right ones of so many each warrant what N / repeats do.
    """
    logits = logits.astype(np.float64)
    right = logits[np.arange(len(labels)), labels]
    spread = max(float(np.median(logits.std(axis=0))), 1e-6)  # the median: a class never trained for has none

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(logsumexp(logits * inverse, axis=1) - right * inverse))

    centre = np.log(spread)
    best = float(minimize_scalar(loss, bounds=(centre - 6, centre + 6), method="bounded").x)
    num_pictures = len(labels) / repeats
    warranted = (num_pictures + 1) / (num_pictures + 2)

    def excess(log_temperature: float) -> float:
        return float(softmax(logits * np.exp(-log_temperature), axis=1).max(axis=1).mean()) - warranted

    highest = centre + 6
    return float(np.exp(brentq(excess, best, highest) if excess(best) > 0 > excess(highest) else best))


def probabilities(logits: Floats, temperature: float) -> Floats:
    """Return (N, K) float32 probabilities, rows summing to 1, of (N, K) logits at a temperature."""
    shares: Floats = softmax(logits.astype(np.float64) / temperature, axis=1).astype(np.float32)
    return shares
