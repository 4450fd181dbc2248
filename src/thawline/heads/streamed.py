"""More features than memory holds, and labels, in -> the linear head of all rows out, in some passes over them.

One idea: rows that are drawn know nearly everything of the rest. Each pass adds up the gradient of all rows; the drawn
rows, in memory, are solved with the difference between that gradient and their own added to theirs, and where their
solution lies is the next step of conjugate gradients. Sums are float32 within a part and float64 over parts. Memory
does not grow with N times D.

Sources: Shamir, Srebro & Zhang, "Communication-efficient distributed optimization using an approximate Newton-type
method", ICML 2014 (the step, with one machine whose rows are a sample); Nocedal & Wright, chapter 5.2 (as in
`softmax_path`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from thawline.core.types import Floats, Ints
from thawline.features.extract import in_streams
from thawline.heads.columns import prepare_columns
from thawline.heads.head import Head
from thawline.heads.linear import L2_STRENGTHS, LinearHead
from thawline.heads.nearest import class_mean_head
from thawline.heads.rotation import MAX_DIRECTIONS, ROWS_OF_SCALES, Rotated, Table, drawn_rows, rotate
from thawline.heads.softmax_path import NO_DECREASE, Point, begun, gradient_of, solve, targets_of

__all__ = ["InParts", "class_mean_streamed", "drawn_of_classes", "fit_streamed", "logits_in_parts"]

FLOATS = 1 << 28
"""Numbers that the drawn rows take, with all that is computed of them: 1 GiB."""
ARRAYS_OF_LOGITS = 8
"""That the solver holds at once."""
LEAST_A_CLASS = 20
"""Rows of a class that are drawn at least, on average; all of a smaller one."""
FLOATS_AT_ONCE, ROWS_AT_ONCE = 1 << 22, 4096
"""Of a part that is read as one; sums within it are float32."""
STREAMED_TOLERANCE = 0.001
"""As in `solve_path`; an eighth of what is usual there costs a pass or two, and is nearer to the optimum."""
ON_THE_WAY = 0.2
"""The same of the stronger strengths, from which the one that is wanted is begun."""
MAX_STEPS = 60
"""Of one strength; 5 to 12 are usual."""
EXACTNESS = 0.1
"""Of a step, as a share of what is left: a step need not be more exact than what the drawn rows know."""
FAR, LONGEST = 2.0, 4.0
"""Times that a step may be too long or too short before it is taken again, and the most that it is lengthened."""


class InParts(Table, Protocol):
    """A table that knows in which order its rows are read for the least."""

    def parts(self, rows_at_once: int) -> Iterator[tuple[Ints, Floats]]:
        """Yield (n,) rows and their (n, D) features, n at most `rows_at_once`, until each row was read once."""


def fit_streamed(
    features: Table | InParts,
    labels: Ints,
    *,
    l2: float,
    num_classes: int,
    row_weights: Floats | None = None,
    rooted: bool = True,
    floats: int = FLOATS,
) -> LinearHead:
    """Return the head that `fit_linear` would return of all rows, for features that no memory holds.

    Directions and scales are those of `rotate`, so both solve the same problem; this one to `STREAMED_TOLERANCE`.
    Memory: `floats` numbers of 4 bytes, 8,192 rows of D, some parts of 16 MiB, and of each row a label and a weight.

    Args:
        features: (N, D) raw features, read from front to back once a pass.
        labels: (N,) class indices.
        l2: Strength, as in `L2_STRENGTHS`.
        num_classes: K.
        row_weights: (N,) weights of the rows, or None for equal ones.
        rooted: As in `fit_columns`.
        floats: Numbers that the drawn rows may take.
    """
    n, d = features.shape
    weights = np.ones(n, dtype=np.float32) if row_weights is None else row_weights
    most = max(1, floats // (min(d, MAX_DIRECTIONS) + ARRAYS_OF_LOGITS * num_classes))
    kept, stands_for = drawn_of_classes(labels, most=most)
    drawn = rotate(features, rooted=rooted, kept=kept)
    shares = torch.from_numpy(weights[kept] * stands_for).float()[None]
    problem = _OfAll(
        drawn=drawn,
        features=features,
        labels=labels,
        weights=weights,
        targets=targets_of(labels[kept], num_classes),
        shares=shares / shares.sum(),
    )
    w = torch.zeros(num_classes, 1, drawn.z.shape[1] + 1)
    gradient = problem.gradient(w)
    for strength in sorted({l2, *(stronger for stronger in L2_STRENGTHS if stronger > l2)}, reverse=True):
        tolerance = STREAMED_TOLERANCE if strength == l2 else ON_THE_WAY
        w, gradient = problem.solved(w, gradient, strength=strength, tolerance=tolerance)
    return LinearHead(drawn.columns, drawn.back(w[:, 0, :-1].T).numpy(), w[:, 0, -1].numpy())


@dataclass
class _OfAll:
    """The problem of all rows, and rows drawn from them that stand for it.

    Attributes:
        drawn: m rows, rotated.
        features: (N, D) raw features of all.
        labels: (N,) classes.
        weights: (N,) weights.
        targets: (K, 1, m) classes of the drawn rows.
        shares: (1, m) what each drawn row stands for; sums to 1.
    """

    drawn: Rotated
    features: Table | InParts
    labels: Ints
    weights: Floats
    targets: torch.Tensor
    shares: torch.Tensor

    def solved(
        self, w: torch.Tensor, gradient: torch.Tensor, *, strength: float, tolerance: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the solution of one strength and the gradient of its loss, begun at weights whose gradient is known.

        Conjugate gradients, with what the drawn rows say of a gradient as preconditioner; a step is taken as they say,
        and once more by the secant where the slope at its end says that it was far too long or too short.
        """
        before: tuple[torch.Tensor, torch.Tensor, float] | None = None
        for _ in range(MAX_STEPS):
            state = begun(self.drawn, row_weights=self.shares, strength=strength, point=Point(w, self._logits(w)))
            whole = gradient + state.penalty * w
            decrease, pull = float((whole.square() * state.precondition).sum()), float(state.squared_pull())
            if decrease <= tolerance**2 * pull + 2 * NO_DECREASE:
                break
            shares = torch.softmax(state.logits, 0)
            own = gradient_of(self.drawn.z, state, targets=self.targets, probabilities=shares)
            state.tilt = whole - own
            penalty, exactness = state.penalty, max(tolerance / 2, EXACTNESS * (decrease / max(pull, 1e-30)) ** 0.5)
            step = solve(self.drawn.z, state, targets=self.targets, tolerance=exactness).w - w
            direction = step
            if before is not None:
                fresh = -float((step * (whole - before[0])).sum()) / before[2]
                direction = step + max(0.0, fresh) * before[1]
            slope = float((whole * direction).sum())
            if slope >= 0:
                direction, slope = step, float((whole * step).sum())
            before = whole, direction, -float((step * whole).sum())
            w, gradient = self._along(w, direction, slope=slope, penalty=penalty)
        return w, gradient

    def _along(
        self, w: torch.Tensor, direction: torch.Tensor, *, slope: float, penalty: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights after a step and the gradient of the loss there."""
        ahead = w + direction
        gradient = self.gradient(ahead)
        there = float(((gradient + penalty * ahead) * direction).sum())
        length = slope / (slope - there) if there > slope else LONGEST
        if 1 / FAR <= length <= FAR:
            return ahead, gradient
        ahead = w + min(length, LONGEST) * direction
        return ahead, self.gradient(ahead)

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """Return the gradient (K, 1, r+1) of the weighted loss of all rows at (K, 1, r+1): one pass over them."""
        drawn, turned, bias = self.drawn, self.drawn.back(w[:, 0, :-1].T), w[:, 0, -1]

        def of_part(rows: Ints, features: Floats) -> Floats:
            x = torch.from_numpy(drawn.columns.apply(features))
            residual = torch.softmax(torch.addmm(bias, x, turned), 1)
            residual[torch.arange(len(x)), torch.from_numpy(self.labels[rows])] -= 1
            residual *= torch.from_numpy(self.weights[rows])[:, None]
            return torch.cat([x.T @ residual, residual.sum(0, keepdim=True)]).numpy()

        summed = _summed(of_part, self.features) / self.weights.sum(dtype=np.float64)
        found = torch.from_numpy(summed.astype(np.float32))
        return torch.cat([drawn.there(found[:-1]), found[-1:]]).T[:, None].contiguous()

    def _logits(self, w: torch.Tensor) -> torch.Tensor:
        """Return (K, 1, m) logits of the drawn rows."""
        return (w[:, 0, :-1] @ self.drawn.z.T + w[:, 0, -1:])[:, None]


def drawn_of_classes(labels: Ints, *, most: int) -> tuple[Ints, Floats]:
    """Return about `most` rows of (N,) labels, drawn by a fixed seed, and how many rows of its class each stands for.

    Every class is drawn by its share, a class that would get fewer than `LEAST_A_CLASS` rows by more.
    """
    counts = np.bincount(labels)
    rates = np.minimum(1, np.maximum(most / len(labels), LEAST_A_CLASS / np.maximum(counts, 1)))
    rates[counts <= LEAST_A_CLASS] = 1
    kept = np.flatnonzero(np.random.default_rng(0).random(len(labels), dtype=np.float32) < rates[labels])
    of_kept = np.bincount(labels[kept], minlength=len(counts))
    stands_for: Floats = (counts / np.maximum(of_kept, 1))[labels[kept]].astype(np.float32)
    return kept, stands_for


def class_mean_streamed(features: Table | InParts, labels: Ints, *, num_classes: int) -> LinearHead:
    """Return the class-mean head of all rows, in one pass; scales are those of 8,192 drawn rows.

    Args:
        features: As in `fit_streamed`.
        labels: (N,) class indices.
        num_classes: K.
    """
    n = len(labels)
    columns, _ = prepare_columns(features[drawn_rows(n, ROWS_OF_SCALES)])

    def of_part(rows: Ints, features: Floats) -> Floats:
        members = labels[rows] == np.arange(num_classes)[:, None]
        sums: Floats = members.astype(np.float32) @ columns.apply(features)
        return sums

    counts = np.bincount(labels, minlength=num_classes)
    means = _summed(of_part, features) / np.maximum(counts, 1)[:, None]
    return class_mean_head(columns, means.astype(np.float32), counts=counts)


def logits_in_parts(head: Head, features: Table | InParts) -> Floats:
    """Return (N, K) float32 logits of all rows, read part by part.

    Args:
        head: What answers.
        features: (N, D) raw features, N at least 1.
    """
    logits: Floats | None = None
    for rows, part in _parts(features):
        found = head.logits(part)
        if logits is None:
            logits = np.empty((features.shape[0], found.shape[1]), dtype=np.float32)
        logits[rows] = found
    if logits is None:
        raise ValueError("logits: there are no rows; one at least is required.")
    return logits


def _summed(of_part: Callable[[Ints, Floats], Floats], features: Table | InParts) -> Floats:
    """Return the float64 sum of what every part of the rows gives, added in their order."""
    total: Floats = np.zeros((), dtype=np.float64)
    for found in in_streams(lambda part: of_part(*part), _parts(features)):
        total = total + found
    return total


def _parts(features: Table | InParts) -> Iterator[tuple[Ints, Floats]]:
    """Yield rows and their features, some at a time: as they lie on the disk, where the table knows."""
    n, d = features.shape
    rows_at_once = max(1, min(ROWS_AT_ONCE, FLOATS_AT_ONCE // d))
    if hasattr(features, "parts"):
        yield from features.parts(rows_at_once)
        return
    for start in range(0, n, rows_at_once):
        yield np.arange(start, min(start + rows_at_once, n)), features[start : start + rows_at_once]
