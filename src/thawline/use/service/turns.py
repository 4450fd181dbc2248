"""Pictures of many requests -> predictions, a few at a time, first come, first served.

One idea: what decoding may take is bounded by how many pictures are decoded at once. A request waits for its turn for
each of its pictures, and gives it up when its client hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from thawline.core.types import Prediction
from thawline.use.service.refusal import busy

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["MAX_AT_ONCE", "MAX_WAITING", "WAIT_S", "Turns"]

MAX_AT_ONCE = 2
"""Pictures in memory at the same time: one is decoded while another is predicted."""

MAX_WAITING = 256
WAIT_S = 20.0
"""Requests that wait for a turn, and how long one may wait for each."""


class Turns:
    """The turns of a service.

    Attributes:
        num_waiting: Requests that have a picture that is not predicted yet.
    """

    def __init__(self, predict: Callable[[str, bytes], Prediction]) -> None:
        self._predict = predict
        self._pool = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="picture")
        self._free = asyncio.Semaphore(MAX_AT_ONCE)
        self.num_waiting = 0

    async def predict(self, pictures: Sequence[tuple[str, bytes]], receive: Receive) -> list[Prediction]:
        """Return a prediction for every picture, in order.

        Args:
            pictures: Name and bytes of each.
            receive: Of the request whose body has been read: what is left to come is the client's hanging up.

        Raises:
            ClientDisconnect: The client hung up; no further picture of this request is begun.
            RefusedError: Status 503: too many requests wait, or this one waited too long.
        """
        if self.num_waiting >= MAX_WAITING:
            raise busy("too many requests wait")
        self.num_waiting += 1
        answering = asyncio.ensure_future(self._one_by_one(pictures))
        leaving = asyncio.ensure_future(_hung_up(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ClientDisconnect
            return answering.result()
        finally:
            self.num_waiting -= 1
            answering.cancel()
            leaving.cancel()

    async def _one_by_one(self, pictures: Sequence[tuple[str, bytes]]) -> list[Prediction]:
        rows = []
        for name, data in pictures:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._free.acquire()
            except TimeoutError:
                raise busy("it did not come to this request in time", retry_s=10) from None
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._predict, name, data)
            work.add_done_callback(lambda _: self._free.release())
            rows.append(await asyncio.shield(work))
        return rows


async def _hung_up(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
