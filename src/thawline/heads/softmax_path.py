"""Rotated features and labels in, softmax regressions out: all folds as one batched problem, strength after strength.

One idea: all problems share the same rows, so each step of the solver is two matrix products with K × folds rows; a
fold is a row of row weights. The axis of rows comes last, so that sums over classes run through memory side by side.
Source: Nocedal & Wright, "Numerical Optimization", 2nd ed., chapter 5.2
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

__all__ = ["NO_DECREASE", "TOLERANCE", "Point", "Problems", "begun", "gradient_of", "solve", "solve_path", "targets_of"]

TOLERANCE = 0.008
"""Of the gradient, relative to the penalty's own: held-out logits then lie within 1 % of the converged ones'."""
MAX_STEPS = 2000
NO_DECREASE = 1e-12
"""A gradient by which the loss, in nats, cannot fall further, also where there is nothing to learn."""


class Point(NamedTuple):
    """Solutions of P problems: weights (K, P, r+1), the bias last, and the logits (K, P, N) that they give."""

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
    n, num_problems = row_weights.shape
    targets = targets_of(labels, num_classes)
    shares = torch.from_numpy(row_weights / row_weights.sum(0)).float().T.contiguous()
    sizes = (num_classes, num_problems)
    point = Point(torch.zeros(*sizes, rotated.z.shape[1] + 1), torch.zeros(*sizes, n))
    before: Point | None = None
    for place in np.argsort(strengths)[::-1].tolist():
        ahead = point if before is None else Point(2 * point.w - before.w, 2 * point.logits - before.logits)
        state = begun(rotated, row_weights=shares, strength=strengths[place], point=ahead)
        point, before = solve(rotated.z, state, targets=targets, tolerance=tolerance), point
        yield place, point


def targets_of(labels: Ints, num_classes: int) -> torch.Tensor:
    """Return (K, 1, N) float32: 1 where a row is of a class."""
    return torch.nn.functional.one_hot(torch.from_numpy(labels), num_classes).T.float().unsqueeze(1)


def begun(rotated: Rotated, *, row_weights: torch.Tensor, strength: float, point: Point) -> Problems:
    """Return the problems of one strength, begun at a point.

    The preconditioner is the diagonal of the Hessian if every row had the mean spread p (1 - p) of the present answers.
    """
    num_classes, num_problems, n = point.logits.shape
    penalty = torch.full((num_problems, point.w.shape[2]), strength * rotated.num_columns)
    penalty[:, -1] = 0
    probabilities = torch.softmax(point.logits, 0)
    spread = (probabilities * (1 - probabilities)).mean(0).mul_(row_weights).sum(1, keepdim=True)
    spread = spread.mul_(num_classes / (num_classes - 1)).clamp_(1e-3, 1 / num_classes)
    scatter = torch.cat([rotated.lengths / n, torch.ones(1)])
    empty = torch.zeros(1, num_problems, 1)
    return Problems(
        w=point.w.clone(),
        logits=point.logits.clone(),
        row_weights=row_weights,
        penalty=penalty,
        precondition=1 / (scatter * spread + penalty),
        direction=empty,
        gradient=empty,
        decrease=empty[0, :, 0],
    )


@dataclass
class Problems:
    """The state of A unsolved problems, which can be shortened.

    Shapes: weights w, direction and gradient (K, A, r+1) with the bias last, logits (K, A, N), row weights (A, N),
    penalty and preconditioner (A, r+1); `decrease` (A,) is the squared preconditioned length of the gradient; `tilt`
    (K, A, r+1) is added to every gradient, where there is one: the loss of other rows less that of these.
    """

    w: torch.Tensor
    logits: torch.Tensor
    row_weights: torch.Tensor
    penalty: torch.Tensor
    precondition: torch.Tensor
    direction: torch.Tensor
    gradient: torch.Tensor
    decrease: torch.Tensor
    tilt: torch.Tensor | None = None

    def keep(self, mask: torch.Tensor) -> None:
        """Leave out the problems that are not of the mask (A,)."""
        for name, value in vars(self).items():
            if value is not None:
                setattr(self, name, value[:, mask] if value.dim() == 3 else value[mask])

    def squared_pull(self) -> torch.Tensor:
        """Return (A,) the squared preconditioned length of the penalties' own gradients."""
        return ((self.penalty * self.w).square_() * self.precondition).sum((0, 2))


def solve(z: torch.Tensor, state: Problems, *, targets: torch.Tensor, tolerance: float) -> Point:
    """Return weights (K, P, r+1) and logits (K, P, N) of all problems; z is (N, r), targets are (K, 1, N).

    Preconditioned nonlinear conjugate gradients. Logits are linear in the weights, so the curvature along a direction
    is known from one product, and the step length is one Newton step on it. At the optimum the loss pulls the weights
    as hard as the penalty does, so what is left of the gradient is measured by the penalty's own: a problem leaves the
    batch when it is `tolerance` of that, which bounds the error of the logits alike at every strength.
    """
    w, logits = torch.empty_like(state.w), torch.empty_like(state.logits)
    active = torch.arange(state.logits.shape[1])
    for step in range(MAX_STEPS):
        probabilities = torch.softmax(state.logits, 0)
        gradient = gradient_of(z, state, targets=targets, probabilities=probabilities)
        scaled = gradient * state.precondition
        decrease = (gradient * scaled).sum((0, 2))
        if step == 0:
            state.direction = -scaled
        else:
            fresh = (decrease - (state.gradient * scaled).sum((0, 2))) / state.decrease
            state.direction = state.direction.mul_(fresh.clamp_min_(0)[:, None]).sub_(scaled)
        state.gradient, state.decrease = gradient, decrease
        done = decrease <= tolerance**2 * state.squared_pull() + NO_DECREASE
        if bool(done.any()) or step == MAX_STEPS - 1:
            w[:, active], logits[:, active] = state.w, state.logits
            active, probabilities = active[~done], probabilities[:, ~done]
            state.keep(~done)
            if not len(active):
                break
        _advance(z, state, probabilities)
    return Point(w, logits)


def gradient_of(
    z: torch.Tensor, state: Problems, *, targets: torch.Tensor, probabilities: torch.Tensor
) -> torch.Tensor:
    """Return the gradients (K, A, r+1) of the penalised losses."""
    residual = (probabilities - targets).mul_(state.row_weights)
    gradient = torch.empty_like(state.w)
    torch.mm(residual.flatten(0, 1), z, out=gradient.flatten(0, 1)[:, :-1])
    gradient[..., -1] = residual.sum(2)
    gradient.addcmul_(state.penalty, state.w)
    return gradient if state.tilt is None else gradient.add_(state.tilt)


def _advance(z: torch.Tensor, state: Problems, probabilities: torch.Tensor) -> None:
    """Move every problem along its direction by one Newton step on the curvature along it."""
    slope = (state.gradient * state.direction).sum((0, 2))
    uphill = slope >= 0
    if bool(uphill.any()):
        state.direction[:, uphill] = -(state.gradient * state.precondition)[:, uphill]
        slope = (state.gradient * state.direction).sum((0, 2))
    along = state.direction.flatten(0, 1)[:, :-1] @ z.T
    along = along.view(state.logits.shape).add_(state.direction[..., -1:])
    weighted = probabilities.mul_(along)
    spread = weighted.sum(0).square_().neg_().add_((weighted * along).sum(0))
    curvature = (spread * state.row_weights).sum(1) + (state.penalty * state.direction.square()).sum((0, 2))
    length = (-slope / curvature.clamp_min_(1e-30))[:, None]
    state.w.addcmul_(state.direction, length)
    state.logits.addcmul_(along, length)
