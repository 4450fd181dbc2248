"""An application and a listening socket -> a server that answers until it is told to stop, and finishes what it began.

One idea: uvicorn runs it, on the connections of `connection`; what is added here is that the service knows that it is
about to end, and that it may open as many connections as it promises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from thawline.use.service.access import BACKLOG
from thawline.use.service.connection import IDLE_S, MAX_CONNECTIONS, GuardedProtocol
from thawline.use.service.served import Served

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["MAX_STOP_S", "DrainingServer", "allow_connections", "server_config", "stopped_by_sigterm"]

MAX_STOP_S = 30
"""What requests in flight may take once the service was told to stop."""

OWN_FILES = 256
"""Files and pipes that the service opens besides connections."""


class DrainingServer(uvicorn.Server):
    """A server whose service knows when it is about to end."""

    def __init__(self, config: uvicorn.Config, served: Served) -> None:
        super().__init__(config)
        self._served = served

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, after what is in flight."""
        self._served.is_draining = True
        super().handle_exit(sig, frame)


def server_config(app: ASGIApp, *, max_connections: int) -> uvicorn.Config:
    """Return what uvicorn must know.

    Args:
        app: The application.
        max_connections: As `allow_connections` says.
    """
    return uvicorn.Config(
        app,
        http=partial(GuardedProtocol, max_connections=max_connections),  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=MAX_STOP_S,
    )


def allow_connections() -> int:
    """Let this process open as many connections as it promises, and return how many the system lets it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * MAX_CONNECTIONS + OWN_FILES
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, min(MAX_CONNECTIONS, (soft - OWN_FILES) // 2))


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process as Ctrl+C does: uvicorn raises the signal again once its requests are answered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
