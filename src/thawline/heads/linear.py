"""Features and labels in, softmax-regression heads out: every fold and every L2 strength as one batched convex problem.

One idea: all problems share the same rows, so each step of the solver is a single matrix product with folds × K
columns; a fold is a column of row weights. Features are first rotated into the eigenbasis of their own scatter matrix,
which is exact for an L2 penalty, costs what N columns do where D > N, and makes the Hessian nearly diagonal, so that
its diagonal preconditions well.

Sources: Hastie & Tibshirani, "Efficient quadratic regularization for expression arrays", Biostatistics 2004 (rotation);
Nocedal & Wright, "Numerical Optimization", 2nd ed., chapter 5.2 (nonlinear conjugate gradients, Polak-Ribière+).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.heads.columns import Columns, fit_columns

__all__ = [
    "L2_STRENGTHS",
    "LinearHead",
    "Rotated",
    "fit_folds",
    "fit_linear",
    "rotate",
]

L2_STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Penalties tried, per picture and per column: features have unit variance, so D of them scale the logits with D."""

MAX_FLOATS = 64_000_000


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


@dataclass
class _Problems:
    """The state of A unsolved problems; every tensor ends in the axis of problems, so that it can be shortened.

    Shapes: weights w, direction and gradient (r+1, K, A) with the bias last, logits (N, K, A), row weights (N, A),
    penalty and preconditioner (r+1, 1, A); `decrease` and `enough` are squared preconditioned lengths of the gradient
    (A,): the present one and the one to reach.
    """

    w: torch.Tensor
    logits: torch.Tensor
    row_weights: torch.Tensor
    penalty: torch.Tensor
    precondition: torch.Tensor
    enough: torch.Tensor
    direction: torch.Tensor
    gradient: torch.Tensor
    decrease: torch.Tensor

    def keep(self, mask: torch.Tensor) -> None:
        for name, value in vars(self).items():
            setattr(self, name, value[..., mask])


