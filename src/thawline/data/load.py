"""A Dataset -> ordered batches of the network's input, decoded by threads while the caller computes.

The one idea: a window of pictures is always in flight, never more; results come back in order whatever the threads do.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from thawline.core.errors import DataError
from thawline.core.runtime import num_workers
from thawline.core.types import InputSpec, Ints, Pixels
from thawline.data.dataset import Dataset, Sample
from thawline.data.images import prepare

__all__ = ["batches", "map_ordered", "read_checked"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    num_threads: int | None = None,
    ahead: int = 64,
    initializer: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` in the order of the items, computed by threads at most `ahead` items in advance.

    Args:
        function: Must be safe to call from several threads.
        items: Taken one by one, no faster than the window allows.
        num_threads: As many as processors by default.
        ahead: Items in flight; bounds the memory.
        initializer: Called once in every thread before its first item.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(num_threads or num_workers(), "pictures", initializer)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_checked(sample: Sample) -> bytes:
    """Return the encoded bytes of a sample, the same that `check` saw.

    Raises:
        DataError: The picture is gone, or its bytes have changed; names it.
    """
    try:
        data = sample.source.read()
    except DataError as error:
        raise DataError(
            f"read: {sample.path}: {error}. It was there when it was checked; restore it, or run again."
        ) from None
    if hashlib.sha256(data).hexdigest() != sample.sha256:
        raise DataError(f"read: {sample.path} has changed since it was checked. Run again.")
    return data


def batches(
    dataset: Dataset,
    spec: InputSpec,
    *,
    indices: Ints | None = None,
    batch_size: int = 32,
    num_threads: int | None = None,
) -> Iterator[tuple[Ints, Pixels]]:
    """Yield (indices, pixels) in order: (B,) int64 and (B, size_px, size_px, 3) uint8, RGB, before mean and std.

    The last batch may be smaller. Memory: the pictures of three batches. The batch size changes no pixel.

    Args:
        dataset: The checked pictures.
        spec: How each becomes square.
        indices: Which samples, and in which order; all by default.
        batch_size: Pictures a batch.
        num_threads: As many as processors by default.

    Raises:
        DataError: A picture is gone or has changed since the check; names it.
    """
    order = np.arange(len(dataset), dtype=np.int64) if indices is None else np.asarray(indices, dtype=np.int64)

    def load(index: int) -> Pixels:
        sample = dataset.samples[index]
        try:
            return prepare(read_checked(sample), spec)
        except DataError as error:
            text = str(error)
            raise DataError(text if sample.path in text else f"decode: {sample.path}: {text}. Run again.") from None

    pictures = map_ordered(load, order.tolist(), num_threads=num_threads, ahead=2 * batch_size)
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        pixels = np.empty((len(chunk), spec.size_px, spec.size_px, 3), dtype=np.uint8)
        for row in range(len(chunk)):
            pixels[row] = next(pictures)
        yield chunk, pixels
