"""A phase of a plan -> where it reads its inputs, and what a picture costs: reckoned, with no step run."""

from __future__ import annotations

from dataclasses import dataclass

from thawline.train.job import Job
from thawline.train.phases import Phase
from thawline.train.pooled import num_passes, pooled_bytes, pooled_spec
from thawline.train.prefix import prefix_bytes

__all__ = ["Store", "reckoned_s", "store_of"]

TRAINING_SHARE = 4.5
"""Seconds of a training step over those of a pass through the same layers, as measured: three passes, and overhead."""
FEATURES_S = 3e-5


@dataclass(frozen=True)
class Store:
    """What a phase reads.

    Attributes:
        cut: Whose cached features or activations, or None: the pictures.
        passes: Pictures through the whole network that filling the cache is worth.
        disk_bytes: Of the cache.
    """

    cut: int | None
    passes: float
    disk_bytes: float


def store_of(job: Job, phase: Phase, *, num_rows: int) -> Store:
    """Return where a phase of a training run reads its inputs.

    Args:
        job: The training run of one fold.
        phase: Of it.
        num_rows: Pictures that are read.
    """
    training, runtime, cut = job.context.training, job.context.runtime, phase.cut
    if cut is None:
        return Store(None, 0.0, 0.0)
    cuts, num_views = job.network.backbone.cuts, len(training.view_names)
    if cut == job.block[0]:
        spec = pooled_spec(job.network, job.block, runtime=runtime, bank=job.bank)
        share = cuts[max(index for index, _, _ in spec.blocks)].cost_fraction
        passes = num_passes(spec, job.bank, num_views=num_views) * num_rows * share
        return Store(cut, passes, pooled_bytes(spec, job.bank, num_pictures=num_rows, num_views=num_views))
    runtime = job.context.training_runtime
    needed = prefix_bytes(job.network, cut, num_pictures=num_rows, num_views=num_views, runtime=runtime)
    if needed > training.disk_budget_bytes:
        return Store(None, 0.0, 0.0)
    return Store(cut, num_views * num_rows * cuts[cut].cost_fraction, needed)


def reckoned_s(job: Job, cut: int | None, *, whole_s: float) -> float:
    """Return the seconds of a training picture, reckoned from a pass through those layers that are not cached.

    Args:
        job: The training run of one fold.
        cut: Where its inputs come from; None: the pictures.
        whole_s: Seconds of a picture through the whole network.
    """
    if cut == job.block[0]:
        return FEATURES_S
    live = 1.0 if cut is None else 1 - job.network.backbone.cuts[cut].cost_fraction
    return max(FEATURES_S, TRAINING_SHARE * live * whole_s)
