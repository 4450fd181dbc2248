"""Features in, the same features in the eigenbasis of their own scatter matrix out.

One idea: the rotation is exact for an L2 penalty, costs what N columns do where D > N, and makes the Hessian of a
softmax regression nearly diagonal. Of large sets, the directions come from some of the rows. Sources: Hastie &
Tibshirani, "Efficient quadratic regularization for expression arrays", Biostatistics 2004; Williams & Seeger, "Using
the Nyström method to speed up kernel machines", NeurIPS 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thawline.core.types import Floats
from thawline.heads.columns import Columns, fit_columns

__all__ = ["MAX_DIRECTIONS", "Rotated", "rotate"]

MAX_DIRECTIONS = 2048
"""Directions kept; beyond them an eigendecomposition costs more than extraction, and accuracy gains nothing."""


@dataclass(frozen=True)
class Rotated:
    """Prepared features in the eigenbasis of their scatter matrix.

    Attributes:
        columns: The preparation of the raw features.
        z: (N, r) float32 with orthogonal columns, or nearly so where the directions come from some of the rows.
        lengths: (r,) squared lengths of the columns of z: the eigenvalues, where the rotation is exact.
        rows: (M, D) float32 prepared features that the directions come from.
        directions: (M, r) float32 shares of `rows` in each direction; or (D, r), the directions themselves, if M > D.
    """

    columns: Columns
    z: torch.Tensor
    lengths: torch.Tensor
    rows: torch.Tensor
    directions: torch.Tensor

    @property
    def num_columns(self) -> int:
        """D, the columns before the rotation."""
        return self.rows.shape[1]

    def back(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the (D, K) weights of prepared features that answer like (r, K) weights of z."""
        turned = self.directions @ weight
        return self.rows.T @ turned if _is_wide(self.rows) else turned


def rotate(features: Floats, *, rooted: bool = True) -> Rotated:
    """Return the prepared features rotated into their row space: exact for any L2-penalised linear head.

    The preparation uses no labels and is taken over all rows given: the rows of choosing, never the test rows. Costs
    one eigendecomposition of the smaller of the N×N Gram and the D×D scatter matrix; directions below 1e-6 of the
    largest eigenvalue, which float32 cannot resolve, are dropped. Where both are larger than `MAX_DIRECTIONS`, the
    directions are those of so many rows, drawn by a fixed seed, and the head is the best one within them.

    Args:
        features: (N, D) raw features.
        rooted: As in `fit_columns`.
    """
    columns = fit_columns(features, rooted=rooted)
    data = torch.from_numpy(columns.apply(features))
    rows = data
    if min(data.shape) > MAX_DIRECTIONS:
        drawn = np.random.default_rng(0).choice(len(data), MAX_DIRECTIONS, replace=False)
        rows = data[torch.from_numpy(np.sort(drawn))]
    wide = _is_wide(rows)
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = values > values[-1].clamp_min(1e-12) * 1e-6
    values, vectors = values[kept], vectors[:, kept]
    directions = vectors / values.sqrt() if wide else vectors
    if rows is not data:
        z = data @ (rows.T @ directions if wide else directions)
    else:
        z = vectors * values.sqrt() if wide else data @ vectors
    return Rotated(columns, z.contiguous(), z.square().sum(0), rows, directions)


def _is_wide(rows: torch.Tensor) -> bool:
    return rows.shape[1] > rows.shape[0]
