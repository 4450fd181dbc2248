"""An exported model -> a small web service: a health check, predictions, and a page to drop pictures on.

One idea: torch is never loaded, and neither is the web framework until it is needed. uvicorn runs the application of
`application` on the connections of `connection`.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from thawline.core.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

    from thawline.use.service.gate import Gate, Limits

__all__ = ["serve"]

MAX_STOP_S = 30
"""What requests in flight may take once the service was told to stop."""


def serve(
    model: Path | str,
    *,
    ready: Callable[[str], None],
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    allowed_hosts: Collection[str] = (),
    token_file: Path | str | None = None,
) -> None:
    """Answer requests with an exported model until SIGTERM or SIGINT stops the process.

    Args:
        model: An ONNX file that `export` wrote.
        ready: Called with the address once requests are accepted.
        host: Address to listen on; `127.0.0.1` is reached from this machine only.
        port: Port; 0 takes a free one.
        limits: The largest request that is answered.
        allowed_hosts: Names besides `host` and this machine's own that requests may call the service by.
        token_file: File with the token that requests must show; required where `host` lets other machines in.

    Raises:
        BundleError: The file is not one that `thawline export` wrote.
        UsageError: The address cannot be listened on or needs a token, or the token file is not as it must be, or
            `thawline[serve]` is not installed.
    """
    try:
        import uvicorn

        from thawline.use.onnx_model import open_onnx
        from thawline.use.service.access import Access, host_name, listen, read_token
        from thawline.use.service.application import make_app
        from thawline.use.service.gate import Limits
    except ImportError as error:
        raise UsageError(
            f"serve: fastapi, uvicorn and python-multipart are required and cannot be loaded ({error}). Run "
            "`pip install thawline[serve]`."
        ) from None
    names = frozenset(map(host_name, allowed_hosts))
    access = Access(names | {host.lower()}, None if token_file is None else read_token(Path(token_file)))
    app = make_app(open_onnx(Path(model)), limits or Limits(), access=access)
    with listen(host, port, is_guarded=access.token is not None) as listener:
        address = f"[{host}]" if ":" in host else host
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for every form that is not one
        with suppress(KeyboardInterrupt), _stopped_by_sigterm():  # the usual ways to stop it
            ready(f"http://{address}:{listener.getsockname()[1]}")
            uvicorn.Server(_config(app)).run(sockets=[listener])


def _config(app: Gate) -> uvicorn.Config:
    """Return what uvicorn must know."""
    import uvicorn

    from thawline.use.service.access import BACKLOG
    from thawline.use.service.connection import IDLE_S, GuardedProtocol

    return uvicorn.Config(
        app,
        http=GuardedProtocol,
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


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process as Ctrl+C does: uvicorn raises the signal again once its requests are answered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
