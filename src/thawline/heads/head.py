"""A trained head as named tensors and back: what a bundle stores of it, and the list of all heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np

from thawline.core.errors import BundleError, first_few
from thawline.core.types import Floats
from thawline.heads.columns import Columns
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead
from thawline.heads.nearest import NeighbourHead
from thawline.heads.together import Member, TogetherHead

__all__ = ["Head", "head_from_tensors", "head_tensors"]

COLUMN_TENSORS: dict[str, type[np.generic]] = {"rooted": np.uint8, "mean": np.float32, "scale": np.float32}
LINEAR_TENSORS = {**COLUMN_TENSORS, "weight": np.float32, "bias": np.float32}
DENSE_TENSORS = {
    **COLUMN_TENSORS,
    "weight1": np.float32,
    "bias1": np.float32,
    "weight2": np.float32,
    "bias2": np.float32,
}
NEIGHBOUR_TENSORS = {**COLUMN_TENSORS, "keys": np.float16, "labels": np.int64, "k": np.int64}
MEMBER_TENSORS = {"reads": np.uint8, "temperature": np.float32, **LINEAR_TENSORS}
"""Of each head of several; their names begin with its number and a dot."""
NEXT_STEP = "The bundle was altered or comes from another version; write it again with `thawline fit`."


class Head(Protocol):
    """What turns raw features into logits."""

    def logits(self, features: Floats) -> Floats:
        """Return (N, K) float32 logits of (N, D) raw features."""


def head_tensors(head: Head) -> dict[str, Any]:
    """Return the arrays that determine a head, by name; those of several heads begin with the number of each."""
    if isinstance(head, TogetherHead):
        return {
            f"{number}.{name}": value
            for number, member in enumerate(head.members)
            for name, value in _member_tensors(member).items()
        }
    if isinstance(head, LinearHead):
        tensors: dict[str, Any] = {"weight": head.weight, "bias": head.bias}
    elif isinstance(head, DenseHead):
        tensors = {"weight1": head.weight1, "bias1": head.bias1, "weight2": head.weight2, "bias2": head.bias2}
    elif isinstance(head, NeighbourHead):
        tensors = {"keys": head.keys, "labels": head.labels, "k": np.array([head.k], dtype=np.int64)}
    else:
        raise TypeError(f"{type(head).__name__} is not a head that a bundle can store")
    columns = {"rooted": head.columns.rooted.astype(np.uint8), "mean": head.columns.mean, "scale": head.columns.scale}
    return {name: np.ascontiguousarray(value) for name, value in {**columns, **tensors}.items()}


def _member_tensors(member: Member) -> dict[str, Any]:
    own = {"reads": member.reads.astype(np.uint8), "temperature": np.array([member.temperature], dtype=np.float32)}
    return {**own, **head_tensors(member.head)}


def head_from_tensors(tensors: Mapping[str, Any], *, num_columns: int, num_classes: int) -> Head:
    """Return the head that `head_tensors` described.

    Raises:
        BundleError: A tensor is unknown, missing, not finite, or of a type or shape that does not fit
            the columns and classes.
    """
    if any("." in name for name in tensors):
        return _together(tensors, num_columns=num_columns, num_classes=num_classes)
    is_linear, is_dense = "weight" in tensors, "weight1" in tensors
    types = LINEAR_TENSORS if is_linear else DENSE_TENSORS if is_dense else NEIGHBOUR_TENSORS
    if set(tensors) != set(types):
        raise BundleError(f"load the head: tensors {sorted(tensors)} found, {sorted(types)} required. {NEXT_STEP}")
    rows = 0 if is_linear or is_dense else tensors["labels"].size
    units = max(1, tensors["bias1"].size) if is_dense else 0
    shapes = {
        "rooted": (num_columns,),
        "mean": (num_columns,),
        "scale": (num_columns,),
        "weight": (num_columns, num_classes),
        "bias": (num_classes,),
        "weight1": (num_columns, units),
        "bias1": (units,),
        "weight2": (units, num_classes),
        "bias2": (num_classes,),
        "keys": (rows, num_columns),
        "labels": (rows,),
        "k": (1,),
    }
    for name, dtype in types.items():  # not of `tensors`: a file gives them in another order every time
        tensor = tensors[name]
        if tensor.dtype != dtype or tensor.shape != shapes[name] or not np.isfinite(tensor).all():
            raise BundleError(
                f"load the head: {name} is {tensor.dtype} of shape {tensor.shape}, finite {np.dtype(dtype)} of "
                f"shape {shapes[name]} is required. {NEXT_STEP}"
            )
    columns = Columns(tensors["rooted"].astype(bool), tensors["mean"], tensors["scale"])
    if is_linear:
        return LinearHead(columns, tensors["weight"], tensors["bias"])
    if is_dense:
        return DenseHead(columns, tensors["weight1"], tensors["bias1"], tensors["weight2"], tensors["bias2"])
    labels, k = tensors["labels"], int(tensors["k"][0])
    if not 1 <= k <= rows or labels.min() < 0 or labels.max() >= num_classes:
        raise BundleError(
            f"load the head: {k} neighbours of {rows} pictures, or a label outside 0…{num_classes - 1}. {NEXT_STEP}"
        )
    return NeighbourHead(columns, tensors["keys"], labels, k, num_classes)


def _together(tensors: Mapping[str, Any], *, num_columns: int, num_classes: int) -> TogetherHead:
    """Return several heads as one; raises as `head_from_tensors`."""
    numbers = {name.partition(".")[0] for name in tensors}
    required = sorted(f"{number}.{name}" for number in range(len(numbers)) for name in MEMBER_TENSORS)
    if sorted(tensors) != required:
        raise BundleError(
            f"load the head: tensors {first_few(sorted(tensors), 20)} found, {first_few(required, 20)} required of "
            f"{len(numbers)} heads together. {NEXT_STEP}"
        )
    members = []
    for number in range(len(numbers)):
        own = {name: tensors[f"{number}.{name}"] for name in MEMBER_TENSORS}
        reads, temperature = own.pop("reads"), own.pop("temperature")
        if reads.dtype != np.uint8 or reads.shape != (num_columns,) or reads.max() != 1:
            raise BundleError(
                f"load the head: {number}.reads is {reads.dtype} of shape {reads.shape}, uint8 of shape "
                f"({num_columns},) that says 0 or 1 of every column, and 1 of some, is required. {NEXT_STEP}"
            )
        if temperature.dtype != np.float32 or temperature.shape != (1,) or not 0 < float(temperature[0]) < np.inf:
            raise BundleError(
                f"load the head: {number}.temperature is {temperature.dtype} of shape {temperature.shape}, one finite "
                f"float32 above 0 is required. {NEXT_STEP}"
            )
        head = head_from_tensors(own, num_columns=int(reads.sum()), num_classes=num_classes)
        members.append(Member(reads.astype(bool), cast("LinearHead", head), float(temperature[0])))
    return TogetherHead(tuple(members))
