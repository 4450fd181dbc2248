"""Pixels of many threads -> an accelerator that never waits for them, by lanes with a stream and buffers of their own.

One idea: while one lane computes, the next one's pictures are on their way. A lane has a page-locked buffer, from
which copies run by themselves, and a CUDA stream, in which its copy, its pass and the way back follow one another; a
thread waits for its own stream alone, with the interpreter's lock released. A CPU needs none of it: everybody computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from queue import SimpleQueue

import torch
from torch import Tensor

from thawline.core.types import Floats, Pixels

__all__ = ["Lane", "Lanes", "settle"]

NUM_LANES = 2
"""One computes while the other's pictures are copied; more only take memory."""


class Lane:
    """A way to a device that one thread uses at a time.

    Attributes:
        device: Where it leads.
        is_staged: Whether pictures pass through a buffer of its own.
    """

    def __init__(self, device: str, *, is_staged: bool) -> None:
        self.device = device
        self.is_staged = is_staged
        self._is_cuda = device.startswith("cuda")
        self._stream = torch.cuda.Stream(device) if self._is_cuda else None  # type: ignore[no-untyped-call]
        self._sent: Tensor | None = None
        self._come: Tensor | None = None

    def put(self, pixels: Pixels) -> Tensor:
        """Return (B, H, W, 3) uint8 pixels on the device; on a CPU they may share the array's memory.

        On CUDA the copy may still be under way; what is computed in this lane waits for it.
        """
        writable = pixels if pixels.flags.writeable else pixels.copy()  # torch shares memory, has no read-only tensors
        source = torch.from_numpy(writable)
        if not self.is_staged:
            return source.to(self.device)
        self._sent = self._buffer(self._sent, source)
        self._sent.copy_(source)
        return self._sent.to(self.device, non_blocking=True, copy=True)

    def take(self, values: Tensor) -> Floats:
        """Return values as an array once everything in this lane is done."""
        if not self.is_staged:
            found: Floats = values.cpu().numpy()
            return found
        self._come = self._buffer(self._come, values)
        self._come.copy_(values, non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        taken: Floats = self._come.numpy().copy()
        return taken

    @contextmanager
    def in_stream(self) -> Iterator[None]:
        """Let what is computed meanwhile follow in this lane's stream."""
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            yield

    def _buffer(self, held: Tensor | None, like: Tensor) -> Tensor:
        """Return a buffer of a tensor's shape and type: the one that is held, where it fits."""
        if held is not None and held.shape == like.shape and held.dtype == like.dtype:
            return held
        with torch.inference_mode(False):  # a buffer outlives the pass
            return torch.empty(like.shape, dtype=like.dtype, pin_memory=self._is_cuda)


class Lanes:
    """The lanes of a device, taken in turn by threads; on a CPU one for everybody at once."""

    def __init__(self, device: str, *, num_lanes: int | None = None) -> None:
        """Open the lanes.

        Args:
            device: As a torch device string.
            num_lanes: How many lanes with buffers; None: none on a CPU, one on a device without streams, else two.
        """
        self._opened = (device, num_lanes)
        self._open: Lane | None = None
        self._free: SimpleQueue[Lane] = SimpleQueue()
        if num_lanes is None and device == "cpu":
            self._open = Lane(device, is_staged=False)
            return
        is_cuda = device.startswith("cuda")
        for _ in range(num_lanes or (NUM_LANES if is_cuda else 1)):
            self._free.put(Lane(device, is_staged=is_cuda or num_lanes is not None))

    def __reduce__(self) -> tuple[object, ...]:
        """Let a pickle keep what the lanes were opened with; they are opened anew where it is read."""
        device, num_lanes = self._opened
        return partial(Lanes, num_lanes=num_lanes), (device,)

    @contextmanager
    def turn(self) -> Iterator[Lane]:
        """Give a lane, once one is free, and take it back whatever happens in it."""
        if self._open is not None:
            yield self._open
            return
        lane = self._free.get()
        try:
            with lane.in_stream():
                yield lane
        finally:
            self._free.put(lane)


def settle(device: str) -> None:
    """Wait until what was put on a device in any stream is there, so that every lane may read it."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