def _solve(
    x: torch.Tensor, targets: torch.Tensor, state: _Problems, max_steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights (r+1, K, P) and logits (N, K, P) of all problems; x is (N, r+1) with a column of ones.

    Preconditioned nonlinear conjugate gradients. Logits are linear in the weights, so the curvature along a direction
    is known from one product, and the step length is one Newton step on it. A problem leaves the batch when its
    gradient is short enough.
    """
    w, logits = state.w.clone(), state.logits.clone()
    active = torch.arange(state.logits.shape[2])
    for step in range(max_steps):
        probabilities = torch.softmax(state.logits, 1)
        gradient = _gradient(x, targets, probabilities, state)
        scaled = gradient * state.precondition
        decrease = (gradient * scaled).sum((0, 1))
        if step == 0:
            state.direction = -scaled
        else:
            fresh = (decrease - (state.gradient * scaled).sum((0, 1))) / state.decrease
            state.direction = state.direction.mul_(fresh.clamp_min_(0)).sub_(scaled)
        state.gradient, state.decrease = gradient, decrease
        done = decrease <= state.enough
        if bool(done.any()) or step == max_steps - 1:
            w[..., active], logits[..., active] = state.w, state.logits
            active, probabilities = active[~done], probabilities[..., ~done]
            state.keep(~done)
            if not len(active):
                break
        _advance(x, state, probabilities)
    return w, logits


def _gradient(x: torch.Tensor, targets: torch.Tensor, probabilities: torch.Tensor, state: _Problems) -> torch.Tensor:
    """Return the gradients (r+1, K, A) of the penalised losses."""
    residual = (probabilities - targets[:, :, None]).mul_(state.row_weights[:, None])
    flat = x.T @ residual.reshape(len(x), -1)
    return flat.view(-1, *probabilities.shape[1:]).addcmul_(state.penalty, state.w)


def _advance(x: torch.Tensor, state: _Problems, probabilities: torch.Tensor) -> None:
    """Move every problem along its direction by one Newton step on the curvature along it."""
    n, k, a = state.logits.shape
    slope = (state.gradient * state.direction).sum((0, 1))
    uphill = slope >= 0
    if bool(uphill.any()):
        state.direction[..., uphill] = -(state.gradient * state.precondition)[..., uphill]
        slope = (state.gradient * state.direction).sum((0, 1))
    along = (x @ state.direction.view(-1, k * a)).view(n, k, a)
    weighted = probabilities * along
    spread = (weighted * along).sum(1) - weighted.sum(1).square_()
    curvature = (spread * state.row_weights).sum(0) + (state.penalty * state.direction.square()).sum((0, 1))
    length = -slope / curvature.clamp_min_(1e-30)
    state.w.addcmul_(state.direction, length)
    state.logits.addcmul_(along, length)


def fit_folds(
    rotated: Rotated,
    labels: Ints,
    *,
    row_weights: Floats,
    strengths: Sequence[float],
    num_classes: int,
    num_answers: int | None = None,
    tolerance: float = 1e-2,
    max_steps: int = 200,
) -> tuple[Floats, Floats]:
    """Return the logits of rows under every fit, and the fits' weights in the rotated basis.

    Solves min mean_i weight_i · CE(softmax(x_i W + b), label_i) + l2/2 ‖W‖² for F folds × S strengths at once. The
    logits of a fold's held-out rows (weight 0) are its predictions, at no further cost.

    Args:
        rotated: From `rotate`; N rows.
        labels: (N,) class indices.
        row_weights: (N, F); 0 leaves a row out; each column is scaled to sum to 1.
        strengths: S penalties per column; the penalty of a fit is strength × D.
        num_classes: K.
        num_answers: M, the first rows, whose logits are kept; all N where it is None.
        tolerance: How far the preconditioned gradient must fall from what it is at zero weights.
        max_steps: Bound on the steps of a fit.

    Returns:
        Logits (F, S, M, K) and weights (F, S, r+1, K), float32; the bias is the last row. The strengths are solved
        from the strongest to the weakest, each from where the one before ended; memory is bounded by groups of folds.
    """
    n, r = rotated.z.shape
    num_folds = row_weights.shape[1]
    x = torch.cat([rotated.z, torch.ones(n, 1)], dim=1)
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), num_classes).float()
    shares = torch.from_numpy(row_weights / row_weights.sum(0)).float()
    kept = n if num_answers is None else num_answers
    logits = np.empty((num_folds, len(strengths), kept, num_classes), np.float32)
    weights = np.empty((num_folds, len(strengths), r + 1, num_classes), np.float32)
    group = max(1, MAX_FLOATS // (n * num_classes))
    for start in range(0, num_folds, group):
        part = slice(start, start + group)
        w = torch.zeros(r + 1, num_classes, shares[:, part].shape[1])
        out = torch.zeros(n, num_classes, w.shape[2])
        for place in np.argsort(strengths)[::-1].tolist():
            state = _start(
                rotated,
                x,
                targets,
                row_weights=shares[:, part],
                strength=strengths[place],
                w=w,
                logits=out,
                tolerance=tolerance,
            )
            w, out = _solve(x, targets, state, max_steps)
            logits[part, place], weights[part, place] = out[:kept].permute(2, 0, 1).numpy(), w.permute(2, 0, 1).numpy()
    return logits, weights


def _start(
    rotated: Rotated,
    x: torch.Tensor,
    targets: torch.Tensor,
    *,
    row_weights: torch.Tensor,
    strength: float,
    w: torch.Tensor,
    logits: torch.Tensor,
    tolerance: float,
) -> _Problems:
    """Return the problems of one strength, started at the solution of the one before.

    The preconditioner is the diagonal of the Hessian if every row had the mean spread p (1 - p) of the present answers;
    the gradient is short enough when it has fallen by `tolerance` from what it is at zero weights.
    """
    num_classes, num_problems = w.shape[1:]
    penalty = torch.full((len(w), 1, num_problems), strength * rotated.num_columns)
    penalty[-1] = 0
    probabilities = torch.softmax(logits, 1)
    spread = (probabilities * (1 - probabilities)).mean(1).mul_(row_weights).sum(0)
    spread = spread.mul_(num_classes / (num_classes - 1)).clamp_(1e-3, 1 / num_classes)
    scatter = torch.cat([rotated.eigenvalues / len(x), torch.ones(1)])[:, None, None]
    empty = torch.zeros(1, 1, num_problems)
    state = _Problems(
        w=torch.zeros_like(w),
        logits=logits.clone(),
        row_weights=row_weights,
        penalty=penalty,
        precondition=1 / (scatter * spread + penalty),
        enough=empty[0, 0],
        direction=empty,
        gradient=empty,
        decrease=empty[0, 0],
    )
    at_zero = _gradient(x, targets, torch.full_like(logits, 1 / num_classes), state)
    state.enough = tolerance**2 * (at_zero.square() * state.precondition).sum((0, 1))
    state.w = w.clone()
    return state


def fit_linear(
    features: Floats,
    labels: Ints,
    *,
    l2: float,
    num_classes: int,
    row_weights: Floats | None = None,
    rooted: bool = True,
) -> LinearHead:
    """Return the head trained on all rows with one L2 strength, solved to a tight tolerance.

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
    _, fits = fit_folds(
        rotated,
        labels,
        row_weights=weights[:, None],
        strengths=[l2],
        num_classes=num_classes,
        tolerance=1e-4,
        max_steps=1000,
    )
    rotated_weight = torch.from_numpy(fits[0, 0, :-1]) / rotated.eigenvalues[:, None]
    weight = rotated.columns.apply(features).T @ (rotated.z @ rotated_weight).numpy()
    return LinearHead(rotated.columns, weight, fits[0, 0, -1])
