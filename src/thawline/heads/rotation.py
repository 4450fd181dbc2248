"""Features in, the same features in the eigenbasis of their own scatter matrix out.

One idea: the rotation is exact for an L2 penalty, costs what N columns do where D > N, and makes the Hessian of a
softmax regression nearly diagonal. Source: Hastie & Tibshirani, "Efficient quadratic regularization for expression
arrays", Biostatistics 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from thawline.core.types import Floats
from thawline.heads.columns import Columns, fit_columns

__all__ = ["Rotated", "rotate"]


@dataclass(frozen=True)
class Rotated:
    """Prepared features in the eigenbasis of their scatter matrix.

    Attributes:
        columns: The preparation of the raw features.
        z: (N, r) float32 with orthogonal columns; the basis of the rotation is Xᵀ z / eigenvalues.
        eigenvalues: (r,) squared lengths of the columns of z.
        num_columns: D, the columns before the rotation.
    """

    columns: Columns
    z: torch.Tensor
    eigenvalues: torch.Tensor
    num_columns: int


def rotate(features: Floats, *, rooted: bool = True) -> Rotated:
    """Return the prepared features rotated into their row space: exact for any L2-penalised linear head.

    The preparation uses no labels and is taken over all rows given: the rows of choosing, never the test rows. Costs
    one eigendecomposition of the smaller of the N×N Gram and the D×D scatter matrix; directions below 1e-6 of the
    largest eigenvalue, which float32 cannot resolve, are dropped.

    Args:
        features: (N, D) raw features.
        rooted: As in `fit_columns`.
    """
    columns = fit_columns(features, rooted=rooted)
    data = torch.from_numpy(columns.apply(features))
    wide = data.shape[1] > data.shape[0]
    values, vectors = torch.linalg.eigh(data @ data.T if wide else data.T @ data)
    kept = values > values[-1].clamp_min(1e-12) * 1e-6
    values, vectors = values[kept], vectors[:, kept]
    z = vectors * values.sqrt() if wide else data @ vectors
    return Rotated(columns, z.contiguous(), values, data.shape[1])
