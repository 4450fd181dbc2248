"""Weights of a layer and what it is fed -> weights on a grid of 8 bits with which it computes nearly the same.

One idea: what a weight loses by rounding, the weights that are still to be rounded make up for, as far as what the
layer is fed lets them: Frantar et al., GPTQ (2023), after Hassibi and Stork's optimal brain surgeon (1993). What is
lost on average goes into the bias (Nagel et al., Data-Free Quantization, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thawline.core.progress import Progress
from thawline.core.types import Floats
from thawline.data.load import map_ordered
from thawline.use.exports.calibration_pass import Fed
from thawline.use.exports.layer_inputs import Layer

__all__ = ["DOUBLE", "FULL", "RoundedWeights", "round_layers", "rounded_weights"]

FULL, DOUBLE = 127, 63
"""The largest weight in steps: with 8 bits, and with 7. Processors without wider sums multiply values of 8 bits with
weights in pairs and add them in 16 bits, where two products of 255 · 127 overflow."""

DAMPING = 0.01
"""Share of the mean variance that is added to all variances, so that the matrix can be inverted."""

MAX_COLUMNS = 2304
"""Weights of one output beyond which they are rounded one by one: the time grows with the cube."""


@dataclass(frozen=True)
class RoundedWeights:
    """Weights of a layer that lie on a grid.

    Attributes:
        weights: (groups, outputs, columns) float32, each a whole number of steps from −127 to 127.
        steps: (groups, outputs) float32: the distance of two levels.
        shift: (groups, outputs) float32: what has to be added to what the layer computes, on average.
    """

    weights: Floats
    steps: Floats
    shift: Floats


def round_layers(layers: Sequence[Layer], fed: Mapping[str, Fed], *, progress: Progress) -> dict[str, RoundedWeights]:
    """Return the weights of layers on grids, by their names.

    Weights of depthwise convolutions have 8 bits, as they are not multiplied in pairs; all others have 7.

    Args:
        layers: Those that may be in 8 bits.
        fed: What they are fed, by the names of their weights.
        progress: Where to report to.
    """
    own = {layer.weight: layer for layer in layers}

    def one(layer: Layer) -> RoundedWeights:
        known = fed[layer.weight]
        levels = FULL if layer.is_depthwise else DOUBLE
        spread = known.covariance if layer.bias else known.moments  # without a bias nothing makes up for a shift
        return rounded_weights(layer.matrices, mean=known.mean, covariance=spread, levels=levels)

    done = {}
    with progress.stage("round", len(own), unit="layers") as advance:
        for name, rounded in zip(own, map_ordered(one, own.values(), ahead=4), strict=True):
            done[name] = rounded
            advance(1)
    return done


def rounded_weights(weights: Floats, *, mean: Floats, covariance: Floats, levels: int = DOUBLE) -> RoundedWeights:
    """Return weights on a grid, with which a layer computes nearly what it did.

    Args:
        weights: (groups, outputs, columns) float32.
        mean: (groups, columns) of what the weights of each group are multiplied with.
        covariance: (groups, columns, columns) of the same.
        levels: The largest weight in steps.
    """
    exact = weights.astype(np.float64)
    largest = np.abs(exact).max(axis=2)
    steps = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
    if exact.shape[2] > MAX_COLUMNS:
        grid = np.rint(exact / steps[:, :, None])
    else:
        grid = _fed_back(exact, _factor(covariance), steps=steps.astype(np.float64), levels=levels)
    on_grid = (grid * steps[:, :, None]).astype(np.float32)
    shift = np.einsum("goc,gc->go", exact - on_grid, mean)
    return RoundedWeights(on_grid, steps, shift.astype(np.float32))


def _factor(covariance: Floats) -> Floats:
    """Return (groups, columns, columns): the upper factor of the inverse of a covariance."""
    diagonal = np.einsum("gii->gi", covariance)
    level = diagonal.mean(axis=1)
    damped = covariance + np.where(level > 0, DAMPING * level, 1.0)[:, None, None] * np.eye(covariance.shape[1])
    factor: Floats = np.swapaxes(np.linalg.cholesky(np.linalg.inv(damped)), 1, 2)
    return factor


def _fed_back(exact: Floats, factor: Floats, *, steps: Floats, levels: int) -> Floats:
    """Return whole numbers of steps: column by column, what is lost is handed to the columns that follow."""
    left, grid = exact.copy(), np.empty_like(exact)
    for column in range(exact.shape[2]):
        now = left[:, :, column]
        grid[:, :, column] = np.clip(np.rint(now / steps), -levels, levels)
        lost = (now - grid[:, :, column] * steps) / factor[:, column, column][:, None]
        left[:, :, column + 1 :] -= lost[:, :, None] * factor[:, None, column, column + 1 :]
    return grid
