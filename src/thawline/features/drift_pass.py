"""A pretrained and a tuned network -> how far tuning moved the features, and what the ImageNet head still recognises.

Both networks see the same pictures in one pass. At every cut their features are compared by linear CKA
(`features.similarity`), twice: as a head reads them, and position by position, where tuning may move what pooling
hides. What leaves the last cut goes through the pretrained network's own head of ImageNet's thousand classes
(`features.imagenet`). That is a second number: CKA ignores a rotation of the features, the old head does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from thawline.core.errors import BackboneError, DataError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime
from thawline.core.types import Floats, Ints, Pixels
from thawline.data.dataset import Sample
from thawline.features.drift import CutDrift, Drift
from thawline.features.extract import map_pictures
from thawline.features.imagenet import allowed_classes, pretrained_classifier, score_head
from thawline.features.network import Network, frozen_for_inference
from thawline.features.pooling import pooled
from thawline.features.reader import to_input
from thawline.features.similarity import MIN_PICTURES, linear_cka, linear_cka_interval, sketched
from thawline.features.trunk import trunk_of

__all__ = ["measure_drift"]

MAX_PICTURES = 1000
MAX_UNPOOLED = 250


def measure_drift(
    pretrained: Network,
    tuned: Network,
    *,
    runtime: Runtime,
    samples: Sequence[Sample],
    labels: Ints,
    groups: Ints,
    class_names: Sequence[str],
    copies: Ints | None = None,
    imagenet: Mapping[str, Sequence[int]] | None = None,
    progress: Progress | None = None,
) -> Drift:
    """Return how far `tuned` has moved from `pretrained`, from one pass of both over up to 1,000 pictures.

    Of more pictures, those without copies come first, then those with the lower hashes, so the order of files does not
    matter. The same arguments give the same numbers. Memory: 50 MB of features for EfficientNet-Lite0, 250 MB
    for a ResNet-50, twice that for a moment.

    Args:
        pretrained: As loaded, in float32.
        tuned: The same architecture with other weights, its input prepared in the same way.
        runtime: Where and in which number format features are computed.
        samples: N pictures, 8 or more of different bytes.
        labels: (N,) indices into `class_names`.
        groups: (N,) integers; equal ones count once in the intervals.
        class_names: K names.
        copies: (N,) integers; of equal ones, which are copies, the similarities read one. None: as `groups`.
        imagenet: Class name -> ImageNet-1k indices that are right for it; classes that are not named, or have no
            index, are left out of the head's score. None: the head is not scored.
        progress: Where to report to.

    Raises:
        BackboneError: The networks are not the same architecture with the same input, or a feature is not finite.
        DataError: There are fewer than 8 pictures without copies, or one vanished since it was checked.
        UsageError: `imagenet` names a class that is none of the data's, or an index outside ImageNet's.
    """
    _require_alike(pretrained, tuned)
    allowed = allowed_classes(imagenet or {}, class_names)
    rows, num_distinct = _drawn(samples, groups if copies is None else copies)
    classify, no_head = None, "no picture's class is mapped to classes of ImageNet"
    if allowed[labels[rows]].any():
        try:
            classify, no_head = pretrained_classifier(pretrained), ""
        except BackboneError as error:
            no_head = str(error)
    before, after = _activations(
        (pretrained, tuned), runtime, [samples[row] for row in rows], classify, progress=progress or SilentProgress()
    )
    head = None
    if classify is not None:
        head = score_head(
            before.top1,
            after.top1,
            allowed=allowed,
            labels=labels[rows],
            groups=groups[rows],
            class_names=class_names,
        )
    return Drift(_drifts(pretrained, before, after, num_distinct), num_distinct, head, no_head)


@dataclass(frozen=True)
class _Activations:
    """One network's features of N pictures, one array a cut.

    Attributes:
        pooled: (N, C) as a head reads them.
        sketches: (n, 4·C) of the first n whole activations.
        top1: (N,) most probable classes of the original head; zeros where there is none.
    """

    pooled: tuple[Floats, ...]
    sketches: tuple[Floats, ...]
    top1: Ints


def _drifts(network: Network, before: _Activations, after: _Activations, num_distinct: int) -> tuple[CutDrift, ...]:
    """Return how alike the features of the first pictures, those without copies, are at every cut."""
    one_each, unpooled = slice(num_distinct), slice(min(num_distinct, MAX_UNPOOLED))
    features = zip(before.pooled, after.pooled, before.sketches, after.sketches, strict=True)
    return tuple(
        CutDrift(
            cut.label,
            stage,
            cut.cost_fraction,
            linear_cka(old[one_each], new[one_each]),
            *linear_cka_interval(old[one_each], new[one_each]),
            linear_cka(old_whole[unpooled], new_whole[unpooled]),
        )
        for cut, stage, (old, new, old_whole, new_whole) in zip(
            network.backbone.cuts, _stages(network), features, strict=True
        )
    )


def _activations(
    networks: Sequence[Network],
    runtime: Runtime,
    samples: Sequence[Sample],
    classify: Callable[[Tensor], Tensor] | None,
    *,
    progress: Progress,
) -> list[_Activations]:
    """Return the activations of each network; every picture is decoded once."""
    spec = networks[0].backbone.input
    frozen = [frozen_for_inference(network, runtime) for network in networks]
    turn = nullcontext() if runtime.device == "cpu" else Lock()

    def run(pixels: Pixels, *, unpooled: bool) -> list[_Activations]:
        with turn, torch.inference_mode():
            x = to_input(pixels, spec, runtime=runtime)
            return [_run(network, x, classify, unpooled=unpooled) for network in frozen]

    batches: list[list[_Activations]] = []
    with progress.stage("drift", len(samples)) as advance:
        for part, unpooled in ((samples[:MAX_UNPOOLED], True), (samples[MAX_UNPOOLED:], False)):
            for batch in map_pictures(
                partial(run, unpooled=unpooled), part, specs=(spec,), batch_size=runtime.batch_size
            ):
                batches.append(batch)
                advance(len(batch[0].top1))
    whole = [_joined(parts) for parts in zip(*batches, strict=True)]
    for network, activations in zip(networks, whole, strict=True):
        if not all(np.isfinite(features).all() for features in (*activations.pooled, *activations.sketches)):
            raise BackboneError(
                f"drift: features of {network.backbone.name} ({network.backbone.weights_origin}) are not finite in "
                f"{runtime.dtype}. Pass --dtype float32, or tune with a smaller step size."
            )
    return whole


def _run(network: Network, x: Tensor, classify: Callable[[Tensor], Tensor] | None, *, unpooled: bool) -> _Activations:
    """Return a network's activations of one batch; sketches of no rows unless `unpooled`."""
    tokens = network.num_prefix_tokens
    pooling = "token" if network.backbone.has_class_token else "mean"
    read, sketches = [], []
    top1 = torch.zeros(len(x), dtype=torch.int64)
    for cut, h in network.features(x, range(len(network.backbone.cuts))):
        read.append(pooled(h, [pooling], num_prefix_tokens=tokens)[pooling].cpu().numpy())
        sketches.append(sketched(h if unpooled else h[:0]).cpu().numpy())
        if classify is not None and cut == network.backbone.cuts[-1].index:
            top1 = classify(h).argmax(dim=1).cpu()
    return _Activations(tuple(read), tuple(sketches), top1.numpy())


