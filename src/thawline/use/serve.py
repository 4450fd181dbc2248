"""An exported model -> a small web service: a health check, predictions, and a page to drop pictures on.

One idea: torch is never loaded. Pictures go through the same decoder as in training, then through the ONNX file. A
request is bounded before it is read: its length, its number of pictures, the pixels of each.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse

from thawline.core.errors import UsageError
from thawline.core.types import Prediction
from thawline.core.version import __version__
from thawline.use.onnx_model import OnnxModel, open_onnx

__all__ = ["Limits", "make_app", "serve"]

PAGE = Path(__file__).with_name("serve.html")
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAX_CONNECTIONS = 32
MAX_AT_ONCE = 2
"""Pictures in memory at the same time: one is decoded while another is predicted."""


@dataclass(frozen=True)
class Limits:
    """The largest request that is answered.

    Attributes:
        max_request_bytes: Length of the body.
        max_pictures: Pictures in a request.
        max_megapixels: Size of a picture, as its header claims it.
    """

    max_request_bytes: int = 32 << 20
    max_pictures: int = 32
    max_megapixels: int = 50


def serve(path: Path, *, host: str, port: int, ready: Callable[[str], None], limits: Limits | None = None) -> None:
    """Answer requests with an exported model until SIGTERM or SIGINT stops the process.

    Args:
        path: The ONNX file.
        host: Address to listen on; `127.0.0.1` is reached from this machine only.
        port: Port; 0 takes a free one.
        ready: Called with the address once requests are accepted.
        limits: The largest request that is answered.

    Raises:
        BundleError: The file is not one that `thawline export` wrote.
        UsageError: The address cannot be listened on.
    """
    app = make_app(open_onnx(path), limits or Limits())
    with _listener(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, limit_concurrency=MAX_CONNECTIONS
        )
        ready(f"http://{address}:{listener.getsockname()[1]}")
        with suppress(KeyboardInterrupt):  # the usual way to stop it
            uvicorn.Server(config).run(sockets=[listener])


def make_app(model: OnnxModel, limits: Limits) -> FastAPI:
    """Return the service as an ASGI application.

    `GET /health` returns the facts of the model; `POST /predict` takes the form field `pictures`, once or more often,
    and returns a row a picture in their order, as `thawline predict --json` does; a picture that cannot be read gets a
    row with its error. Status 422: none could be read; 413: too much; 411: the request has no length. `GET /` is a page
    to try it.
    """
    app = FastAPI(title="Thawline", version=__version__, docs_url=None, redoc_url=None)
    page, turns = PAGE.read_text(encoding="utf-8"), BoundedSemaphore(MAX_AT_ONCE)
    facts = model.facts

    @app.middleware("http")
    async def bound(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refusal = _too_long(request, limits)
        response = refusal or await answer(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {
            "status": "ready",
            "thawline": __version__,
            "strategy": facts.strategy,
            "backbone": facts.backbone,
            "manifest_seal": facts.manifest_seal,
            "class_names": facts.class_names,
            "limits": asdict(limits),
        }

    @app.post("/predict")
    def predict(pictures: list[UploadFile]) -> JSONResponse:
        if len(pictures) > limits.max_pictures:
            raise HTTPException(
                413, f"{len(pictures):,} pictures are more than the {limits.max_pictures} allowed in a request"
            )
        rows: list[Prediction] = []
        for number, picture in enumerate(pictures, start=1):
            with turns:
                name, data = picture.filename or f"picture {number}", picture.file.read()
                rows.append(model.predict(name, data, max_megapixels=limits.max_megapixels))
        status = 422 if all(row.error for row in rows) else 200
        return JSONResponse({"predictions": [row.to_json() for row in rows]}, status)

    @app.get("/", response_class=HTMLResponse)
    async def front() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer"})

    return app


def _too_long(request: Request, limits: Limits) -> JSONResponse | None:
    """Return the refusal of a body that is too long or has no stated length, before any of it is read."""
    if request.method not in {"POST", "PUT", "PATCH"}:
        return None
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return JSONResponse({"detail": "the request must state its length (Content-Length)"}, 411)
    if int(length) > limits.max_request_bytes:
        detail = f"{int(length):,} bytes are more than the {limits.max_request_bytes:,} allowed in a request"
        return JSONResponse({"detail": detail}, 413)
    return None


def _listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; a port that is taken is an error here, not a line in uvicorn's log."""
    try:
        if not 0 <= port < 65_536:
            raise OSError(None, "there is no such port")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise UsageError(
            f"serve: {host}:{port} cannot be listened on: {error.strerror}. Choose another --port (0 takes a free one) "
            "or another --host."
        ) from None
