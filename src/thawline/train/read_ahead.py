"""Rows and the reads to come -> the same rows, read by threads before they are asked for.

One idea: on an accelerator a step takes less time than decoding and augmenting its pictures, so all cores read the
next batches meanwhile, into page-locked memory from which they are copied while the device computes. What is read is
decided by the batches alone: nothing that is trained can tell the difference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from thawline.core.runtime import num_workers
from thawline.core.types import Ints
from thawline.features.reader import normalised
from thawline.train.batches import Batch, Pictures, Rows
from thawline.train.engine import STREAM_ROWS
from thawline.train.processes import Processes

__all__ = ["ReadAhead", "reading_ahead"]


class ReadAhead:
    """Pictures whose next batches are read by threads; what was not foreseen is read when it is asked for."""

    def __init__(self, rows: Pictures, reads: Iterable[Ints], *, epoch: int, pool: ThreadPoolExecutor) -> None:
        """Begin to read.

        Args:
            rows: Where pictures come from.
            reads: The samples of the reads to come, in their order.
            epoch: Of all of them.
            pool: Whose threads read.
        """
        self.rows, self.epoch, self.pool = rows, epoch, pool
        self._reads = iter(reads)
        self._ahead: deque[tuple[Ints, Future[Tensor]]] = deque()
        for _ in range(num_workers() + 2):
            self._go_on()

    def read(self, samples: Ints, epoch: int | None) -> Tensor:
        """Return what `Pictures.read` does."""
        if epoch != self.epoch or not self._ahead or not np.array_equal(self._ahead[0][0], samples):
            return self.rows.read(samples, epoch)
        _, read = self._ahead.popleft()
        self._go_on()
        pixels = read.result().to(self.rows.runtime.device, non_blocking=True)
        return normalised(pixels, self.rows.spec, runtime=self.rows.runtime)

    def close(self) -> None:
        """Read no further."""
        for _, read in self._ahead:
            read.cancel()
        self._ahead.clear()

    def _go_on(self) -> None:
        samples = next(self._reads, None)
        if samples is not None:
            self._ahead.append((samples, self.pool.submit(self._pixels, samples)))

    def _pixels(self, samples: Ints) -> Tensor:
        pixels = torch.from_numpy(self.rows.pixels(samples, self.epoch))
        return pixels.pin_memory() if self.rows.runtime.device.startswith("cuda") else pixels


@contextmanager
def reading_ahead(
    rows: Rows, batches: Sequence[Batch], *, epoch: int, device: str, processes: Processes
) -> Iterator[Rows]:
    """Give rows that are read ahead; on a CPU, and where nothing is decoded, the rows themselves.

    Args:
        rows: Where inputs come from.
        batches: The steps to come.
        epoch: Of all of them.
        device: Where the network runs.
        processes: Those that train together; each reads its own part of a step.
    """
    if device == "cpu" or not isinstance(rows, Pictures):
        yield rows
        return
    shares = (processes.share(np.arange(len(batch)), together=STREAM_ROWS) for batch in batches)
    reads = (samples for batch, share in zip(batches, shares, strict=True) for samples in _reads_of(batch.part(share)))
    with ThreadPoolExecutor(num_workers(), "ahead") as pool:
        ahead = ReadAhead(rows, reads, epoch=epoch, pool=pool)
        try:
            yield ahead
        finally:
            ahead.close()


def _reads_of(batch: Batch) -> tuple[Ints, ...]:
    """Return the samples of each read that a batch's inputs take."""
    return (batch.samples,) if batch.share == 1 else (batch.samples, batch.partners)
