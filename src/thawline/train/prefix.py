"""Pictures and the cut that stays frozen -> the activations at that cut, run once, kept on disk and read by the batch.

Layers below everything that trains give the same for a view in every epoch, so they need not run twice. The store is
a bank with a single block, the whole activation: content-keyed, verified on opening, filled with what is missing and no
more. It is used where it fits the budget; otherwise the caller runs the prefix live.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from thawline.core.runtime import Runtime
from thawline.core.store import NoRoomError
from thawline.core.types import Ints
from thawline.features.extract import bank_spec, extract_views
from thawline.features.mapped import MappedRows
from thawline.features.network import Network
from thawline.features.pooling import WHOLE
from thawline.features.reader import StorageRangeError
from thawline.features.shadow import shadow_of
from thawline.train.context import Context

__all__ = ["PrefixCache", "activation_shape", "open_prefix", "prefix_bytes"]


@dataclass(frozen=True)
class PrefixCache:
    """The activations at one cut, for every view of the pictures that it was opened for.

    Attributes:
        cut: Index of the cut.
        shape: Of one activation as it is stored: (H, W, C) of a map, (tokens, C) of tokens.
        views: Names of the V views.
        num_extracted: Pictures, counted once for each view, that ran through the prefix when this was opened.
        dtype: Number format of what `read` returns: the network's.
        rows: The stored rows, one entry a view.
        places: (N,) position of each sample of the data set among them, -1 for those not among them.
    """

    cut: int
    shape: tuple[int, ...]
    views: tuple[str, ...]
    num_extracted: int
    dtype: torch.dtype
    rows: tuple[MappedRows, ...]
    places: Ints

    @property
    def num_views(self) -> int:
        """V, the views kept of every picture."""
        return len(self.views)

    def read(self, view: int, samples: Ints) -> Tensor:
        """Return the activations of a batch, ready for `Network.suffix`, in memory of their own on the CPU.

        They equal `Network.prefix` of the same view to the rounding of the stored format. Safe to call from several
        threads.

        Args:
            view: Which of the V views.
            samples: (B,) indices into the data set's samples, in any order; one may occur twice.

        Returns:
            (B, C, H, W), channels last in memory, or (B, tokens, C), in the network's number format.

        Raises:
            ValueError: A sample is not among those that this was opened for.
        """
        places = self.places[samples]
        if places.min(initial=0) < 0:
            stranger = int(samples[places.argmin()])
            raise ValueError(
                f"read prefix: sample {stranger} is none of those that it was opened for. Name it in rows."
            )
        h = torch.from_numpy(self.rows[view].take(places)).to(self.dtype).view(-1, *self.shape)
        return h.permute(0, 3, 1, 2) if h.ndim == 4 else h


def activation_shape(network: Network, cut: int) -> tuple[int, ...]:
    """Return the shape of one picture's activation at `cut`: (H, W, C) of a map, (tokens, C) of tokens.

    A shadow of the network runs, whose tensors have shapes and no numbers: milliseconds, and no memory.

    Raises:
        BackboneError: There is no such cut.
    """
    size_px = network.backbone.input.size_px
    with torch.no_grad():
        try:
            shadow = Network(network.backbone, shadow_of(network.model))
            h = shadow.prefix(torch.empty(1, 3, size_px, size_px, device="meta"), cut)
        except (RuntimeError, NotImplementedError):  # an architecture that looks at numbers on its way
            h = network.prefix(torch.zeros(1, 3, size_px, size_px), cut)
    return tuple(h.permute(0, 2, 3, 1).shape[1:] if h.ndim == 4 else h.shape[1:])


def prefix_bytes(network: Network, cut: int, *, num_pictures: int, num_views: int, runtime: Runtime) -> int:
    """Return the bytes on disk that the activations of distinct pictures will take, in the usual float16.

    Raises:
        BackboneError: There is no such cut.
    """
    blocks = _blocks(activation_shape(network, cut), cut)
    return num_pictures * num_views * bank_spec(network.backbone, runtime, blocks=blocks).row_bytes


def open_prefix(context: Context, rows: Ints, *, network: Network, cut: int) -> PrefixCache | None:
    """Return the activations at `cut` of every view, after running those that are missing; None where they do not fit.

    Stored as float16, or as float32 where an activation exceeds float16's range. Memory does not grow with the number
    of pictures: segments of at most 64 MiB are held while filling, and pages of them that the system can drop while
    reading. What is stored already needs no budget.

    Args:
        context: Pictures, their views, the disk budget for all views of them, the machine.
        rows: (n,) indices of the samples that will be read, at least one.
        network: As loaded; what is stored comes from a frozen copy of it.
        cut: Index of the cut that everything that trains lies above.

    Raises:
        BackboneError: There is no such cut, or activations are not finite.
        StoreError: The disk cannot be written.
        DataError: A picture vanished or changed since it was checked.
    """
    progress, views = context.machine.progress, context.training.view_names
    samples = tuple(context.dataset.samples[row] for row in rows.tolist())
    shape = activation_shape(network, cut)
    fill = partial(
        extract_views,
        replace(context.dataset, samples=samples),
        network,
        runtime=context.training_runtime,
        views=views,
        cache=context.cache,
        blocks=_blocks(shape, cut),
        budget_bytes=context.training.disk_budget_bytes,
        progress=progress,
    )
    try:
        try:
            extractions = fill(storage="float16")
        except StorageRangeError:
            progress.note("prefix: an activation exceeds what float16 can hold (65,504); all are kept in float32.")
            extractions = fill(storage="float32")
    except NoRoomError as error:
        progress.note(f"prefix: not cached, it runs live in every epoch. {error}")
        return None
    places = np.full(len(context.dataset), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    sha256s = [sample.sha256 for sample in samples]
    return PrefixCache(
        cut=cut,
        shape=shape,
        views=views,
        num_extracted=sum(done.num_extracted for done in extractions),
        dtype=context.training_runtime.torch_dtype,
        rows=tuple(done.bank.mapped(sha256s) for done in extractions),
        places=places,
    )


def _blocks(shape: tuple[int, ...], cut: int) -> tuple[tuple[int, str, int], ...]:
    """Return the one block of a prefix store's bank."""
    return ((cut, WHOLE, math.prod(shape)),)
