"""Rotated features and labels in, softmax regressions out: all folds as one batched problem, strength after strength.

One idea: all problems share the same rows, so each step of the solver is a single matrix product with folds × K
columns; a fold is a column of row weights. Source: Nocedal & Wright, "Numerical Optimization", 2nd ed., chapter 5.2
(nonlinear conjugate gradients, Polak-Ribière+).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.heads.rotation import Rotated

__all__ = ["TOLERANCE", "Point", "solve_path"]

TOLERANCE = 0.008
"""Of the gradient, relative to the penalty's own: held-out logits then lie within 1 % of the converged ones'."""
MAX_STEPS = 2000
NO_DECREASE = 1e-12
"""A gradient by which the loss, in nats, cannot fall further, also where there is nothing to learn."""


class Point(NamedTuple):
    """Solutions of P problems: weights (r+1, K, P), the bias last, and the logits (N, K, P) that they give."""

    w: torch.Tensor
    logits: torch.Tensor


def solve_path(
    rotated: Rotated,
    labels: Ints,
    *,
    row_weights: Floats,
    strengths: Sequence[float],
    num_classes: int,
    tolerance: float = TOLERANCE,
) -> Iterator[tuple[int, Point]]:
    """Yield the solutions from the strongest strength to the weakest, with the place of each in `strengths`.

    Solves min mean_i weight_i · CE(softmax(x_i W + b), label_i) + l2/2 ‖W‖² for F folds at once. Equal ratios of
    strength move a solution by nearly equal steps: each begins where the two before point to.

    Args:
        rotated: N rows.
        labels: (N,) class indices.
        row_weights: (N, F); 0 leaves a row out; each column is scaled to sum to 1.
        strengths: Penalties per column; the penalty of a fit is strength × D.
        num_classes: K.
        tolerance: Length of the gradient over that of the penalty's own at which a fit is solved.
    """
    n = len(labels)
    x = torch.cat([rotated.z, torch.ones(n, 1)], dim=1)
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), num_classes).float()
    shares = torch.from_numpy(row_weights / row_weights.sum(0)).float()
    point = Point(torch.zeros(x.shape[1], num_classes, shares.shape[1]), torch.zeros(n, num_classes, shares.shape[1]))
    before: Point | None = None
    for place in np.argsort(strengths)[::-1].tolist():
        ahead = point if before is None else Point(2 * point.w - before.w, 2 * point.logits - before.logits)
        state = _start(rotated, row_weights=shares, strength=strengths[place], point=ahead)
        point, before = _solve(x, targets, state, tolerance=tolerance), point
        yield place, point


def _start(rotated: Rotated, *, row_weights: torch.Tensor, strength: float, point: Point) -> _Problems:
    """Return the problems of one strength, begun at a point.

    The preconditioner is the diagonal of the Hessian if every row had the mean spread p (1 - p) of the present answers.
    """
    num_classes, num_problems = point.w.shape[1:]
    penalty = torch.full((len(point.w), 1, num_problems), strength * rotated.num_columns)
    penalty[-1] = 0
    probabilities = torch.softmax(point.logits, 1)
    spread = (probabilities * (1 - probabilities)).mean(1).mul_(row_weights).sum(0)
    spread = spread.mul_(num_classes / (num_classes - 1)).clamp_(1e-3, 1 / num_classes)
    scatter = torch.cat([rotated.lengths / len(point.logits), torch.ones(1)])[:, None, None]
    empty = torch.zeros(1, 1, num_problems)
    return _Problems(
        w=point.w.clone(),
        logits=point.logits.clone(),
        row_weights=row_weights,
        penalty=penalty,
        precondition=1 / (scatter * spread + penalty),
        direction=empty,
        gradient=empty,
        decrease=empty[0, 0],
    )


@dataclass
class _Problems:
    """The state of A unsolved problems; every tensor ends in the axis of problems, so that it can be shortened.

    Shapes: weights w, direction and gradient (r+1, K, A) with the bias last, logits (N, K, A), row weights (N, A),
    penalty and preconditioner (r+1, 1, A); `decrease` (A,) is the squared preconditioned length of the gradient.
    """

    w: torch.Tensor
    logits: torch.Tensor
    row_weights: torch.Tensor
    penalty: torch.Tensor
    precondition: torch.Tensor
    direction: torch.Tensor
    gradient: torch.Tensor
    decrease: torch.Tensor

    def keep(self, mask: torch.Tensor) -> None:
        for name, value in vars(self).items():
            setattr(self, name, value[..., mask])


def _solve(x: torch.Tensor, targets: torch.Tensor, state: _Problems, *, tolerance: float) -> Point:
    """Return weights (r+1, K, P) and logits (N, K, P) of all problems; x is (N, r+1) with a column of ones.

    Preconditioned nonlinear conjugate gradients. Logits are linear in the weights, so the curvature along a direction
    is known from one product, and the step length is one Newton step on it. At the optimum the loss pulls the weights
    as hard as the penalty does, so what is left of the gradient is measured by the penalty's own: a problem leaves the
    batch when it is `tolerance` of that, which bounds the error of the logits alike at every strength.
    """
    w, logits = state.w.clone(), state.logits.clone()
    active = torch.arange(state.logits.shape[2])
    for step in range(MAX_STEPS):
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
        pull = ((state.penalty * state.w).square_() * state.precondition).sum((0, 1))
        done = decrease <= tolerance**2 * pull + NO_DECREASE
        if bool(done.any()) or step == MAX_STEPS - 1:
            w[..., active], logits[..., active] = state.w, state.logits
            active, probabilities = active[~done], probabilities[..., ~done]
            state.keep(~done)
            if not len(active):
                break
        _advance(x, state, probabilities)
    return Point(w, logits)


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
