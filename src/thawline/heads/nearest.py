"""Features and labels in, heads that need no optimisation out: class means and k nearest neighbours.

They answer at once, tell how far a solved head is worth its solving, and share the fold layout of `linear.py`: an
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
from thawline.heads.linear import LinearHead, Rotated, standardised

__all__ = ["NEIGHBOURS", "NeighbourHead", "class_mean_folds", "fit_class_mean", "fit_neighbours", "neighbour_folds"]

NEIGHBOURS = (1, 5, 10, 20)
VOTE_TEMPERATURE = 0.07
ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class NeighbourHead:
    """A head that votes among the training pictures most alike, by cosine of standardised features.

    Attributes:
        keys: (M, D) float16, standardised training features of unit length.
        labels: (M,) int64 class of each.
        k: Neighbours that vote.
        num_classes: K.
        mean: (D,) float32 subtracted from features.
        scale: (D,) float32 factors after the subtraction.
    """

    keys: Floats
    labels: Ints
    k: int
    num_classes: int
    mean: Floats
    scale: Floats

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logarithms of the votes' shares of (N, D) features."""
        queries = _unit((np.asarray(features, dtype=np.float32) - self.mean) * self.scale)
        similarity = torch.from_numpy(queries) @ torch.from_numpy(self.keys.astype(np.float32)).T
        return _votes(similarity, torch.from_numpy(self.labels), [self.k], self.num_classes)[0]


def class_mean_folds(rotated: Rotated, labels: Ints, row_weights: Floats, *, num_classes: int) -> Floats:
    """Return (F, N, K) logits: minus half the squared distance of every row to each fold's class means.

    The mean of a class is taken over the rows with weight above 0; a class without such rows scores the lowest.
    """
    x = rotated.z.numpy()
    onehot = np.eye(num_classes, dtype=np.float32)[labels]
    logits = np.empty((row_weights.shape[1], len(x), num_classes), np.float32)
    for fold, inside in enumerate((row_weights > 0).astype(np.float32).T):
        counts = onehot.T @ inside
        means = (onehot * inside[:, None]).T @ x / np.maximum(counts, 1)[:, None]
        logits[fold] = x @ means.T - 0.5 * np.square(means).sum(axis=1)
        logits[fold][:, counts == 0] = -1e30
    return logits


def neighbour_folds(
    rotated: Rotated, labels: Ints, row_weights: Floats, *, num_classes: int, neighbours: Sequence[int] = NEIGHBOURS
) -> Floats:
    """Return (F, S, N, K) logits of k-NN for S values of k; only the held-out rows of each fold are filled, others 0.

    Similarities of a block of rows to all rows are computed once for all folds; memory is bounded by the block.
    """
    keys = torch.from_numpy(_unit(rotated.z.numpy()))
    held_out = torch.from_numpy(row_weights == 0)
    classes = torch.from_numpy(labels)
    num_folds = row_weights.shape[1]
    logits = np.zeros((num_folds, len(neighbours), len(keys), num_classes), np.float32)
    for fold in range(num_folds):
        rows = torch.nonzero(held_out[:, fold]).squeeze(1)
        train = torch.nonzero(~held_out[:, fold]).squeeze(1)
        train_keys, train_classes = keys[train], classes[train]
        for part in rows.split(ROWS_AT_ONCE):
            votes = _votes(keys[part] @ train_keys.T, train_classes, neighbours, num_classes)
            logits[fold, :, part.numpy()] = votes.transpose(1, 0, 2)
    return logits


def fit_class_mean(features: Floats, labels: Ints, *, num_classes: int) -> LinearHead:
    """Return the class-mean head as a linear one: distances to fixed points differ by linear functions."""
    x, mean, scale = standardised(features)
    means = np.stack([x[labels == label].mean(axis=0) for label in range(num_classes)])
    weight = means.T * scale[:, None]
    bias = -0.5 * np.square(means).sum(axis=1) - mean @ weight
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))


def fit_neighbours(features: Floats, labels: Ints, *, k: int, num_classes: int) -> NeighbourHead:
    """Return the k-NN head that remembers all rows; its size grows with them."""
    x, mean, scale = standardised(features)
    return NeighbourHead(_unit(x).astype(np.float16), labels, min(k, len(x)), num_classes, mean, scale)


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
        shares.append((votes / votes.sum(1, keepdim=True) + 1e-4).log_())
    return torch.stack(shares).numpy()
