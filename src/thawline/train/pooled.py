"""Pictures and a cut -> its pooled features in memory: all that is read where nothing but a head trains.

They are rows of the very banks that frozen heads are solved on, so of the plain view there is nothing to extract, and
one pass over another view serves every cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thawline.core.runtime import Runtime
from thawline.core.types import Ints
from thawline.features.bank import BankSpec, Block
from thawline.features.extract import bank_spec, extract_views
from thawline.features.network import Network
from thawline.features.pooling import pooling_columns
from thawline.train.context import Context

__all__ = ["PooledFeatures", "num_passes", "open_pooled", "pooled_bytes", "pooled_spec"]


@dataclass(frozen=True)
class PooledFeatures:
    """Features of every view of the pictures that they were opened for.

    Attributes:
        views: (n, C) in the storage format, one entry a view.
        places: (N,) position of each sample of the data set among the rows, -1 for those not among them.
    """

    views: tuple[Tensor, ...]
    places: Ints

    @property
    def num_views(self) -> int:
        """V, the views kept of every picture."""
        return len(self.views)

    def read(self, view: int, samples: Ints) -> Tensor:
        """Return (B, C) float32 features of a batch, in memory of their own on the CPU.

        Args:
            view: Which of the V views.
            samples: (B,) indices into the data set's samples, in any order; one may occur twice.

        Raises:
            ValueError: A sample is not among those that these were opened for.
        """
        places = self.places[samples]
        if places.min(initial=0) < 0:
            stranger = int(samples[places.argmin()])
            raise ValueError(f"read features: sample {stranger} is none of those that they were opened for.")
        return self.views[view][torch.from_numpy(places)].to(torch.float32, copy=True)


def pooled_spec(network: Network, block: Block, *, runtime: Runtime, bank: BankSpec | None) -> BankSpec:
    """Return which bank to read a block from: the run's own where it has the block, else one of this block alone.

    Args:
        network: The whole backbone.
        block: The cut and pooling to read.
        runtime: Number format of the pass.
        bank: That of the run's pooled features, or None.
    """
    if bank is not None and block in bank.columns:
        return bank
    cut, pooling = block
    storage: Literal["float16", "float32"] = "float16" if bank is None else bank.storage
    width = pooling_columns(pooling, network.backbone.cuts[cut].channels)
    return bank_spec(network.backbone, runtime, blocks=((cut, pooling, width),), storage=storage)


def num_passes(spec: BankSpec, bank: BankSpec | None, *, num_views: int) -> int:
    """Return how many passes over the pictures their views need; the run's own bank is there already."""
    return num_views - (spec == bank)


def pooled_bytes(spec: BankSpec, bank: BankSpec | None, *, num_pictures: int, num_views: int) -> int:
    """Return the bytes on disk that views of distinct pictures add to the run's own bank."""
    return num_passes(spec, bank, num_views=num_views) * num_pictures * spec.row_bytes


def open_pooled(
    context: Context, rows: Ints, *, network: Network, block: Block, bank: BankSpec | None
) -> PooledFeatures:
    """Return the features of one block for every view of some pictures, after a pass for each view that is missing.

    Memory: n·V·C numbers in the storage format; 50,000 pictures of two views at 1,280 columns take 256 MB.

    Args:
        context: Pictures, their views, the machine.
        rows: (n,) indices of the samples that will be read.
        network: The whole backbone, as loaded.
        block: The cut and pooling to read.
        bank: That of the run's pooled features, or None.

    Raises:
        StoreError: The disk is full or cannot be written, or a feature exceeds the storage format.
        DataError: A picture vanished or changed since it was checked.
    """
    spec = pooled_spec(network, block, runtime=context.runtime, bank=bank)
    samples = tuple(context.dataset.samples[row] for row in rows.tolist())
    extractions = extract_views(
        replace(context.dataset, samples=samples),
        network,
        runtime=replace(context.runtime, engine=spec.engine),
        views=context.training.view_names,
        cache=context.cache,
        blocks=spec.blocks,
        storage=spec.storage,
        progress=context.machine.progress,
    )
    sha256s = [sample.sha256 for sample in samples]
    views = tuple(done.bank.read(sha256s, [block]).astype(spec.storage) for done in extractions)
    places = np.full(len(context.dataset), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    return PooledFeatures(tuple(torch.from_numpy(view) for view in views), places)
