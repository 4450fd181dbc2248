"""Samples -> the network's input; and work on many items in order, done by threads while the caller computes.

The one idea: a window of items is in flight, never more; results come back in order whatever the threads do.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from thawline.core.errors import DataError
from thawline.core.runtime import num_workers
from thawline.core.types import InputSpec, Pixels
from thawline.data.dataset import Sample
from thawline.data.images import MAX_MEGAPIXELS, prepare, prepare_with_remarks

__all__ = ["load_pixels", "map_ordered", "prepare_each", "read_checked"]

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


def load_pixels(sample: Sample, spec: InputSpec) -> Pixels:
    """Return the picture of a sample as the network's input: (size_px, size_px, 3) uint8, RGB, before mean and std.

    Raises:
        DataError: The picture is gone, has changed since the check, or no longer decodes; names it.
    """
    data = read_checked(sample)
    try:
        return prepare(data, spec)
    except DataError as error:
        raise DataError(f"decode: {sample.path}: {error}. Run again: `thawline check` says what to do.") from None


def prepare_each(
    data: bytes, specs: Sequence[InputSpec], *, max_megapixels: int = MAX_MEGAPIXELS
) -> tuple[tuple[Pixels, ...], tuple[str, ...]]:
    """Return one picture prepared in every way that a model needs, and what is odd about it, in words.

    Args:
        data: The encoded picture.
        specs: One or several preparations.
        max_megapixels: As in `prepare`.

    Raises:
        DataError: As `prepare`.
    """
    prepared = [prepare_with_remarks(data, spec, max_megapixels=max_megapixels) for spec in specs]
    remarks = dict.fromkeys(remark for _, own in prepared for remark in own)
    return tuple(pixels for pixels, _ in prepared), tuple(remarks)
