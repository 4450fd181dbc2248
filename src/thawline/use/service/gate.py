"""A request -> the application, or a refusal: by whom it is sent, how long its body is, how fast it arrives.

One idea: what a request says about itself is checked before any of it is read, and what it really sends is counted as
it arrives. Every reply that leaves through here has the same headers, errors included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from thawline.use.service.access import Access
from thawline.use.service.refusal import CLOSING, SAFE_HEADERS, RefusedError, busy
from thawline.use.service.request_log import Ended, request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_S", "MAX_BODIES_BYTES", "MIN_BYTES_PER_S", "Gate", "Limits"]

MAX_BODIES_BYTES = 128 << 20
"""Bodies of all requests together that are in memory at the same time."""

BODY_S = 20.0
MIN_BYTES_PER_S = 64 << 10
"""A body must be there after `BODY_S` seconds, and a second more for every so many bytes of it that arrived."""

OPEN_PATHS = frozenset({"/", "/v2/health/live", "/v2/health/ready"})
"""Answered without a token: a page that asks for it, and whether requests may be sent, for who shares them out."""

LEFT = 499
"""The status that is noted where the client left before it had one."""


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


class Gate:
    """An ASGI application that stands in front of another one.

    Attributes:
        app: The application behind it.
        access: Who is answered.
        limits: The largest request that is answered.
        held_bytes: Bytes of bodies in memory now.
    """

    def __init__(
        self, app: ASGIApp, access: Access, *, limits: Limits, end: Callable[[Ended], None] = lambda _: None
    ) -> None:
        """Stand in front of an application.

        Args:
            app: The application.
            access: Who is answered.
            limits: The largest request that is answered.
            end: Told of every request that is over.
        """
        self.app, self.access, self.limits, self._end = app, access, limits, end
        self.held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a refusal never reaches the application."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        begin_s, headers = time.perf_counter(), Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["request_id"] = name = request_id(headers.get("x-request-id"))
        reply = _Reply(send, name)
        body = _Body(self, receive)
        try:
            self._check(scope, headers)
            await self.app(scope, body.receive, reply.send)
        except RefusedError as refusal:
            await reply.refuse(refusal, scope["path"])
        except ClientDisconnect:
            pass  # nobody is left to answer
        finally:
            self.held_bytes -= body.num_bytes
            facts = (name, scope["method"], scope["path"], reply.status or LEFT)
            self._end(Ended(*facts, time.perf_counter() - begin_s, state.get("num_pictures", 0)))

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse a request by what it says about itself."""
        server = scope.get("server") or ("", 0)
        self.access.check_names(
            headers.getlist("host"), headers.get("origin"), version=scope["http_version"], arrived_at=server[0]
        )
        if not scope["path"].startswith("/"):
            raise RefusedError(400, "the request's target must be a path, such as /predict")
        if scope["path"] not in OPEN_PATHS:
            self.access.check_token(headers.get("authorization"))
        lengths = headers.getlist("content-length")
        if scope["method"] in {"POST", "PUT", "PATCH"} or "transfer-encoding" in headers:
            if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdecimal()):
                raise RefusedError(411, "the request must state its length (Content-Length)")
            num_bytes = int(lengths[0][:20])
            self.check_length(num_bytes, self.held_bytes + num_bytes)

    def check_length(self, num_bytes: int, held_bytes: int) -> None:
        """Refuse a body by its length, as it is stated or as it has arrived.

        Args:
            num_bytes: Of this body.
            held_bytes: Of all bodies, this one included.

        Raises:
            RefusedError: Status 413 or 503.
        """
        allowed = self.limits.max_request_bytes
        if num_bytes > allowed:
            raise RefusedError(413, f"{num_bytes:,} bytes are more than the {allowed:,} allowed in a request")
        if held_bytes > max(MAX_BODIES_BYTES, allowed):
            raise busy("other requests fill its memory")


class _Body:
    """The body of a request as it arrives, counted and timed."""

    def __init__(self, gate: Gate, receive: Receive) -> None:
        self.gate = gate
        self._receive = receive
        self._is_whole = False
        self._begin_s = asyncio.get_running_loop().time()
        self.num_bytes = 0

    async def receive(self) -> Message:
        """Return the next message; once the body is whole, wait for the client to hang up.

        Raises:
            RefusedError: Status 408, 413 or 503.
        """
        if self._is_whole:
            return await self._receive()
        until_s = self._begin_s + BODY_S + self.num_bytes / MIN_BYTES_PER_S
        try:
            async with asyncio.timeout_at(until_s):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, f"the request's body stopped after {self.num_bytes:,} bytes", CLOSING) from None
        piece = len(message.get("body", b""))
        self.num_bytes += piece
        self.gate.held_bytes += piece
        self.gate.check_length(self.num_bytes, self.gate.held_bytes)
        self._is_whole = not message.get("more_body", False)
        return message


class _Reply:
    """The reply to a request: the headers of all replies are added to it, and the name of the request.

    Attributes:
        status: What it begins with; 0 before it has begun.
    """

    def __init__(self, send: Send, name: str) -> None:
        self._send, self._name = send, name
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a message of the reply."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in SAFE_HEADERS.items():
                headers.setdefault(name, value)
            headers["x-request-id"] = self._name
            message = {**message, "headers": headers.raw}
        await self._send(message)

    async def refuse(self, refusal: RefusedError, path: str) -> None:
        """Send a refusal, unless a reply has begun.

        Args:
            refusal: Why.
            path: That was asked for.
        """
        if not self.status:
            start = {"type": "http.response.start", "status": refusal.status, "headers": refusal.raw_headers(path)}
            await self.send(start)
            await self._send({"type": "http.response.body", "body": refusal.body(path)})
