"""A trained head as named tensors and back: what a bundle stores of it, and the one list of heads there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from thawline.core.errors import BundleError
from thawline.core.types import Floats
from thawline.heads.columns import Columns
from thawline.heads.linear import LinearHead
from thawline.heads.nearest import NeighbourHead

__all__ = ["Head", "head_from_tensors", "head_tensors"]

LINEAR_TENSORS = {"rooted", "mean", "scale", "weight", "bias"}
NEIGHBOUR_TENSORS = {"rooted", "mean", "scale", "keys", "labels", "k"}


class Head(Protocol):
    """Anything that turns raw features into logits."""

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logits of (N, D) raw features."""


def head_tensors(head: Head) -> dict[str, Any]:
    """Return the arrays that determine a head, by name."""
    if isinstance(head, LinearHead):
        found: dict[str, Any] = {"weight": head.weight, "bias": head.bias}
    elif isinstance(head, NeighbourHead):
        found = {"keys": head.keys, "labels": head.labels, "k": np.array([head.k])}
    else:
        raise TypeError(f"{type(head).__name__} is not a head that a bundle can hold")
    columns = {"rooted": head.columns.rooted.astype(np.uint8), "mean": head.columns.mean, "scale": head.columns.scale}
    return {name: np.ascontiguousarray(value) for name, value in {**columns, **found}.items()}


def head_from_tensors(tensors: Mapping[str, Any], *, num_columns: int, num_classes: int) -> Head:
    """Return the head that `head_tensors` described.

    Raises:
        BundleError: A tensor is unknown, missing, or of another shape than columns and classes ask for.
    """
    names = set(tensors)
    if names not in (LINEAR_TENSORS, NEIGHBOUR_TENSORS):
        known = LINEAR_TENSORS if "weight" in names else NEIGHBOUR_TENSORS
        raise BundleError(
            f"load the head: tensors {sorted(names)} found, {sorted(known)} required. The bundle was altered or comes "
            "from another version; write it again with `thawline fit`."
        )
    rows = len(tensors.get("labels", ()))
    shapes = {
        "rooted": (num_columns,),
        "mean": (num_columns,),
        "scale": (num_columns,),
        "weight": (num_columns, num_classes),
        "bias": (num_classes,),
        "keys": (rows, num_columns),
        "labels": (rows,),
        "k": (1,),
    }
    for name, tensor in tensors.items():
        if tensor.shape != shapes[name] or not np.isfinite(tensor).all():
            raise BundleError(f"load the head: {name} has shape {tensor.shape}, finite {shapes[name]} is required.")
    columns = Columns(tensors["rooted"].astype(bool), tensors["mean"], tensors["scale"])
    if names == LINEAR_TENSORS:
        return LinearHead(columns, tensors["weight"], tensors["bias"])
    labels = tensors["labels"].astype(np.int64)
    k = int(tensors["k"][0])
    if not rows or not 1 <= k <= rows or labels.min() < 0 or labels.max() >= num_classes:
        raise BundleError(f"load the head: {k} neighbours of {rows} pictures, or a label outside 0…{num_classes - 1}.")
    return NeighbourHead(columns, tensors["keys"], labels, k, num_classes)
