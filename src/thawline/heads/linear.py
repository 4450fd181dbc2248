"""Features and labels in, softmax-regression heads out: every fold and L2 strength in one batched convex problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.heads.columns import Columns
from thawline.heads.rotation import Rotated, rotate
from thawline.heads.softmax_path import TOLERANCE, solve_path

__all__ = ["L2_STRENGTHS", "LinearHead", "fit_folds", "fit_linear"]

L2_STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Penalties tried, per picture and per column: features have unit variance, so D of them scale the logits with D."""

MAX_FLOATS = 8_000_000


@dataclass(frozen=True)
class LinearHead:
    """A head that is linear in prepared features: logits = columns.apply(features) @ weight + bias.

    Attributes:
        columns: Preparation of the raw features.
        weight: (D, K) float32.
        bias: (K,) float32.
    """

    columns: Columns
    weight: Floats
    bias: Floats

    def __repr__(self) -> str:
        return f"<LinearHead: {len(self.weight):,} columns, {len(self.bias):,} classes>"

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logits of (N, D) raw features."""
        return self.columns.apply(features) @ self.weight + self.bias

    def folded(self) -> tuple[Floats, Floats]:
        """Return the (D, K) weight and (K,) bias, float32, that give the same logits from raw features directly.

        Fine-tuning starts from them: a dense layer on the network's own activations.

        Raises:
            ValueError: A column is rooted: its preparation is not affine, no weight can express it.
        """
        num_rooted = int(self.columns.rooted.sum())
        if num_rooted:
            raise ValueError(
                f"fold a head: {num_rooted:,} of its {len(self.weight):,} columns are rooted, none may be. "
                "Fit it with rooted=False."
            )
        weight = self.columns.scale[:, None].astype(np.float64) * self.weight
        bias = self.bias - self.columns.mean @ weight  # float64: means may be large where deviations are small
        return weight.astype(np.float32), bias.astype(np.float32)


def fit_folds(
    rotated: Rotated,
    labels: Ints,
    *,
    row_weights: Floats,
    strengths: Sequence[float],
    num_classes: int,
    num_answers: int | None = None,
    shifts: Floats | None = None,
    tolerance: float = TOLERANCE,
) -> Floats:
    """Return the logits of rows under every fit: those of a fold's held-out rows are its predictions.

    Solves min mean_i weight_i · CE(softmax(x_i W + b), label_i) + l2/2 ‖W‖² for F folds × S strengths at once, from the
    strongest to the weakest. Where the held-out rows' log-loss has risen from one strength to the next, weaker ones
    would fit noise: they are not solved. Memory is bounded by groups of folds.

    Args:
        rotated: From `rotate`; N rows.
        labels: (N,) class indices.
        row_weights: (N, F); 0 leaves a row out; each column is scaled to sum to 1.
        strengths: S penalties per column; the penalty of a fit is strength × D.
        num_classes: K.
        num_answers: M, the first rows, whose logits are kept; all N where it is None.
        shifts: (F, K) added to the logits of each fold, as from `class_shifts`.
        tolerance: Length of the gradient over that of the penalty's own at which a fit is solved.

    Returns:
        (F, S, M, K) float32; NaN under a strength that was not solved.
    """
    n = len(labels)
    num_folds = row_weights.shape[1]
    kept = n if num_answers is None else num_answers
    logits = np.full((num_folds, len(strengths), kept, num_classes), np.nan, np.float32)
    group = max(1, MAX_FLOATS // (n * num_classes))
    for start in range(0, num_folds, group):
        part = slice(start, start + group)
        held_out = torch.from_numpy(row_weights[:kept, part].T == 0)
        best = np.inf
        for place, point in solve_path(
            rotated,
            labels,
            row_weights=row_weights[:, part],
            strengths=strengths,
            num_classes=num_classes,
            tolerance=tolerance,
        ):
            logits[part, place] = point.logits[..., :kept].permute(1, 2, 0).numpy()
            loss = _held_out_loss(point.logits[..., :kept], labels[:kept], held_out)
            if loss > best:
                break
            best = loss
    if shifts is not None:
        logits += shifts[:, None, None]
    return logits


def _held_out_loss(logits: torch.Tensor, labels: Ints, held_out: torch.Tensor) -> float:
    """Return the mean log-loss of the rows (F, M) that folds hold out, of (K, F, M); NaN where they hold out none."""
    right = logits.gather(0, torch.from_numpy(labels).expand(1, *held_out.shape))[0]
    losses = torch.logsumexp(logits, 0) - right
    return float(losses[held_out].mean())


def fit_linear(
    features: Floats,
    labels: Ints,
    *,
    l2: float,
    num_classes: int,
    row_weights: Floats | None = None,
    rooted: bool = True,
) -> LinearHead:
    """Return the head trained on all rows with one L2 strength, solved as the folds are.

    Args:
        features: (N, D) raw features.
        labels: (N,) class indices.
        l2: Strength, as in `L2_STRENGTHS`.
        num_classes: K.
        row_weights: (N,) weights of the rows, or None for equal ones.
        rooted: As in `fit_columns`; a head without roots can be `folded` into a dense layer.
    """
    rotated = rotate(features, rooted=rooted)
    weights = np.ones(len(labels), dtype=np.float32) if row_weights is None else row_weights
    stronger = [strength for strength in L2_STRENGTHS if strength > l2]
    *_, (_, point) = solve_path(
        rotated,
        labels,
        row_weights=weights[:, None],
        strengths=[l2, *stronger],
        num_classes=num_classes,
    )
    return LinearHead(rotated.columns, rotated.back(point.w[:, 0, :-1].T).numpy(), point.w[:, 0, -1].numpy())
