"""Encoded bytes that could cost much -> decoded pixels, by a worker process with a limit on time and on memory.

The one idea: a limit that holds whatever the bytes are can only be set on a process. Workers are started when the
first such picture comes, as a new interpreter that knows Pillow and numpy but not torch; each decodes one picture at
a time, and is replaced when it dies of one. Its standard error goes nowhere, and with it what libtiff and other
libraries write there by themselves. Where the system has no such limits (memory on macOS and Windows, processor time
on Windows), the clock alone ends a decoding that takes too long.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import cache
from threading import Lock, Timer
from typing import IO, Any

from thawline.core.errors import DataError
from thawline.core.runtime import num_workers

__all__ = ["MAX_SECONDS", "Facts", "Message", "Workers", "receive", "send", "workers"]

MAX_SECONDS = 1.5
"""Processor time that a picture may take."""

MAX_CLOCK_SECONDS = 3.0 if sys.platform == "win32" else 20.0
"""Time by the clock after which a worker is ended, on a busy machine too."""

MOST_RESIDENT_BYTES = 160 << 20
"""A worker that holds more than this after a picture is replaced, so that memory is handed back."""

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from thawline.data.worker import main; main()"
_FRAME = struct.Struct(">IQ")  # lengths of the facts (JSON) and of the bytes that follow them

Facts = dict[str, Any]
Message = tuple[Facts, bytes]
Reserve = Callable[[int], AbstractContextManager[None]]


def send(stream: IO[bytes], message: Message) -> None:
    """Write one message: facts as JSON, and bytes."""
    facts, data = message
    text = json.dumps(facts).encode()
    stream.write(_FRAME.pack(len(text), len(data)) + text)
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    """Read one message.

    Raises:
        EOFError: The other side has ended.
    """
    head = stream.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise EOFError
    num_text, num_data = _FRAME.unpack(head)
    text, data = stream.read(num_text), stream.read(num_data)
    if len(text) < num_text or len(data) < num_data:
        raise EOFError
    return json.loads(text), data


class _Worker:
    """One process that decodes one picture at a time."""

    def __init__(self) -> None:
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        handing_back = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 20)}
        self._process = subprocess.Popen(  # noqa: S603 -- nothing of a picture is part of the command
            [sys.executable, "-I", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet, **handing_back},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._has_run_out = False

    def ask(self, facts: Facts, data: bytes, reserve: Reserve) -> Message:
        """Return the answer to one picture; memory is reserved in between, as soon as the worker says how much.

        Raises:
            EOFError, OSError: The worker has died.
        """
        send(self._to, (facts, data))
        answer, pixels = self._await()
        if "needs_bytes" not in answer:
            return answer, pixels
        with reserve(int(answer["needs_bytes"])):
            send(self._to, ({"go": True}, b""))
            return self._await()

    def _await(self) -> Message:
        timer = Timer(MAX_CLOCK_SECONDS, self._run_out)
        timer.daemon = True
        timer.start()
        try:
            return receive(self._from)
        finally:
            timer.cancel()

    def _run_out(self) -> None:
        self._has_run_out = True
        self._process.kill()

    def why_dead(self, max_seconds: float) -> str:
        """Return in a few words why the process ended."""
        with suppress(subprocess.TimeoutExpired):  # its pipes close a moment before it is gone
            self._process.wait(1)
        self.end()
        code = self._process.returncode
        if self._has_run_out:
            return f"takes more than the {MAX_CLOCK_SECONDS:g} s allowed to decode"
        if code == -getattr(signal, "SIGPROF", 0):  # from the timer that the worker sets
            return f"takes more than the {max_seconds:.1f} s of processor time allowed to decode"
        return f"ends the process that decodes it (code {code})"

    def end(self) -> None:
        """End the process."""
        for stream in (self._to, self._from):
            with suppress(OSError):
                stream.close()
        self._process.kill()
        self._process.wait()


class Workers:
    """Workers that wait for a picture; more are started as threads ask at the same time."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._lock = Lock()

    def ask(self, facts: Facts, data: bytes, *, reserve: Reserve, max_seconds: float = MAX_SECONDS) -> Message:
        """Return what a worker answers: facts, and the pixels as bytes.

        Args:
            facts: The keyword arguments of `images.decode_here`.
            data: The encoded picture.
            reserve: Returns a context in which that many bytes may be taken.
            max_seconds: Processor time that it may take.

        Raises:
            DataError: The bytes give no picture, or cost more than is allowed.
        """
        try:
            worker = self._take()
            try:
                answer, pixels = worker.ask({**facts, "max_seconds": max_seconds}, data, reserve)
            except (EOFError, OSError):
                raise DataError(worker.why_dead(max_seconds)) from None
            except BaseException:  # an interruption: the worker still decodes
                worker.end()
                raise
        except OSError as error:
            raise DataError(f"needs a process of its own to decode, and none can be started: {error}") from None
        self._put_back(worker, answer.pop("resident_bytes", 0))
        if "error" in answer:
            raise DataError(answer["error"])
        return answer, pixels

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker._process.poll() is None:
                    return worker
                worker.end()
        return _Worker()

    def _put_back(self, worker: _Worker, resident_bytes: int) -> None:
        with self._lock:
            if resident_bytes <= MOST_RESIDENT_BYTES and len(self._idle) < num_workers():
                self._idle.append(worker)
                return
        worker.end()

    def end(self) -> None:
        """End every worker that waits."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()


@cache
def workers() -> Workers:
    """Return the workers of this process: a forked child starts its own."""
    made = Workers()
    atexit.register(made.end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=workers.cache_clear)
    return made
