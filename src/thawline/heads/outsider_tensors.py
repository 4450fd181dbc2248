"""What tells strange pictures, as named tensors and back: what a bundle stores of `Outsiders`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from thawline.core.errors import BundleError, first_few
from thawline.heads.columns import Columns
from thawline.heads.outsiders import Outsiders, Strangeness

__all__ = ["outsider_tensors", "outsiders_from_tensors"]

TENSORS: dict[str, type[np.generic]] = {
    "reads": np.uint8,
    "rooted": np.uint8,
    "mean": np.float32,
    "scale": np.float32,
    "directions": np.float16,
    "whitening": np.float32,
    "means": np.float32,
    "weights": np.float32,
    "standard": np.float32,
    "quantiles": np.float32,
}
NEXT_STEP = "The bundle was altered or comes from another version; write it again with `thawline fit`."


def outsider_tensors(outsiders: Outsiders) -> dict[str, Any]:
    """Return the arrays that determine it, by name: the quantiles alone where answers are scored, not features."""
    tensors: dict[str, Any] = {"quantiles": outsiders.quantiles}
    if (score := outsiders.strangeness) is not None:
        tensors |= {
            "reads": score.reads.astype(np.uint8),
            "rooted": score.columns.rooted.astype(np.uint8),
            "mean": score.columns.mean,
            "scale": score.columns.scale,
            "directions": score.directions,
            "whitening": score.whitening,
            "means": score.means,
            "weights": score.weights,
            "standard": np.array([*score.near, *score.far], dtype=np.float32),
        }
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def outsiders_from_tensors(
    tensors: Mapping[str, Any], *, num_columns: int, read_from: Literal["features", "answers"]
) -> Outsiders:
    """Return what `outsider_tensors` described.

    Args:
        tensors: By name.
        num_columns: D, that the head reads.
        read_from: What is scored.

    Raises:
        BundleError: A tensor is unknown, missing, not finite, or of a type or shape that does not fit.
    """
    types = TENSORS if read_from == "features" else {"quantiles": np.float32}
    if set(tensors) != set(types):
        raise BundleError(
            f"load what tells strange pictures: tensors {first_few(sorted(tensors), 20)} found, "
            f"{first_few(sorted(types), 20)} required. {NEXT_STEP}"
        )
    shapes: dict[str, tuple[int, ...]] = {"quantiles": (max(2, tensors["quantiles"].size),)}
    if read_from == "features":
        d, r = int((tensors["reads"] == 1).sum()), tensors["weights"].size
        of_columns = dict.fromkeys(("rooted", "mean", "scale"), (d,))
        rows = max(1, tensors["means"].size // max(1, r))
        shapes |= of_columns | {"reads": (num_columns,), "directions": (d, r), "whitening": (r, r)}
        shapes |= {"means": (rows, r), "weights": (r,), "standard": (4,)}
    for name, dtype in types.items():
        tensor = tensors[name]
        if tensor.dtype != dtype or tensor.shape != shapes[name] or not np.isfinite(tensor).all() or not tensor.size:
            raise BundleError(
                f"load what tells strange pictures: {name} is {tensor.dtype} of shape {tensor.shape}, finite "
                f"{np.dtype(dtype)} of shape {shapes[name]} is required. {NEXT_STEP}"
            )
    quantiles = tensors["quantiles"]
    if (np.diff(quantiles) < 0).any():
        raise BundleError(f"load what tells strange pictures: its quantiles do not ascend. {NEXT_STEP}")
    if read_from == "answers":
        return Outsiders(None, quantiles)
    columns = Columns(tensors["rooted"].astype(bool), tensors["mean"], tensors["scale"])
    near, near_scale, far, far_scale = (float(value) for value in tensors["standard"])
    if min(near_scale, far_scale) <= 0:
        raise BundleError(f"load what tells strange pictures: a standard deviation is not above 0. {NEXT_STEP}")
    score = Strangeness(
        tensors["reads"] == 1,
        columns,
        tensors["directions"],
        tensors["whitening"],
        tensors["means"],
        tensors["weights"],
        (near, near_scale),
        (far, far_scale),
    )
    return Outsiders(score, quantiles)
