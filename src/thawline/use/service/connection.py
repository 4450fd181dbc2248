"""A connection -> requests for the application, with deadlines, and room for whoever comes next.

One idea: uvicorn reads and writes HTTP, and this class of its protocol adds what it leaves to a proxy. Nobody holds a
connection by being slow: the header, the reply and the end each have their time (the body's is in `gate`). Where
connections are scarce, the one that has waited longest without a whole request is closed, and a newcomer is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from thawline.use.service.refusal import CLOSING, RefusedError, busy

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["DRAIN_S", "HALF_SENT_S", "HEADER_S", "IDLE_S", "LINGER_S", "REPLY_S", "GuardedProtocol"]

MAX_CONNECTIONS = 2048
MAX_CONNECTIONS_A_CLIENT = 1024
"""Of one address; a proxy counts as one client."""

MAX_LEAVING = 1024
"""Connections that are being closed, each with a reply that says why; further ones are closed without."""

MAX_HEADER_BYTES = 16 << 10
MAX_PIECES, MIN_PIECE_BYTES = 2000, 32
"""A body may come in so many pieces; in more only if they are of this size on average, since each costs time."""

MAX_DRAINED_BYTES = {"drain": 64 << 20, "closing": 16 << 20}
"""Of a body that was answered already: read so that an honest client sees the reply, and thrown away."""

HEADER_S = 10.0
IDLE_S = 5
DRAIN_S = 10.0
REPLY_S = 60.0
LINGER_S = 2.0
HALF_SENT_S = 3.0
JUST_OPENED_S = 0.2
"""Seconds for: a request's header; the next request; the rest of a body that was answered already; a client to take the
reply; what arrives after the last reply; a half-sent request, and the first byte of one, once the service was told to
stop."""

Phase = Literal["header", "request", "drain", "idle", "closing"]


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 on one connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        max_connections: int | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: _StrictConnection = _StrictConnection(h11.SERVER, MAX_HEADER_BYTES)
        self.peer, self.is_gone = "", False
        self._max_connections = max_connections or MAX_CONNECTIONS
        half = self._max_connections // 2 if max_connections else MAX_CONNECTIONS_A_CLIENT
        self._max_a_client = min(MAX_CONNECTIONS_A_CLIENT, half)
        self.since_s = 0.0
        self._phase: Phase | None = None
        self._num_drained = 0
        self._is_crowded_out = self._is_ending = False
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection; an older one makes room for it where there are too many."""
        lingering = _Lingering(transport, self._begin_closing)
        super().connection_made(lingering)  # type: ignore[arg-type]
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._enter("header")
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; after the last reply they are thrown away."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._look()
        self._num_drained += len(data)
        if self._num_drained > MAX_DRAINED_BYTES.get(self._phase or "", self._num_drained):
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on to the next request, or end where the service does."""
        super().on_response_complete()
        if self._is_ending and not self._is_answering():
            super().shutdown()
        self._look()

    def pause_writing(self) -> None:
        """Wait for a client that does not take its reply, a while."""
        self._write_timer = self.loop.call_later(REPLY_S, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on with a client that took its reply."""
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End the connection once its request is answered; one that is on its way has a few seconds to arrive."""
        if self.transport.is_closing() or self.conn.our_state is h11.ERROR:
            self.transport.abort()
            return
        if self._is_answering() and self.cycle.more_body:
            self.loop.call_later(HALF_SENT_S, self._drop_half_sent)
        if self._phase == "header" and not self._is_ending:
            self._is_ending = True  # its first byte, or the rest of its header, may be on the way
            self.loop.call_later(HALF_SENT_S if self.conn.trailing_data[0] else JUST_OPENED_S, self._end_unasked)
            return
        self._is_ending = True
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, as h11 says, or the header that does not end."""
        status = self.conn.hint
        reason = "the header is too long" if status == 431 else "the request is not HTTP/1.1 as it must be"
        self.refuse(RefusedError(431 if status == 431 else 400, reason))

    def refuse(self, refusal: RefusedError) -> None:
        """Send a refusal where no reply has begun, and close the connection."""
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = [*refusal.raw_headers(), *((k.encode(), v.encode()) for k, v in CLOSING.items())]
            reply = h11.Response(status_code=refusal.status, headers=headers, reason=HTTPStatus(refusal.status).phrase)
            body = b"" if self.conn.is_head else refusal.body()
            for event in (reply, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def is_waiting(self) -> bool:
        """Whether the client owes a request, or the rest of one."""
        return not self._is_answering() or self.cycle.more_body

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.disconnected

    def _make_room(self) -> None:
        """Close the connection that has waited longest where there are too many, or refuse this one."""
        all_open = [one for one in self.connections if isinstance(one, GuardedProtocol) and not one.is_gone]
        others = [one for one in all_open if one is not self]
        of_client = [other for other in others if other.peer == self.peer]
        if len(of_client) >= self._max_a_client:
            crowd = of_client
        elif len(others) >= self._max_connections:
            crowd = others
        else:
            return
        waiting = [other for other in crowd if other.is_waiting()]
        if waiting:
            oldest = min(waiting, key=lambda other: (other._is_answering(), other.since_s))
            oldest._give_way(num_leaving=len(self.connections) - len(all_open))
        else:
            self.refuse(busy("it has too many connections"))

    def _give_way(self, *, num_leaving: int) -> None:
        """End this connection for a newer one, with a reply: its request may be on the way."""
        self.is_gone = True  # uvicorn forgets it a moment later
        if num_leaving >= MAX_LEAVING:
            self.transport.abort()
            return
        self._is_crowded_out = True
        self.refuse(busy("it has too many connections"))

    def _look(self) -> None:
        """Start the clock of what the connection has come to."""
        if self.transport.is_closing():
            return
        if self._is_answering():
            self._enter("request")
        elif self.conn.their_state is h11.SEND_BODY:
            self._enter("drain")
        elif self.conn.their_state is h11.IDLE and self.cycle is not None and not self.conn.trailing_data[0]:
            self._enter("idle")
        else:
            self._enter("header")

    def _enter(self, phase: Phase) -> None:
        if phase == self._phase:
            return
        self._phase, self.since_s, self._num_drained = phase, self.loop.time(), 0
        if self._timer is not None:
            self._timer.cancel()
        seconds = {"header": HEADER_S, "drain": DRAIN_S, "idle": REPLY_S, "closing": LINGER_S}.get(phase)
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._end_phase)

    def _end_phase(self) -> None:
        """End a connection whose time is over."""
        if self._phase == "header" and self.conn.trailing_data[0]:
            self.refuse(RefusedError(408, f"the request's header was not complete after {HEADER_S:.0f} s"))
        elif self._phase == "closing" and self.transport.get_write_buffer_size():
            self._timer = self.loop.call_later(REPLY_S, self.transport.abort)
        else:
            self.transport.abort()

    def _begin_closing(self) -> bool:
        """Enter the last phase; return whether bytes of the client may still arrive."""
        self._enter("closing")
        is_sending = self.conn.their_state in {h11.SEND_BODY, h11.ERROR} or bool(self.conn.trailing_data[0])
        return is_sending or self._is_crowded_out

    def _end_unasked(self) -> None:
        """End a connection on which no request came, once the service was told to stop."""
        if self._phase == "header":
            self.transport.abort()

    def _drop_half_sent(self) -> None:
        if self._is_answering() and self.cycle.more_body:
            self.transport.abort()


