"""Classes of unequal size in -> what is taken off each class's logit out, so that rare classes are not passed over.

One idea: a softmax regression knows how common each class was; what it knows of a picture beyond that stays right where
classes are equally common. So pictures are weighed equally in training, and the logarithm of each class's share, or a
part of it, is taken off afterwards, in the bias.

Source: Menon, Jayasumana, Rawat, Jain, Veit & Kumar, "Long-tail learning via logit adjustment", ICLR 2021 (post-hoc).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thawline.core.types import Floats, Ints

if TYPE_CHECKING:
    from thawline.heads.linear import LinearHead

__all__ = ["adjusted", "class_shifts"]


def class_shifts(labels: Ints, row_weights: Floats, *, part: float, num_classes: int) -> Floats:
    """Return (F, K) float32 to add to the logits of F fits: minus a part of each class's log share in training.

    A class without training pictures counts as if it had one.

    Args:
        labels: (N,) class indices.
        row_weights: (N, F); rows with weight 0 are left out of a fit.
        part: 1 where all classes are to count alike, 0.5 half way there.
        num_classes: K.
    """
    inside = (row_weights > 0).astype(np.float64)
    counts = np.stack([np.bincount(labels, weights=column, minlength=num_classes) for column in inside.T])
    shares = np.maximum(counts, 1) / inside.sum(axis=0)[:, None]
    shifts: Floats = (-part * np.log(shares)).astype(np.float32)
    return shifts


def adjusted(head: LinearHead, labels: Ints, *, part: float) -> LinearHead:
    """Return a head that was trained on (N,) labels with what `class_shifts` says in its bias."""
    rows = np.ones((len(labels), 1), dtype=np.float32)
    return replace(head, bias=head.bias + class_shifts(labels, rows, part=part, num_classes=len(head.bias))[0])
