"""Features of pictures and their classes -> how strange any other picture looks, as a share of those that belong.

One idea: a picture of none of the classes is far from all class means, compared with how far it is from the mean of
everything, in the few directions in which the pictures differ; or it has much in the directions in which they hardly
differ at all. Both are read from the features that the head reads anyway, are measured on held-out pictures, and are
added. The score is a few matrix products, so a model file holds it as it holds the head.

Sources: Ren et al., "A simple fix to Mahalanobis distance for improving near-OOD detection", 2021 (the distance to the
nearest class less the distance to all); Wang et al., "ViM: out-of-distribution with virtual-logit matching", CVPR 2022
(what lies outside the principal directions); Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from thawline.core.types import Floats, Ints
from thawline.heads.columns import Columns, prepare_columns

__all__ = [
    "FAR_FLOOR",
    "FAR_WEIGHT",
    "STEP_FLOOR",
    "Outsiders",
    "Strangeness",
    "combined",
    "energy",
    "fit_strangeness",
    "num_directions",
    "quantiles_of",
    "standardised",
]

MAX_DIRECTIONS, MAX_ENTRIES = 128, 1 << 19
"""Directions at most, and columns × directions: 1 MiB in a model folder."""
PICTURES_A_DIRECTION = 4
SHRINKAGE = 0.1
"""Part of each covariance that is replaced by its mean variance: few pictures do not tell small ones."""
FAR_WEIGHT = 0.75
"""What a standard deviation outside the directions counts, one inside them counting 1. Decision 0032."""
FAR_FLOOR = 1e-3
"""Variance a column that is added before the logarithm: less is rounding."""
NUM_QUANTILES = 501
SCORES_AT_ONCE = 8192
STEP_FLOOR = 1e-6
"""Least step between two quantiles: equal scores are a step, not a division by zero."""
OVERSAMPLED, POWER_STEPS = 16, 3


@dataclass(frozen=True)
class Strangeness:
    """A score of how strange features look, larger for stranger; r directions of d columns, K classes.

    Attributes:
        reads: (D,) bool; the d columns of the features that are read, in their order.
        columns: Preparation of these columns.
        directions: (d, r) float16 columns of unit length in which prepared features differ most.
        whitening: (r, r) float32; turns what lies in the directions so that classes have unit variance.
        means: (K, r) float32 class means there.
        weights: (r,) float32; one over the variance of all pictures there.
        near: Mean and standard deviation over held-out pictures of what `near_far` returns first.
        far: The same of what it returns second.
    """

    reads: npt.NDArray[np.bool_]
    columns: Columns
    directions: Floats
    whitening: Floats
    means: Floats
    weights: Floats
    near: tuple[float, float] = (0.0, 1.0)
    far: tuple[float, float] = (0.0, 1.0)

    def __repr__(self) -> str:
        return f"<Strangeness: {len(self.directions):,} columns, {self.directions.shape[1]:,} directions>"

    def near_far(self, features: Floats) -> tuple[Floats, Floats]:
        """Return (N,) float32 excess distance to the nearest class, and (N,) logarithm of what lies elsewhere.

        Args:
            features: (N, D) raw features.
        """
        x = self.columns.apply(features[:, self.reads])
        z = x @ self.directions.astype(np.float32)
        u = z @ self.whitening
        squares = np.square(u)
        distances = squares.sum(axis=1)[:, None] - 2 * (u @ self.means.T) + np.square(self.means).sum(axis=1)
        near: Floats = distances.min(axis=1) - squares @ self.weights
        rest = np.maximum(np.square(x).sum(axis=1) - np.square(z).sum(axis=1), 0) / x.shape[1]
        return near, np.log(rest + np.float32(FAR_FLOOR))

    def score(self, features: Floats) -> Floats:
        """Return (N,) float32 of (N, D) raw features: both parts in standard deviations of held-out pictures, added."""
        near, far = self.near_far(features)
        return combined(self, near=near, far=far)


@dataclass(frozen=True)
class Outsiders:
    """What a model knows of pictures that belong, to tell the others by.

    Attributes:
        strangeness: Scores features; None: the energy of the logits is the score.
        quantiles: (M,) float32 ascending scores of held-out pictures, at evenly spaced shares of them from 0 to 1.
    """

    strangeness: Strangeness | None
    quantiles: Floats

    def outside(self, features: Floats, logits: Floats) -> Floats:
        """Return (N,) float32 in [0, 1]: the share of held-out training pictures that look less strange.

        Args:
            features: (N, D) raw features.
            logits: (N, K) of the head, divided by the temperature.
        """
        score = energy(logits) if self.strangeness is None else self.strangeness.score(features)
        return self.share_below(score)

    def share_below(self, score: Floats) -> Floats:
        """Return (N,) float32 in [0, 1]: where (N,) scores lie among the quantiles, linear between two of them."""
        steps = np.maximum(np.diff(self.quantiles), np.float32(STEP_FLOOR))
        share: Floats = np.empty(len(score), dtype=np.float32)
        for start in range(0, len(score), SCORES_AT_ONCE):
            part = slice(start, start + SCORES_AT_ONCE)
            share[part] = np.clip((score[part, None] - self.quantiles[:-1]) / steps, 0, 1).mean(axis=1)
        return share


def combined(strangeness: Strangeness, *, near: Floats, far: Floats) -> Floats:
    """Return (N,) float32 scores of the two parts that `near_far` returns, of whichever fit."""
    score = (near - strangeness.near[0]) / strangeness.near[1]
    score = score + FAR_WEIGHT * (far - strangeness.far[0]) / strangeness.far[1]
    return score.astype(np.float32)


def energy(logits: Floats) -> Floats:
    """Return (N,) float32 of (N, K) logits over the temperature: larger where no class is likely."""
    score: Floats = -logsumexp(logits.astype(np.float64), axis=1).astype(np.float32)
    return score


def num_directions(num_rows: int, num_columns: int) -> int:
    """Return how many directions so many pictures tell, at least one; half of the columns are left to the rest."""
    of_rows, of_columns = num_rows // PICTURES_A_DIRECTION, num_columns // 2
    return max(1, min(MAX_DIRECTIONS, MAX_ENTRIES // num_columns, of_rows, of_columns))


def fit_strangeness(
    features: Floats, labels: Ints, *, reads: npt.NDArray[np.bool_], directions: int | None = None
) -> Strangeness:
    """Return the score of features, not yet in standard deviations of held-out pictures; see `standardised`.

    Directions come from a randomised decomposition with a fixed seed (Halko, Martinsson & Tropp, "Finding structure
    with randomness", SIAM Review 2011). Costs about ten products of (N, d) and (d, r).

    Args:
        features: (N, D) raw features, of one picture or more.
        labels: (N,) classes; those without a picture have no mean.
        reads: (D,) bool; the columns that are read, one or more.
        directions: How many; None: `num_directions`. Fits that are compared have equally many, since what lies outside
            them shrinks with each.
    """
    columns, x = prepare_columns(features[:, reads])
    n, d = x.shape
    turn_to = _directions(x, directions or num_directions(n, d)).astype(np.float16)
    z = x @ turn_to.astype(np.float32)
    _, place = np.unique(labels, return_inverse=True)
    members = place == np.arange(place.max() + 1)[:, None]
    means = (members @ z.astype(np.float64)) / members.sum(axis=1)[:, None]
    within, total = _covariance(z - means[place]), _covariance(z)
    values, vectors = np.linalg.eigh(within)
    to_unit = vectors / np.sqrt(values)
    spread, turn = np.linalg.eigh(to_unit.T @ total @ to_unit)
    whitening = to_unit @ turn
    return Strangeness(
        reads,
        columns,
        turn_to,
        whitening.astype(np.float32),
        (means @ whitening).astype(np.float32),
        (1 / spread).astype(np.float32),
    )


def _directions(x: Floats, count: int) -> Floats:
    """Return (d, count) orthonormal columns: the directions in which (n, d) centred rows differ most."""
    n, d = x.shape
    sketched = min(count + OVERSAMPLED, n, d)
    basis = np.linalg.qr(x.T @ np.random.default_rng(0).standard_normal((n, sketched), dtype=np.float32))[0]
    for _ in range(POWER_STEPS):
        basis = np.linalg.qr(x.T @ (x @ basis))[0]
    turned = x @ basis
    _, vectors = np.linalg.eigh(turned.T @ turned)
    found: Floats = basis @ vectors[:, ::-1][:, :count]
    return found


def _covariance(z: Floats) -> Floats:
    """Return the (r, r) float64 covariance of (n, r) centred rows, shrunk towards its mean variance."""
    z = z.astype(np.float64)
    covariance = z.T @ z / len(z)
    level = max(float(np.trace(covariance)) / z.shape[1], 1e-6)
    shrunk: Floats = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(z.shape[1])
    return shrunk


def standardised(strangeness: Strangeness, *, near: Floats, far: Floats) -> Strangeness:
    """Return a score whose two parts are in standard deviations of held-out pictures.

    Args:
        strangeness: The score.
        near: (n,) of pictures that a fit without them scored, from `near_far`.
        far: (n,) of the same.
    """
    scales = [(float(np.float32(part.mean())), float(np.float32(max(part.std(), 1e-3)))) for part in (near, far)]
    return replace(strangeness, near=scales[0], far=scales[1])


def quantiles_of(scores: Floats, groups: Ints) -> Floats:
    """Return (M,) float32 ascending scores at evenly spaced shares of the groups: each counts once.

    Of G groups the i-th smallest score stands at i / (G + 1), so that a further picture lies above a share of them with
    the stated probability; beyond the least and the largest the share goes on for a mean step
    (Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005).

    Args:
        scores: (n,) of held-out pictures, one or more.
        groups: (n,) integers; equal ones are copies, and weigh as much as one picture together.
    """
    order = np.argsort(scores, kind="stable")
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weight = (1 / sizes)[place][order]
    share = (np.cumsum(weight) - weight / 2 + 0.5) / (len(sizes) + 1)
    ascending = scores[order].astype(np.float64)
    gap = max((ascending[-1] - ascending[0]) / len(sizes), STEP_FLOOR)
    ends = ascending[0] - gap, ascending[-1] + gap
    points, places = np.array([ends[0], *ascending, ends[1]]), np.array([0.0, *share, 1.0])
    quantiles: Floats = np.interp(np.linspace(0, 1, NUM_QUANTILES), places, points).astype(np.float32)
    return quantiles
