"""Pictures of many requests -> predictions: decoded a few at a time, answered in batches, requests taking turns.

One idea: a thread a processor does what is due next. It answers a full batch, else decodes the next picture, else
answers what there is: under load batches fill by themselves, and a lone picture never waits for company. Requests take
turns picture by picture, and one whose client hung up gives up the turns that are left.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from thawline.core.errors import DataError
from thawline.core.runtime import num_workers
from thawline.core.types import Floats, Prediction
from thawline.use.answer import Answering, Prepared, row_of
from thawline.use.service.counters import Counters
from thawline.use.service.refusal import busy

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["MAX_DECODING", "MAX_WAITING", "WAIT_S", "Sent", "Turns"]

MAX_DECODING = 4
"""Pictures that are decoded at the same time, however many processors there are: it bounds the memory."""

MAX_WAITING = 256
WAIT_S = 20.0
"""Requests that have a picture without an answer, and how long one may wait for each of its turns."""


@dataclass(frozen=True)
class Sent:
    """A picture of a request.

    Attributes:
        name: As the client calls it.
        data: The encoded picture; empty where it is prepared already.
        prepared: The picture as the model takes it, from a client that prepares by itself.
        take_place: Told where the picture lies, (D,) float32 of unit length, by a thread of the turns and before its
            row is there; None where nobody asks, and not told by a model that does not know.
    """

    name: str
    data: bytes
    prepared: Prepared | None = None
    take_place: Callable[[Floats], object] | None = None


@dataclass(eq=False)
class _Order:
    """A request: its pictures, and what is known of them. Guarded by the lock of the turns."""

    pictures: Sequence[Sent]
    done: asyncio.Future[list[Prediction]]
    last_turn_s: float
    rows: list[Prediction | None] = field(default_factory=list)
    num_begun: int = 0
    num_left: int = 0

    def is_begun(self) -> bool:
        """Whether all of its pictures had their turn."""
        return self.num_begun == len(self.pictures)


@dataclass(frozen=True)
class _Ready:
    """A prepared picture that waits for the network."""

    order: _Order
    index: int
    prepared: Prepared
    remarks: tuple[str, ...]


class Turns:
    """The turns of a service, and the threads that work them off.

    Attributes:
        num_waiting: Requests that have a picture without an answer.
    """

    def __init__(self, model: Answering, *, max_megapixels: int, counters: Counters | None = None) -> None:
        self._model, self._max_megapixels = model, max_megapixels
        self._counters = counters or Counters()
        self._changed = threading.Condition()
        self._orders: deque[_Order] = deque()
        self._ready: deque[_Ready] = deque()
        self._num_decoding = 0
        self._is_closed = False
        self.num_waiting = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"pictures {number}", daemon=True)
            for number in range(num_workers())
        ]
        for thread in self._threads:
            thread.start()

    async def predict(self, pictures: Sequence[Sent], receive: Receive) -> list[Prediction]:
        """Return a prediction for every picture, in order; one that cannot be read gets a row with its error.

        Args:
            pictures: One or more.
            receive: Of the request whose body has been read: what is left to come is the client's hanging up.

        Raises:
            ClientDisconnect: The client hung up; no further picture of this request is begun.
            RefusedError: Status 503: too many requests wait, or this one waited too long.
        """
        if self.num_waiting >= MAX_WAITING:
            raise busy("too many requests wait")
        done: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        order = _Order(pictures, done, time.monotonic(), [None] * len(pictures), num_left=len(pictures))
        self.num_waiting += 1
        leaving = asyncio.ensure_future(_hung_up(receive))
        try:
            with self._changed:
                self._orders.append(order)
                self._changed.notify(len(pictures))
            self._count_waiting()
            await self._until_done(order, leaving)
            return done.result()
        finally:
            self.num_waiting -= 1
            leaving.cancel()
            with self._changed, suppress(ValueError):
                self._orders.remove(order)
            self._count_waiting()

    def close(self) -> None:
        """End the threads once they are done with what they do; nothing may be asked any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _count_waiting(self) -> None:
        self._counters.waiting_requests.set(self.num_waiting)
        self._counters.waiting_pictures.set(sum(len(order.pictures) - order.num_begun for order in [*self._orders]))

    async def _until_done(self, order: _Order, leaving: asyncio.Future[None]) -> None:
        """Wait until all pictures of a request are answered."""
        while True:
            left_s = order.last_turn_s + WAIT_S - time.monotonic()
            await asyncio.wait(
                (order.done, leaving),
                timeout=None if order.is_begun() else max(0.0, left_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if order.done.done():
                return
            if leaving.done():
                raise ClientDisconnect
            if not order.is_begun() and time.monotonic() >= order.last_turn_s + WAIT_S:
                raise busy("it did not come to this request in time", retry_s=10)

    def _work(self) -> None:
        """Do what is due next, until the turns are closed."""
        while True:
            with self._changed:
                while (task := self._next()) is None:
                    if self._is_closed:
                        return
                    self._changed.wait()
            task()

    def _next(self) -> Callable[[], None] | None:
        """Return what is due next, or None; a full batch goes first, a picture that can be decoded second."""
        size = self._model.batch_size
        if len(self._ready) < size and self._orders and self._num_decoding < MAX_DECODING:
            order = self._orders.popleft()
            index = order.num_begun
            order.num_begun, order.last_turn_s = index + 1, time.monotonic()
            if not order.is_begun():
                self._orders.append(order)
            self._num_decoding += 1
            return lambda: self._prepare(order, index)
        if self._ready:
            batch = [self._ready.popleft() for _ in range(min(size, len(self._ready)))]
            return lambda: self._answer(batch)
        return None

    def _prepare(self, order: _Order, index: int) -> None:
        """Decode a picture, so that it can be answered, or answer that it cannot be read."""
        picture, ready = order.pictures[index], None
        try:
            if picture.prepared is not None:
                ready = _Ready(order, index, picture.prepared, ())
            else:
                begin_s = time.perf_counter()
                ready = _Ready(order, index, *self._model.prepare(picture.data, max_megapixels=self._max_megapixels))
                self._counters.decode_seconds.observe(time.perf_counter() - begin_s)
        except DataError as error:
            self._settle(order, index, Prediction.failed(picture.name, str(error)))
        except Exception as error:
            self._fail(order, error)
        with self._changed:
            self._num_decoding -= 1
            if ready is not None:
                self._ready.append(ready)
            if self._orders:  # this thread goes on by itself; another one may be due too
                self._changed.notify()

    def _answer(self, batch: Sequence[_Ready]) -> None:
        """Answer prepared pictures; where one of several spoils the batch, each by itself."""
        try:
            begin_s = time.perf_counter()
            answer = self._model.answers_to([ready.prepared for ready in batch])
            self._counters.forward_seconds.observe(time.perf_counter() - begin_s)
            self._counters.batch_pictures.observe(len(batch))
            for place, ready in enumerate(batch):
                picture = ready.order.pictures[ready.index]
                if picture.take_place is not None and answer.places is not None:
                    picture.take_place(answer.places[place])
                row = row_of(self._model, picture.name, answer=answer, place=place, remarks=ready.remarks)
                self._settle(ready.order, ready.index, row)
        except DataError as error:
            if len(batch) == 1:
                ready = batch[0]
                name = ready.order.pictures[ready.index].name
                self._settle(ready.order, ready.index, Prediction.failed(name, str(error)))
                return
            for ready in batch:
                self._answer([ready])
        except Exception as error:
            for ready in batch:
                self._fail(ready.order, error)

    def _settle(self, order: _Order, index: int, row: Prediction) -> None:
        """Take note of a picture's row; the last one of a request ends its waiting."""
        with self._changed:
            order.rows[index] = row
            order.num_left -= 1
            is_last = order.num_left == 0
        if is_last:
            rows = [row for row in order.rows if row is not None]
            _tell(order.done, lambda: order.done.set_result(rows))

    def _fail(self, order: _Order, error: Exception) -> None:
        _tell(order.done, lambda: order.done.set_exception(error))


def _tell(done: asyncio.Future[list[Prediction]], settle: Callable[[], None]) -> None:
    """Settle a future of the event loop from a thread, unless nobody waits for it any more."""
    with suppress(RuntimeError):  # the loop has ended
        done.get_loop().call_soon_threadsafe(lambda: None if done.done() else settle())


async def _hung_up(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
