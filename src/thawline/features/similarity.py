"""Two networks' features of the same pictures -> how alike they are: linear CKA, and the interval of it.

Linear CKA (centred kernel alignment: Kornblith, Norouzi, Lee and Hinton, "Similarity of neural network representations
revisited", ICML 2019) asks whether the same pictures lie close together in both; rotating or scaling all features
changes nothing. One idea: HSIC, which it is made of, is taken by the unbiased estimator of Song, Smola, Gretton, Bedo
and Borgwardt ("Feature selection via dependence maximization", JMLR 2012), as Nguyen, Raghu and Kornblith do ("Do wide
and deep networks learn the same things?", ICLR 2021). The plain estimator finds unrelated features similar where
there are fewer pictures than features, as is usual here. Whole activations, far too wide to keep, are compared by
sketches of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thawline.core.errors import DataError
from thawline.core.types import Floats

__all__ = ["MIN_PICTURES", "linear_cka", "linear_cka_interval", "sketched"]

MIN_PICTURES = 8
"""Half of them are the four that the estimator needs."""

_ENDS = (0.025, 0.975)
_SKETCH_SUMS = 4
_NOTHING = 1e-9  # relative size, in float64, of a centred feature that is the same for every picture


def linear_cka(x: Floats, y: Floats) -> float:
    """Return linear CKA in [0, 1]: 1 where `y` is `x`, rotated and scaled; about 0 where they are unrelated.

    An estimate below 0 counts as 0, and so does similarity to features that are the same for every picture.

    Args:
        x: (N, D) finite features, a row a picture.
        y: (N, E) features of the same pictures in the same order.

    Raises:
        DataError: There are fewer than 8 pictures.

    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> linear_cka(x, x), round(linear_cka(x, -2 * x[:, ::-1]), 6)
    (1.0, 1.0)
    """
    return float(_cka(x, y, np.ones((len(x), 1)))[0])


def linear_cka_interval(x: Floats, y: Floats, *, num_halves: int = 200, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of `linear_cka` over pictures, within [0, 1] and never leaving out the estimate.

    Its ends are percentiles over random halves of the pictures: an estimate from a half varies around that of the whole
    as that of the whole varies around the truth (the delete-half jackknife: Shao and Wu, "A general theory for
    jackknife variance estimation", Annals of Statistics 1989). Drawing with replacement would be wrong: a picture drawn
    twice is similar to itself in every network. For the same reason copies must be left out beforehand.

    Args:
        x: As in `linear_cka`.
        y: As in `linear_cka`.
        num_halves: The work is a few matrix products of N × N by N × `num_halves`.
        seed: Equal seeds give equal intervals.

    Raises:
        DataError: There are fewer than 8 pictures.
    """
    n = len(x)
    ordered = np.tile(np.arange(n) < n // 2, (num_halves, 1))
    halves = np.random.default_rng(seed).permuted(ordered, axis=1).T
    values = _cka(x, y, np.column_stack([np.ones(n), halves]))
    low, high = np.quantile(values[1:], _ENDS)
    return float(min(low, values[0])), float(max(high, values[0]))


def sketched(h: Tensor) -> Tensor:
    """Return (B, 4·C) float32 whose products between pictures are about those of the whole activations.

    Each is a sum of every fourth position, so that similar neighbours are separated, with a random sign for each
    position and channel. The error of the products has a mean of 0; that of the CKA of a pretrained network is up to
    about 0.03. Signs are equal for activations of equal shape. A count sketch: Charikar, Chen and Farach-Colton,
    "Finding frequent items in data streams", ICALP 2002.

    Args:
        h: A (B, C, H, W) map, or (B, tokens, C).
    """
    positions = (h.permute(0, 2, 3, 1).flatten(1, 2) if h.ndim == 4 else h).float()
    drawn = torch.randint(2, positions.shape[1:], generator=torch.Generator().manual_seed(0))
    signed = positions * (2.0 * drawn - 1.0).to(positions.device)
    return torch.cat([signed[:, start::_SKETCH_SUMS].sum(dim=1) for start in range(_SKETCH_SUMS)], dim=1)


def _cka(x: Floats, y: Floats, subsets: Floats) -> Floats:
    """Return the (S,) CKA over subsets of pictures, given as (N, S) columns of ones and zeros."""
    if len(x) != len(y):
        raise ValueError(f"cka: features of {len(x):,} and of {len(y):,} pictures; they must be of the same pictures.")
    if len(x) < MIN_PICTURES:
        raise DataError(f"cka: {len(x):,} pictures without copies, at least {MIN_PICTURES} are required. Add pictures.")
    if np.array_equal(x, y):
        return np.ones(subsets.shape[1])
    K, L = _gram(x), _gram(y)
    cross, own = _hsic(K, L, subsets), _hsic(K, K, subsets) * _hsic(L, L, subsets)
    varies = own > 0
    values: Floats = np.where(varies, cross / np.sqrt(np.where(varies, own, 1.0)), 0.0)
    return values.clip(0.0, 1.0)


def _gram(x: Floats) -> Floats:
    """Return the (N, N) products of centred features, scaled to a norm of 1, a picture's with itself left out."""
    z = x.astype(np.float64)
    size = np.linalg.norm(z)
    z -= z.mean(axis=0)
    if np.linalg.norm(z) <= _NOTHING * size:
        return np.zeros((len(z), len(z)))
    z /= np.linalg.norm(z)
    products: Floats = z @ z.T
    np.fill_diagonal(products, 0.0)
    return products


def _hsic(K: Floats, L: Floats, subsets: Floats) -> Floats:
    """Return Song's unbiased HSIC over each subset, (S,), times m (m - 3), which a ratio of two of them does not need.

    Args:
        K: (N, N), zeros on its diagonal.
        L: The same.
        subsets: (N, S) ones and zeros, m >= 4 ones in a column.
    """
    m = subsets.sum(axis=0)
    in_k, in_l = subsets * (K @ subsets), subsets * (L @ subsets)  # sums of a picture's row over the subset
    products = (subsets * ((K * L) @ subsets)).sum(axis=0)
    apart = in_k.sum(axis=0) * in_l.sum(axis=0) / ((m - 1) * (m - 2))
    total: Floats = products + apart - 2 / (m - 2) * (in_k * in_l).sum(axis=0)
    return total