class _StrictConnection(h11.Connection):
    """h11's reading of a connection, without what only attackers send.

    Attributes:
        hint: The status that h11 suggests for what it could not read.
        is_head: Whether the request is one for a header only, to which no reply has a body.
    """

    hint = 400
    is_head = False
    _num_pieces = _num_bytes = 0

    def start_next_cycle(self) -> None:
        """Begin with a request that is not known yet."""
        super().start_next_cycle()
        self.is_head = False

    def next_event(self) -> Any:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: Not HTTP/1.0 or 1.1, a body with two lengths, or one in crumbs.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.hint = error.error_status_hint
            raise
        if isinstance(event, h11.Request):
            self._num_pieces = self._num_bytes = 0
            self.is_head = event.method == b"HEAD"
            names = {name for name, _ in event.headers}
            is_chunked, version = b"transfer-encoding" in names, event.http_version
            if version not in {b"1.0", b"1.1"} or (is_chunked and (version == b"1.0" or b"content-length" in names)):
                raise h11.RemoteProtocolError("a body with two lengths, or another version of HTTP")
        elif isinstance(event, h11.Data):
            self._num_pieces += 1
            self._num_bytes += len(event.data)
            if self._num_pieces > MAX_PIECES and self._num_bytes < MIN_PIECE_BYTES * self._num_pieces:
                raise h11.RemoteProtocolError("a body in crumbs")
        return event


class _Lingering:
    """A transport that, when it is closed, sends what is left and waits for the client to end first.

    A socket that is closed with bytes unread resets the connection, and the client may never see the reply.
    """

    def __init__(self, transport: asyncio.Transport, begin_closing: Callable[[], bool]) -> None:
        self._transport = transport
        self._begin_closing = begin_closing
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is sent or read."""
        return self._is_closed or self._transport.is_closing()

    def close(self) -> None:
        """Close after what was written, and after what the client is still sending, or a while."""
        if self.is_closing():
            return
        self._is_closed = True
        if self._begin_closing() and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._is_closed = True
        self._transport.abort()
