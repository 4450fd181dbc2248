"""A pretrained network and a mapping of class names -> the score of its own head of ImageNet's thousand classes.

The head is part of the pretrained weights and stays with a network that is tuned, unchanged. Its answers to tuned
features tell how much of the first task is left. The data's classes are not ImageNet's, so a mapping gives the right
indices for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from thawline.core.errors import BackboneError, UsageError, first_few
from thawline.core.intervals import accuracy_interval
from thawline.core.types import Ints
from thawline.features.drift import HeadScore
from thawline.features.network import Network
from thawline.features.weights import is_random

__all__ = ["allowed_classes", "pretrained_classifier", "score_head"]

IMAGENET_CLASSES = 1000

Mask = npt.NDArray[np.bool_]


def pretrained_classifier(network: Network) -> Callable[[Tensor], Tensor]:
    """Return the function from the activation at the last cut to (B, 1000) logits, in ImageNet-1k's order of classes.

    It is the network's own: all steps behind its last cut, in the number format and on the device of its weights. A
    head of a thousand classes is assumed to be ImageNet-1k's, as in timm.

    Args:
        network: Pretrained, as loaded.

    Raises:
        BackboneError: The weights are random, have another number of classes, or the architecture cannot be continued.
    """
    name, weights_origin = network.backbone.name, network.backbone.weights_origin
    if is_random(weights_origin):
        raise BackboneError(f"{name} started from nothing ({weights_origin}): it has no ImageNet head.")
    last = network.backbone.cuts[-1].index
    network.suffix_modules(last)  # refuses what can only be read
    num_classes = int(getattr(network.model, "num_classes", 0))
    if num_classes != IMAGENET_CLASSES:
        have = f"a head of {num_classes:,} classes" if num_classes else "no head"
        raise BackboneError(
            f"{name} has {have} where ImageNet's {IMAGENET_CLASSES:,} are required ({weights_origin}). "
            f"To have it scored, load weights with their original head."
        )
    like = next(network.model.parameters())
    return lambda activation: network.suffix(activation.to(like), last)


def allowed_classes(imagenet: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Mask:
    """Return (K, 1000) booleans: which of ImageNet's classes are right for each of ours.

    Args:
        imagenet: Class name -> ImageNet-1k indices; a class that is not named, or has none, has none that are right.
        class_names: K names.

    Raises:
        UsageError: A name that is no class, or an index that is no whole number from 0 to 999.
    """
    unknown = [repr(name) for name in imagenet if name not in class_names]
    if unknown:
        raise UsageError(
            f"imagenet: the mapping to ImageNet names {first_few(unknown, 5)}, which the data does not have. "
            f"Use its classes: {first_few(class_names, 10)}."
        )
    allowed = np.zeros((len(class_names), IMAGENET_CLASSES), dtype=bool)
    for name, indices in imagenet.items():
        outside = [index for index in indices if type(index) is not int or not 0 <= index < IMAGENET_CLASSES]
        if outside:
            raise UsageError(
                f"imagenet: the mapping to ImageNet gives class {name!r} {first_few(outside, 5)}; "
                f"whole numbers from 0 to {IMAGENET_CLASSES - 1} are required. Fix the mapping."
            )
        allowed[list(class_names).index(name), list(indices)] = True
    return allowed


def score_head(
    before: Ints, after: Ints, *, allowed: Mask, labels: Ints, groups: Ints, class_names: Sequence[str]
) -> HeadScore:
    """Return the share of pictures whose most probable class is one that is allowed, before and after tuning.

    Args:
        before: (N,) ImageNet-1k indices that the head gives pretrained features.
        after: (N,) those that it gives tuned features.
        allowed: (K, 1000), from `allowed_classes`; pictures of a class with none allowed are left out, and at least one
            must be left.
        labels: (N,) indices into `class_names`.
        groups: (N,) integers; equal ones are copies and count as one picture in the intervals.
        class_names: K names.
    """
    scored = allowed[labels].any(axis=1)
    labels, groups = labels[scored], groups[scored]
    old, new = (allowed[labels, top1[scored]].astype(np.float64) for top1 in (before, after))
    names = tuple(class_names[label] for label in np.unique(labels))
    ends = (*accuracy_interval(old, groups), *accuracy_interval(new, groups))
    return HeadScore(float(old.mean()), *ends[:2], float(new.mean()), *ends[2:], len(labels), names)
