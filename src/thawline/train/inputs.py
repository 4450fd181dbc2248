"""A phase of a training -> where its inputs come from: pooled features, cached activations, or the pictures.

What is frozen is run once. Where nothing but the head trains, its features are all there is to read; where the upper
part trains, the activations below it are cached as long as they fit the budget.
"""

from __future__ import annotations

import numpy as np

from thawline.core.progress import Progress
from thawline.core.types import Ints
from thawline.train.batches import Activations, Pictures, Rows
from thawline.train.job import Job
from thawline.train.plan import Phase
from thawline.train.pooled import open_pooled
from thawline.train.prefix import open_prefix
from thawline.train.processes import Processes

__all__ = ["Inputs"]


class Inputs:
    """The inputs of a training's phases; pictures are decoded once for all of them.

    Attributes:
        job: The training.
        rows: Those that it reads, to learn from and to watch, as sorted indices of samples.
    """

    def __init__(self, job: Job, rows: Ints, processes: Processes, progress: Progress) -> None:
        self.job, self.rows = job, np.unique(rows)
        self._processes, self._progress = processes, progress
        self._pictures: Pictures | None = None

    def of(self, phase: Phase) -> tuple[Rows, int | None]:
        """Return where the inputs of a phase come from, and the cut that they are taken at; None: the pictures.

        Several processes fill a cache one after the other.
        """
        found = None if phase.cut is None else self._cached(phase.cut)
        if found is not None:
            return found, phase.cut
        if self._pictures is None:
            job = self.job
            spec, policy = job.network.backbone.input, job.options.policy
            self._pictures = Pictures(job.dataset, self.rows, spec, job.runtime, augment=policy, seed=job.seed)
        return self._pictures, None

    def _cached(self, cut: int) -> Rows | None:
        """Return features or activations at a cut; None where activations do not fit the budget."""
        job = self.job
        with self._processes.first_alone():
            if cut == job.block[0]:
                features = open_pooled(
                    job.dataset,
                    self.rows,
                    job.network,
                    job.runtime,
                    job.block,
                    bank=job.bank,
                    views=job.options.view_names,
                    cache=job.cache,
                    progress=self._progress,
                )
                return Activations(features, job.runtime.device)
            cache = open_prefix(
                job.dataset,
                self.rows,
                job.network,
                job.runtime,
                cut,
                views=job.options.view_names,
                cache=job.cache,
                budget_bytes=job.options.disk_budget_bytes,
                progress=self._progress,
            )
        return None if cache is None else Activations(cache, job.runtime.device)