def _joined(parts: Sequence[_Activations]) -> _Activations:
    """Return the activations of consecutive batches as one."""
    return _Activations(
        tuple(map(np.concatenate, zip(*(part.pooled for part in parts), strict=True))),
        tuple(map(np.concatenate, zip(*(part.sketches for part in parts), strict=True))),
        np.concatenate([part.top1 for part in parts]),
    )


def _drawn(samples: Sequence[Sample], copies: Ints) -> tuple[Ints, int]:
    """Return the positions of up to 1,000 samples, and how many of them, the first ones, have no copy before them.

    Where near copies leave too few, as under a fixed camera, only equal bytes count as copies.
    """
    by_hash = np.array(sorted(range(len(samples)), key=lambda row: (samples[row].sha256, row)), dtype=np.int64)
    one_each = np.sort(np.unique(copies[by_hash], return_index=True)[1])
    if len(one_each) < MIN_PICTURES:
        digests = np.array([samples[row].sha256 for row in by_hash])
        one_each = np.sort(np.unique(digests, return_index=True)[1])
    if len(one_each) < MIN_PICTURES:
        raise DataError(
            f"drift: {len(one_each):,} pictures without copies, at least {MIN_PICTURES} are required. Add pictures."
        )
    others = np.setdiff1d(np.arange(len(by_hash)), one_each)
    rows = by_hash[np.concatenate([one_each, others])][:MAX_PICTURES]
    return rows, min(len(one_each), len(rows))


def _stages(network: Network) -> list[int]:
    """Return the stage of every cut; a network without a trunk is cut once a stage."""
    trunk = trunk_of(network.model, network.backbone.input.size_px)
    stage_of = {step.name: step.stage or 0 for step in trunk or ()}
    return [stage_of.get(cut.module, cut.index) for cut in network.backbone.cuts]


def _require_alike(pretrained: Network, tuned: Network) -> None:
    """Refuse to compare different architectures, or the same one with different inputs."""
    old, new = pretrained.backbone, tuned.backbone
    if [(cut.module, cut.channels) for cut in old.cuts] != [(cut.module, cut.channels) for cut in new.cuts]:
        raise BackboneError(
            f"drift: the {len(new.cuts)} cuts of {new.name} are not the {len(old.cuts)} of {old.name}; the same, of "
            f"the same width, are required. Compare a network with the one that it was tuned from."
        )
    if old.input != new.input:
        raise BackboneError(
            f"drift: {new.name} was tuned on another input ({new.input}) than {old.name} is loaded for ({old.input}). "
            f"Load the pretrained network with the same --size and --fit."
        )
