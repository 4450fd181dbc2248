"""Features and labels in, heads that need no optimisation out: class means and k nearest neighbours.

They answer at once, show how much a solved head gains, and share the fold layout of `linear.py`: an
(N, F) matrix of row weights whose zeros are the held-out rows.

Sources: Mensink et al., "Distance-based image classification: generalizing to new classes at near-zero cost", TPAMI
2013 (class means); Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018
(the weighted vote of cosine neighbours and its temperature 0.07).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.heads.columns import Columns, fit_columns
from thawline.heads.linear import LinearHead
from thawline.heads.rotation import Rotated

__all__ = [
    "NEIGHBOURS",
    "NeighbourHead",
    "class_mean_folds",
    "class_mean_head",
    "fit_class_mean",
    "fit_neighbours",
    "neighbour_folds",
]

NEIGHBOURS = (1, 5, 10, 20)
VOTE_TEMPERATURE = 0.07
VOTE_FLOOR = 1e-4
"""Share of a class without a vote, so that its logit is finite."""
SIMILARITIES = 1 << 23
"""Similarities that are held at once."""
DIRECTIONS = 512
"""Directions in which folds are searched; what lies beyond hardly turns a neighbour."""
NEVER = -1e30
"""Logit of a class without a training picture: below all others, and finite."""


@dataclass(frozen=True)
class NeighbourHead:
    """A head that votes among the training pictures most alike, by cosine of standardised features.

    Attributes:
        columns: Preparation of the raw features.
        keys: (M, D) float16, prepared training features of unit length.
        labels: (M,) int64 class of each.
        k: Neighbours that vote.
        num_classes: K.
    """

    columns: Columns
    keys: Floats
    labels: Ints
    k: int
    num_classes: int

    def __repr__(self) -> str:
        return f"<NeighbourHead: {self.k} of {len(self.labels):,} pictures, {self.num_classes:,} classes>"

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logarithms of the votes' shares of (N, D) features."""
        queries = _unit(self.columns.apply(features))
        similarity = torch.from_numpy(queries) @ torch.from_numpy(self.keys.astype(np.float32)).T
        votes: Floats = _votes(similarity, torch.from_numpy(self.labels), [self.k], self.num_classes)[0]
        return votes


def class_mean_folds(rotated: Rotated, labels: Ints, *, row_weights: Floats, num_classes: int) -> Floats:
    """Return (F, N, K) logits: minus half the squared distance of every row to each fold's class means.

    The mean of a class is taken over the rows with weight above 0; a class without such rows scores the lowest. All
    folds are two matrix products.
    """
    x = rotated.z
    n, num_folds = row_weights.shape
    members = (row_weights > 0).T[:, None] & (labels == np.arange(num_classes)[:, None])[None]  # (F, K, N)
    counts = members.sum(axis=2)
    sums = torch.from_numpy(members.reshape(-1, n).astype(np.float32)) @ x
    means = sums / torch.from_numpy(np.maximum(counts, 1).reshape(-1, 1).astype(np.float32))
    logits = x @ means.T - 0.5 * means.square().sum(1)
    logits[:, torch.from_numpy(counts.ravel() == 0)] = NEVER
    by_fold: Floats = logits.view(n, num_folds, num_classes).transpose(0, 1).numpy()
    return by_fold


def neighbour_folds(
    rotated: Rotated,
    labels: Ints,
    *,
    row_weights: Floats,
    num_classes: int,
    neighbours: Sequence[int] = NEIGHBOURS,
    max_keys: int | None = None,
) -> Floats:
    """Return (F, S, N, K) logits of k-NN for S values of k; only the held-out rows of each fold are filled, others 0.

    Similarities of a block of rows to all keys are computed once for all folds; memory is bounded by the block.
    Of more than `DIRECTIONS` directions the longest are compared.

    Args:
        rotated: From `rotate`; N rows.
        labels: (N,) class indices.
        row_weights: (N, F); 0 leaves a row out.
        num_classes: K.
        neighbours: S values of k.
        max_keys: Rows that are searched at most, drawn by a fixed seed; None: all.
    """
    n, num_folds = row_weights.shape
    z = torch.from_numpy(_unit(rotated.z[:, -DIRECTIONS:].numpy()))
    drawn = np.arange(n)
    if max_keys is not None and n > max_keys:
        drawn = np.sort(np.random.default_rng(0).choice(n, max_keys, replace=False))
    keys, classes = z[torch.from_numpy(drawn)], torch.from_numpy(labels[drawn])
    held_out, outside = torch.from_numpy(row_weights == 0), torch.from_numpy(row_weights[drawn] == 0)
    logits = np.zeros((num_folds, len(neighbours), n, num_classes), np.float32)
    rows_at_once = max(1, SIMILARITIES // len(keys))
    for start in range(0, n, rows_at_once):
        part = slice(start, start + rows_at_once)
        similarity = z[part] @ keys.T
        for fold in range(num_folds):
            asked = torch.nonzero(held_out[part, fold]).squeeze(1)
            near = similarity[asked].masked_fill_(outside[:, fold], -torch.inf)
            logits[fold][:, start + asked.numpy()] = _votes(near, classes, neighbours, num_classes)
    return logits


def fit_class_mean(features: Floats, labels: Ints, *, num_classes: int) -> LinearHead:
    """Return the class-mean head as a linear one: distances to fixed points differ by linear functions.

    A class without rows is never the answer.
    """
    columns = fit_columns(features)
    x = columns.apply(features)
    members = labels == np.arange(num_classes)[:, None]
    counts = members.sum(axis=1)
    means = members.astype(np.float32) @ x / np.maximum(counts, 1, dtype=np.float32)[:, None]
    return class_mean_head(columns, means, counts=counts)


def class_mean_head(columns: Columns, means: Floats, *, counts: Ints) -> LinearHead:
    """Return the linear head that answers with the nearest of (K, D) float32 means of prepared features.

    Args:
        columns: The preparation.
        means: Of each class.
        counts: (K,) rows of each class.
    """
    bias = np.where(counts, -0.5 * np.square(means).sum(axis=1), NEVER).astype(np.float32)
    return LinearHead(columns, np.ascontiguousarray(means.T), bias)


def fit_neighbours(features: Floats, labels: Ints, *, k: int, num_classes: int) -> NeighbourHead:
    """Return the k-NN head that remembers all rows; its size grows with them."""
    columns = fit_columns(features)
    keys = _unit(columns.apply(features)).astype(np.float16)
    return NeighbourHead(columns, keys, labels, min(k, len(keys)), num_classes)


def _unit(x: Floats) -> Floats:
    length = np.sqrt(np.einsum("nd,nd->n", x, x))
    unit: Floats = x / np.maximum(length, 1e-12)[:, None]
    return unit


def _votes(similarity: torch.Tensor, classes: torch.Tensor, neighbours: Sequence[int], num_classes: int) -> Floats:
    """Return (S, n, K) logarithms of vote shares, for S values of k from one sorting."""
    deepest = min(max(neighbours), similarity.shape[1])
    values, indices = similarity.topk(deepest, dim=1)
    weights = torch.exp((values - 1) / VOTE_TEMPERATURE)
    shares = []
    for k in neighbours:
        votes = torch.zeros(len(similarity), num_classes).scatter_add_(1, classes[indices[:, :k]], weights[:, :k])
        shares.append((votes / votes.sum(1, keepdim=True) + VOTE_FLOOR).log_())
    stacked: Floats = torch.stack(shares).numpy()
    return stacked
