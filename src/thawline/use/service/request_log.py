"""Requests that were answered -> a line of JSON for each, on a stream that may be slow.

One idea: the log never holds up an answer. Lines wait for the stream in a thread of their own; where too many wait,
some are left out, and the next line says how many.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

__all__ = ["Ended", "RequestLog", "request_id"]

MAX_LINES = 10_000
"""That wait for the stream."""

MAX_PATH = 200
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True)
class Ended:
    """A request that is over.

    Attributes:
        request_id: By which client and log call it.
        method: Of HTTP.
        path: That was asked for, without what follows `?`.
        status: Of the reply; 499 where the client left first.
        seconds: From its header to the end of the reply.
        num_pictures: In it.
    """

    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    num_pictures: int


def request_id(sent: str | None) -> str:
    """Return the name of a request: the client's own, where it is short and plain, else a new one."""
    return sent if sent and REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


class RequestLog:
    """A log of requests."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._num_left_out = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def add(self, ended: Ended) -> None:
        """Write a line; it holds no file name, no token and no address of a client."""
        facts = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": ended.request_id,
            "method": ended.method[:20],
            "path": ended.path[:MAX_PATH],
            "status": ended.status,
            "ms": round(1000 * ended.seconds, 1),
            "pictures": ended.num_pictures,
        }
        if self._num_left_out:
            facts["lines_left_out"] = self._num_left_out
        try:
            self._lines.put_nowait(json.dumps(facts))
            self._num_left_out = 0
        except queue.Full:
            self._num_left_out += 1

    def close(self) -> None:
        """Write what waits, and end."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(5.0)  # a stream that nobody reads must not keep the process

    def _write(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more
            while (line := self._lines.get()) is not None:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
