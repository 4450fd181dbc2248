"""Features in, the same features in the eigenbasis of their own scatter matrix out.

One idea: the rotation is exact for an L2 penalty, costs what N columns do where D > N, and makes the Hessian of a
softmax regression nearly diagonal. Of large sets, the directions come from some of the rows, and features are read in
parts, so that never all N × D of them are in memory. Sources: Hastie &
Tibshirani, "Efficient quadratic regularization for expression arrays", Biostatistics 2004; Williams & Seeger, "Using
the Nyström method to speed up kernel machines", NeurIPS 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.heads.columns import Columns, prepare_columns

__all__ = ["MAX_DIRECTIONS", "ROWS_OF_SCALES", "Rotated", "Table", "drawn_rows", "leading", "rotate", "squared_lengths"]

MAX_DIRECTIONS = 2048
"""Directions kept; beyond them an eigendecomposition costs more than extraction, and accuracy gains nothing."""


ROWS_AT_ONCE = 4096
"""Rows that are read and prepared in one piece."""
ROWS_OF_SCALES = 8192
"""Rows that are prepared as one; of larger sets so many, drawn, tell the scale of a column."""


class Table(Protocol):
    """N rows of D raw features: an array, or what reads them where they lie."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __getitem__(self, rows: slice | Ints, /) -> Floats:
        """Return (n, D) features of some rows."""


@dataclass(frozen=True)
class Rotated:
    """Prepared features in the eigenbasis of their scatter matrix.

    Attributes:
        columns: The preparation of the raw features.
        z: (N, r) float32 with orthogonal columns, or nearly so where the directions come from some of the rows.
        lengths: (r,) squared lengths of the columns of z: the eigenvalues, where the rotation is exact.
        rows: (M, D) float32 prepared features that the directions come from; None where D directions are kept whole.
        directions: (M, r) float32 shares of `rows` in each direction; or (D, r), the directions themselves.
    """

    columns: Columns
    z: torch.Tensor
    lengths: torch.Tensor
    rows: torch.Tensor | None
    directions: torch.Tensor

    @property
    def num_columns(self) -> int:
        """D, the columns before the rotation."""
        return self.directions.shape[0] if self.rows is None else self.rows.shape[1]

    @property
    def one_way(self) -> Rotated:
        """The same without what `back` needs, which is larger than all else where columns are many."""
        if self.rows is None:
            return self
        return replace(self, rows=self.rows[:0].clone(), directions=self.directions[:0].clone())

    def back(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the (D, K) weights of prepared features that answer like (r, K) weights of z."""
        turned = self.directions @ weight
        return turned if self.rows is None else self.rows.T @ turned

    def there(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the (r, K) gradient by weights of z that a (D, K) gradient by those of prepared features is."""
        return self.directions.T @ (gradient if self.rows is None else self.rows @ gradient)


def rotate(
    features: Floats | Table, *, rooted: bool = True, max_directions: int = MAX_DIRECTIONS, kept: Ints | None = None
) -> Rotated:
    """Return the prepared features rotated into their row space: exact for any L2-penalised linear head.

    The preparation uses no labels and is taken over all rows given, or `ROWS_OF_SCALES` drawn ones: the rows of
    choosing, never the test rows. Costs one eigendecomposition of the smaller of the N×N Gram and the D×D scatter
    matrix; directions below 1e-6 of the largest eigenvalue, which float32 cannot resolve, are dropped. Where both are
    larger than `max_directions`, the directions are those of so many rows, and the head is the best one within them.
    Rows are drawn by a fixed seed. Memory is that of z, of `max_directions` rows and of `ROWS_AT_ONCE`.

    Args:
        features: (N, D) raw features.
        rooted: As in `fit_columns`.
        max_directions: Directions kept at most.
        kept: (m,) rows that z has, ascending; None: all. Scales and drawn directions are those of all rows even so.
    """
    n, d = features.shape
    m = n if kept is None else len(kept)
    columns, first = prepare_columns(features[drawn_rows(n, ROWS_OF_SCALES)], rooted=rooted)

    def prepared() -> Iterator[torch.Tensor]:
        if kept is None and len(first) == n:
            yield torch.from_numpy(first)
            return
        for start in range(0, m, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            yield torch.from_numpy(columns.apply(features[part if kept is None else kept[part]]))

    if d <= min(m, max_directions):
        scatter = torch.zeros(d, d)
        for x in prepared():
            scatter.addmm_(x.T, x)
        values, vectors = leading(scatter)
        z = _turned(prepared, vectors, m)
        return Rotated(columns, z, squared_lengths(z), None, vectors)
    drawn = drawn_rows(n, max_directions)
    rows = torch.from_numpy(first[drawn] if len(first) == n else columns.apply(features[drawn]))
    values, vectors = leading(rows @ rows.T)
    directions = vectors / values.sqrt()
    is_own = m == n <= max_directions
    z = vectors * values.sqrt() if is_own else _turned(prepared, rows.T @ directions, m)
    return Rotated(columns, z, squared_lengths(z), rows, directions)


def drawn_rows(n: int, most: int) -> slice | Ints:
    """Return the places of all rows, or of as many as asked for, ascending."""
    if n <= most:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def leading(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the eigenvalues that float32 resolves, ascending, and their vectors as columns."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > values[-1].clamp_min(1e-12) * 1e-6
    return values[kept], vectors[:, kept]


def _turned(prepared: Callable[[], Iterator[torch.Tensor]], turn: torch.Tensor, n: int) -> torch.Tensor:
    """Return (n, r) products of all prepared rows with (D, r)."""
    z, start = torch.empty(n, turn.shape[1]), 0
    for x in prepared():
        torch.mm(x, turn, out=z[start : start + len(x)])
        start += len(x)
    return z


def squared_lengths(z: torch.Tensor) -> torch.Tensor:
    """Return (r,) squared lengths of the columns of (N, r)."""
    squared: torch.Tensor = torch.linalg.vector_norm(z, dim=0).square()
    return squared
