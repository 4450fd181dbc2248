"""A phase of a training run -> where its inputs come from: pooled features, cached activations, or the pictures.

What is frozen is run once. Where nothing but the head trains, its features are all there is to read; where the upper
part trains, the activations below it are cached as long as they fit the budget.
"""

from __future__ import annotations

import numpy as np

from thawline.core.types import Ints
from thawline.train.batches import Activations, Pictures, Rows
from thawline.train.job import Job
from thawline.train.phases import Phase
from thawline.train.pooled import open_pooled
from thawline.train.prefix import open_prefix

__all__ = ["Inputs"]


class Inputs:
    """The inputs of the phases of a training run; pictures are decoded once for all of them.

    Attributes:
        job: The training run.
        rows: Those that it reads, to learn from and to watch, as sorted indices of samples.
    """

    def __init__(self, job: Job, rows: Ints) -> None:
        self.job, self.rows = job, np.unique(rows)
        self._pictures: Pictures | None = None

    def of(self, phase: Phase) -> tuple[Rows, int | None]:
        """Return where the inputs of a phase come from, and the cut that they are taken at; None: the pictures.

        Several processes fill a cache one after the other.
        """
        cached = None if phase.cut is None else self._cached(phase.cut)
        if cached is not None:
            return cached, phase.cut
        if self._pictures is None:
            context, spec = self.job.context, self.job.network.backbone.input
            self._pictures = Pictures(
                context.dataset,
                self.rows,
                spec,
                context.training_runtime,
                augment=context.training.policy,
                seed=context.seed,
            )
        return self._pictures, None

    def _cached(self, cut: int) -> Rows | None:
        """Return features or activations at a cut; None where activations do not fit the budget."""
        job, context = self.job, self.job.context
        with context.machine.processes.first_alone():
            if cut == job.block[0]:
                features = open_pooled(context, self.rows, network=job.network, block=job.block, bank=job.bank)
                return Activations(features, context.runtime.device)
            activations = open_prefix(context, self.rows, network=job.network, cut=cut)
        return None if activations is None else Activations(activations, context.runtime.device)
