"""A thawed network and a batch -> summed gradients, by the way that is fastest on this machine.

On a CPU a network with folded norms is trained by one single-threaded stream a core, as extraction runs: each holds a
replica of the weights in the fast number format, takes small parts of the batch, reads their pictures and adds their
gradients up in float32. Parts are dealt out by number and summed in order, so threads change no bit. Everything else
(an accelerator, norms that learn, nothing but a head) takes the batch whole under autocast. Either way a part that does
not fit into memory is halved, and the sum stays what it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from thawline.core.runtime import Runtime, num_workers
from thawline.core.types import Floats, Ints
from thawline.train.batches import Batch, Rows
from thawline.train.depthwise import FastDepthwise
from thawline.train.objective import Objective
from thawline.train.thawed import Thawed

__all__ = ["STREAM_ROWS", "Engine", "StepSums", "is_out_of_memory", "open_engine"]

STREAM_ROWS = 8
"""Pictures of a part, whose gradient is rounded once: several processes share a step by whole parts."""
EVALUATE_ROWS = 256


@dataclass(frozen=True)
class StepSums:
    """What a step adds to the record: summed loss and right answers on its pictures, and how many they were."""

    loss: float
    right: float
    count: int


@dataclass(eq=False, repr=False)
class Engine(ABC):
    """Adds up gradients of batches and answers rows; the weights are those of its `thawed` network.

    Attributes:
        thawed: Placed on the runtime's device.
        objective: What to minimise.
        runtime: Device and number format.
        num_parts: Parts that a step is split into, at least.
        note: Called with a line of text when a part had to be halved.
    """

    thawed: Thawed
    objective: Objective
    runtime: Runtime
    num_parts: int
    note: Callable[[str], None]

    @abstractmethod
    def gradients(self, batch: Batch, rows: Rows, *, place: tuple[int, int], scale: float) -> StepSums:
        """Add `scale` times the batch's gradient to the weights' own and return its sums.

        Args:
            batch: This process's share of a step.
            rows: Where the inputs come from.
            place: Epoch and step, for the seeds.
            scale: One over the pictures of the whole step.
        """

    @abstractmethod
    def logits(self, samples: Ints, rows: Rows) -> Floats:
        """Return (N, K) float32 logits of unaltered samples, in evaluation mode; N may be 0."""

    @abstractmethod
    def refresh(self) -> None:
        """Take over weights that a step has changed."""

    @abstractmethod
    def _precision(self) -> AbstractContextManager[object]:
        """Return the context in which a forward pass runs."""

    def _backward(
        self, thawed: Thawed, part: Batch, rows: Rows, *, place: tuple[int, int], scale: float
    ) -> tuple[float, int]:
        """Run a part forward and backward through a network; return its summed loss and its right answers."""
        x, share = part.inputs(rows, place[0])
        keep = self.objective.keep(part.samples, thawed.head.num_factors, place=place, device=x.device)
        with self._precision():
            logits = thawed(x, keep).float()
            loss = self.objective.loss(logits, part, share=share)
        torch.autograd.backward(loss * scale)
        answers = logits.detach().argmax(1).cpu().numpy()
        return float(loss.detach()), int((answers == self.objective.labels[part.samples]).sum())


@contextmanager
def open_engine(
    thawed: Thawed,
    objective: Objective,
    *,
    runtime: Runtime,
    keeps_norms: bool,
    accumulate: int = 1,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Engine]:
    """Return the engine for this machine and network; its threads end with the context.

    Args:
        thawed: Placed on the runtime's device.
        objective: What to minimise.
        runtime: Device and number format.
        keeps_norms: Whether batch norms learn, which needs whole batches.
        accumulate: Parts to split a step into, at least.
        note: Called with a line of text when a part had to be halved.
    """
    if thawed.reads_features:
        exact = replace(runtime, dtype="float32")
        with _single_threaded():  # so little work that more threads would wait for one another, and rounding saves none
            yield _WholeEngine(thawed, objective, runtime=exact, num_parts=accumulate, note=note, keeps_norms=False)
        return
    if keeps_norms or runtime.device != "cpu":
        yield _WholeEngine(thawed, objective, runtime=runtime, num_parts=accumulate, note=note, keeps_norms=keeps_norms)
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(num_workers(), "streams", partial(torch.set_num_threads, 1))
    try:
        yield _StreamEngine(thawed, objective, runtime=runtime, num_parts=accumulate, note=note, pool=pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let torch use one thread meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _parts(batch: Batch, size: int) -> list[Batch]:
    return [batch.part(np.arange(start, min(start + size, len(batch)))) for start in range(0, len(batch), size)]


def _no_answers(thawed: Thawed) -> Floats:
    """Return the logits of no picture: the share of a process where there are more of them than pictures."""
    return np.empty((0, thawed.head.out_features), dtype=np.float32)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


@dataclass(eq=False, repr=False)
class _StreamEngine(Engine):
    """One replica and one thread a core."""

    pool: ThreadPoolExecutor

    def __post_init__(self) -> None:
        self.size = STREAM_ROWS
        self.replicas = [self.thawed.replica(self.runtime.torch_dtype).eval() for _ in range(num_workers())]
        self._weights = list(self.thawed.trained().values())
        self._copies = [list(replica.trained().values()) for replica in self.replicas]
        self._sums = [[torch.zeros_like(weight) for weight in self._weights] for _ in self.replicas]

    def gradients(self, batch: Batch, rows: Rows, *, place: tuple[int, int], scale: float) -> StepSums:
        """Add the batch's gradient up, part by part, every stream its own parts."""
        while True:
            size = max(1, min(self.size, -(-len(batch) // self.num_parts)))
            parts = _parts(batch, size)
            work = partial(self._stream, parts=parts, rows=rows, place=place, scale=scale)
            streams = [self.pool.submit(work, stream) for stream in range(min(len(self.replicas), len(parts)))]
            wait(streams)  # all of them: one that is still at work would add to the sums of the next attempt
            try:
                sums_by_stream = [stream.result() for stream in streams]
                break
            except Exception as error:
                self._drop_sums()
                if not is_out_of_memory(error) or size == 1:
                    raise
                self.size = size // 2
                self.note(
                    f"tune: memory ran out; pictures now go through in parts of {self.size}, with the same result"
                )
        with torch.no_grad():
            for index, weight in enumerate(self._weights):
                total = self._sums[0][index].clone()
                for sums in self._sums[1:]:
                    total += sums[index]
                weight.grad = total if weight.grad is None else weight.grad + total
        self._drop_sums()
        return StepSums(sum(loss for loss, _ in sums_by_stream), sum(right for _, right in sums_by_stream), len(batch))

    def _stream(
        self, stream: int, *, parts: Sequence[Batch], rows: Rows, place: tuple[int, int], scale: float
    ) -> tuple[float, int]:
        """Run every so many-th part, as many as there are streams, and add its gradients to the stream's own sums."""
        replica, loss_sum, right = self.replicas[stream], 0.0, 0
        for part in parts[stream :: len(self.replicas)]:
            part_loss, part_right = self._backward(replica, part, rows, place=place, scale=scale)
            with torch.no_grad():
                for total, copy in zip(self._sums[stream], self._copies[stream], strict=True):
                    if copy.grad is not None:
                        total.add_(copy.grad)
                        copy.grad = None
            loss_sum, right = loss_sum + part_loss, right + part_right
        return loss_sum, right

    def _precision(self) -> AbstractContextManager[object]:
        return FastDepthwise() if self.runtime.dtype == "bfloat16" else nullcontext()

    def _drop_sums(self) -> None:
        for sums in self._sums:
            torch._foreach_zero_(sums)
        for copies in self._copies:
            for copy in copies:
                copy.grad = None

    def logits(self, samples: Ints, rows: Rows) -> Floats:
        """Return the answers of the replicas, every stream its own parts."""
        parts = [samples[start : start + STREAM_ROWS] for start in range(0, len(samples), STREAM_ROWS)]

        def answer(stream: int) -> list[Floats]:
            with torch.inference_mode():
                mine = parts[stream :: len(self.replicas)]
                return [self.replicas[stream](rows.read(part, None)).numpy() for part in mine]

        by_stream = list(self.pool.map(answer, range(len(self.replicas))))
        answers = [by_stream[number % len(by_stream)][number // len(by_stream)] for number in range(len(parts))]
        return np.concatenate(answers) if answers else _no_answers(self.thawed)

    def refresh(self) -> None:
        """Copy the weights into every replica."""
        with torch.no_grad():
            for copies in self._copies:
                for copy, weight in zip(copies, self._weights, strict=True):
                    copy.copy_(weight)


@dataclass(eq=False, repr=False)
class _WholeEngine(Engine):
    """The network itself, the whole batch at once, under autocast."""

    keeps_norms: bool

    def __post_init__(self) -> None:
        modules = self.thawed.model.modules() if self.keeps_norms else ()
        self._norms = [module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm)]

    def gradients(self, batch: Batch, rows: Rows, *, place: tuple[int, int], scale: float) -> StepSums:
        """Add the batch's gradient up in as few parts as the memory allows."""
        before = {id(p): p.grad for p in self.thawed.trained().values()}
        while True:
            size = max(1, -(-len(batch) // self.num_parts))
            try:
                return self._run(_parts(batch, size), rows, place=place, scale=scale)
            except Exception as error:
                if not is_out_of_memory(error) or size == 1:
                    raise
                for parameter in self.thawed.trained().values():
                    parameter.grad = before[id(parameter)]
                if self.runtime.device != "cpu":
                    torch.cuda.empty_cache()
                self.num_parts *= 2
                self.note(f"tune: memory ran out; a step is now split into {self.num_parts} parts")

    def _run(self, parts: Sequence[Batch], rows: Rows, *, place: tuple[int, int], scale: float) -> StepSums:
        """Run forward and backward; norms learn from whole parts."""
        loss_sum, right = 0.0, 0
        if not parts:  # of several processes, this one has no picture of the step, and adds zeros to its sum
            for parameter in self.thawed.trained().values():
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for part in parts:
            self._set_mode(training=len(part) > 1)  # one picture alone has no spread to learn from
            part_loss, part_right = self._backward(self.thawed, part, rows, place=place, scale=scale)
            loss_sum, right = loss_sum + part_loss, right + part_right
        return StepSums(loss_sum, right, sum(map(len, parts)))

    def logits(self, samples: Ints, rows: Rows) -> Floats:
        """Return the answers of the network in evaluation mode."""
        self._set_mode(training=False)
        answers = []
        with torch.inference_mode(), self._precision():
            for start in range(0, len(samples), EVALUATE_ROWS):
                x = rows.read(samples[start : start + EVALUATE_ROWS], None)
                answers.append(self.thawed(x).float().cpu().numpy())
        return np.concatenate(answers) if answers else _no_answers(self.thawed)

    def refresh(self) -> None:
        """Do nothing: the weights are the network's own."""

    def _set_mode(self, *, training: bool) -> None:
        """Let norms learn in training; everything else is always in evaluation mode, and has no other."""
        for norm in self._norms:
            norm.train(training)

    def _precision(self) -> AbstractContextManager[object]:
        if self.runtime.dtype == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.runtime.device).type, dtype=self.runtime.torch_dtype)
