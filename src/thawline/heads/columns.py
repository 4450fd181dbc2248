"""Raw features in, well-scaled ones out: what every head does to its columns before it looks at them.

One idea: columns that are never negative (activations behind a ReLU, standard deviations, maxima) are skewed, so their
square root is taken; then every column gets zero mean and unit variance, so that depths of different scale can be
fused. Labels play no part.

Source: Perronnin, Sánchez & Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010
(power normalisation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thawline.core.types import Floats

__all__ = ["Columns", "fit_columns", "prepare_columns"]

FLOATS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Columns:
    """The preparation of D columns.

    Attributes:
        rooted: (D,) bool; columns whose square root is taken (negative values keep their sign).
        mean: (D,) float32, subtracted afterwards.
        scale: (D,) float32 factors to unit variance; 0 for a constant column.
    """

    rooted: npt.NDArray[np.bool_]
    mean: Floats
    scale: Floats

    def apply(self, features: Floats) -> Floats:
        """Return (N, D) float32 prepared features of (N, D) raw ones."""
        x = _rooted(features, self.rooted)
        x -= self.mean
        x *= self.scale
        return x


def fit_columns(features: Floats, *, rooted: bool = True) -> Columns:
    """Return the preparation that suits (N, D) raw features of the rows of choosing or of training.

    Args:
        features: (N, D) raw features.
        rooted: Take the square root of columns that are never negative; without it the preparation is affine.
    """
    return prepare_columns(features, rooted=rooted)[0]


def prepare_columns(features: Floats, *, rooted: bool = True) -> tuple[Columns, Floats]:
    """Return the preparation that suits (N, D) raw features, and the (N, D) float32 prepared features.

    Args:
        features: As in `fit_columns`.
        rooted: As in `fit_columns`.
    """
    roots = features.min(axis=0) >= 0 if rooted else np.zeros(features.shape[1], dtype=np.bool_)
    x = _rooted(features, roots)
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)  # in float32 a constant column of 50,000 rows varies
    x -= mean
    deviation = np.sqrt(np.einsum("nd,nd->d", x, x) / len(x))
    floor = 1e-6 * (np.abs(mean) + 1e-6)
    scale = np.where(deviation > floor, 1 / np.maximum(deviation, floor), 0).astype(np.float32)
    x *= scale
    return Columns(roots, mean, scale), x


def _rooted(features: Floats, rooted: npt.NDArray[np.bool_]) -> Floats:
    """Return a float32 copy with the roots taken, block by block: temporaries of one size are not asked for again."""
    x = np.array(features, dtype=np.float32)
    rows_at_once = max(1, FLOATS_AT_ONCE // max(1, x.shape[1]))
    for start in range(0, len(x), rows_at_once):
        block = x[start : start + rows_at_once]
        if rooted.all():  # of most networks every column is: then no part is copied out and back
            np.copysign(np.sqrt(np.abs(block)), block, out=block)
        else:
            part = block[:, rooted]
            block[:, rooted] = np.copysign(np.sqrt(np.abs(part)), part)
    return x
