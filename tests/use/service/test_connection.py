"""Connections over real sockets: nobody holds one by being slow, and a newcomer is answered in any crowd."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from contextlib import suppress

import pytest
import uvicorn

from thawline.use.service import connection as connection_module
from thawline.use.service.connection import GuardedProtocol

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
FIGURES = (
    "HEADER_S",
    "DRAIN_S",
    "REPLY_S",
    "LINGER_S",
    "HALF_SENT_S",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_A_CLIENT",
    "MAX_DRAINED_BYTES",
)


async def app(scope, receive, send):
    """Answer with the length of the body; without reading it where the path says so."""
    length, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message["body"]), message["more_body"]
    body = b"z" * (1 << 22) if scope["path"] == "/large" else str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A server in a thread."""

    def __init__(self):
        config = uvicorn.Config(
            app, http=GuardedProtocol, ws="none", log_config=None, lifespan="off", timeout_keep_alive=600
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([self.listener])))
        self.thread.start()

    def connect(self, first=b""):
        """Return a new connection that has sent something."""
        made = socket.create_connection(self.listener.getsockname(), timeout=600)
        made.sendall(first)
        return made

    def count(self, number):
        """Wait until there are so many connections."""
        while len(self.server.server_state.connections) != number:
            time.sleep(0.005)

    def stop(self):
        """Tell the server to stop, and wait until it has."""
        self.server.should_exit = True
        self.thread.join(600)
        assert not self.thread.is_alive()


@pytest.fixture
def service(monkeypatch, caplog):
    """Return a server whose figures the test may have changed; it must leave no line in the log."""
    running = Running()
    yield running
    running.stop()
    records = [*caplog.get_records("call"), *caplog.records]
    assert [record.getMessage() for record in records if record.levelname in {"ERROR", "CRITICAL"}] == []


def read(connection, num_bytes=0):
    """Return what arrives until the other end closes, or until there are so many bytes."""
    data = b""
    with suppress(ConnectionResetError):
        while (not num_bytes or len(data) < num_bytes) and (piece := connection.recv(1 << 16)):
            data += piece
    return data


def statuses(data):
    return [int(number) for number in re.findall(rb"HTTP/1\.1 (\d+)", data)]


def answer(connection):
    """Return status and body of the next reply."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1 << 16)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return statuses(head)[0], body


def test_requests_are_answered_one_after_the_other_on_a_connection(service):
    with service.connect(
        GET + POST + b"0123456789" + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    ) as connection:
        assert re.findall(rb"\r\n\r\n(\d+)", read(connection)) == [b"0", b"10", b"0"]
    with service.connect() as connection:
        for _ in range(3):
            connection.sendall(POST)
            connection.sendall(b"01234")
            connection.sendall(b"56789")
            assert answer(connection) == (200, b"10")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (POST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"5\r\nabcde\r\n", 400),
        (CHUNKED.replace(b"1.1", b"1.0") + b"5\r\nabcde\r\n0\r\n\r\n", 400),
        (CHUNKED + b"zz\r\nabcde", 400),
        (CHUNKED + b"1\r\nx\r\n" * 4000, 400),
        (POST.replace(b"10\r\n", b"10\r\nContent-Length: 11\r\n"), 400),
        (CHUNKED.replace(b"chunked", b"gzip, chunked"), 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000, 431),
        (b"GET /" + b"y" * 20_000, 431),
    ],
)
def test_what_is_not_http_is_refused_in_json_and_ends_the_connection(service, data, status):
    with service.connect(data) as connection:
        reply = read(connection)
    assert statuses(reply) == [status]
    assert b"connection: close" in reply.lower()
    assert b"x-content-type-options: nosniff" in reply
    assert reply.split(b"\r\n\r\n")[1].startswith(b'{"detail": "the ')
    service.count(0)


@pytest.mark.parametrize(
    "data",
    [
        b"HEAD / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HEAD /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_refusal_of_a_request_for_a_header_is_a_header(service, data):
    with service.connect(data) as connection:
        reply = read(connection)
    assert statuses(reply) == [400]
    assert reply.endswith(b"\r\n\r\n")


def test_a_refusal_after_a_request_for_a_header_has_a_body(service):
    with service.connect(b"HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\nGARBAGE\r\n\r\n") as connection:
        reply = read(connection)
    assert statuses(reply) == [200, 400]
    assert reply.endswith(b'as it must be"}')


def test_a_body_in_small_pieces_that_are_not_crumbs_is_read(service):
    with service.connect(
        CHUNKED + b"40\r\n" + b"x" * 64 + b"\r\n" + (b"40\r\n" + b"x" * 64 + b"\r\n") * 3000 + b"0\r\n\r\n"
    ) as connection:
        assert answer(connection) == (200, str(3001 * 64).encode())


def test_a_header_that_does_not_come_ends_the_connection(monkeypatch, service):
    monkeypatch.setattr(connection_module, "HEADER_S", 0.2)
    with service.connect() as silent, service.connect(b"GET / HTTP/1.1\r\nX") as slow:
        assert read(silent) == b""
        while slow.fileno() > 0:
            try:
                slow.sendall(b"x")
            except OSError:
                break
            time.sleep(0.02)
        assert statuses(read(slow)) in ([408], [])
    with service.connect(b"GET / HTTP/1.1\r\nX") as slow:
        assert statuses(read(slow)) == [408]
    with service.connect(GET) as second:
        assert answer(second)[0] == 200
        second.sendall(b"GET / HT")
        assert statuses(read(second)) == [408]
    service.count(0)


def test_a_body_that_was_answered_is_thrown_away_for_a_while(monkeypatch, service):
    head = b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
    with service.connect(head) as connection:
        assert answer(connection) == (200, b"0")
        connection.sendall(b"x" * 3_000_000 + GET)
        assert answer(connection) == (200, b"0")
    monkeypatch.setattr(connection_module, "DRAIN_S", 0.1)
    with service.connect(head) as connection:
        assert answer(connection) == (200, b"0")
        assert read(connection) == b""
    monkeypatch.setattr(connection_module, "DRAIN_S", 600)
    monkeypatch.setattr(connection_module, "MAX_DRAINED_BYTES", {"drain": 1 << 20, "closing": 1 << 20})
    for start in (head, b"GARBAGE\r\n\r\n"):
        with service.connect(start) as connection, pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(b"x" * 300_000_000)
    service.count(0)


def test_a_client_that_does_not_take_its_reply_is_cut_off(monkeypatch, service):
    monkeypatch.setattr(connection_module, "REPLY_S", 0.2)
    with service.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        connection.sendall(GET.replace(b"/x", b"/large") * 20)
        service.count(1)
        service.count(0)


def test_a_newcomer_is_answered_however_many_are_silent(monkeypatch, service):
    monkeypatch.setattr(connection_module, "MAX_CONNECTIONS_A_CLIENT", 6)
    half = [service.connect(POST + b"0123") for _ in range(2)]
    service.count(2)
    silent = [service.connect() for _ in range(9)]
    with service.connect(GET) as connection:
        assert answer(connection) == (200, b"0")
    for one in silent[:6]:  # they had waited longest
        reply = read(one)
        assert statuses(reply) == [503]
        assert b"retry-after: 2\r\n" in reply
    half[0].sendall(b"456789")
    assert answer(half[0]) == (200, b"10")
    for one in (*half, *silent):
        one.close()


def test_a_crowd_of_many_clients_makes_room_too(monkeypatch, service):
    monkeypatch.setattr(connection_module, "MAX_CONNECTIONS", 4)
    silent = [service.connect() for _ in range(4)]
    service.count(4)
    with service.connect(GET) as connection:
        assert answer(connection) == (200, b"0")
        assert statuses(read(silent[0])) == [503]
    for one in silent:
        one.close()


def test_a_request_that_must_give_way_while_it_is_sent_is_answered_with_503(monkeypatch, service):
    monkeypatch.setattr(connection_module, "MAX_CONNECTIONS", 1)
    with service.connect(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n") as older:
        service.count(1)
        with service.connect(GET) as newer:
            assert answer(newer) == (200, b"0")
        older.sendall(b"x" * 900_000)
        assert statuses(read(older)) == [503]


def test_those_that_leave_are_cut_off_where_they_are_too_many_themselves(monkeypatch, service):
    monkeypatch.setattr(connection_module, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(connection_module, "MAX_LEAVING", 2)
    monkeypatch.setattr(connection_module, "LINGER_S", 600)
    silent = []
    for number in range(6):
        silent.append(service.connect())
        service.count(min(number + 1, 3))
    assert [statuses(read(one)) for one in silent[:5]] == [[503], [503], [], [], []]
    for one in silent:
        one.close()


def test_where_all_are_being_answered_the_next_is_refused(monkeypatch, service):
    monkeypatch.setattr(connection_module, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(GuardedProtocol, "is_waiting", lambda self: False)
    busy = [service.connect() for _ in range(2)]
    service.count(2)
    with service.connect() as connection:
        reply = read(connection)
    assert statuses(reply) == [503]
    assert b"retry-after: 2\r\n" in reply
    for one in busy:
        one.close()


def test_a_request_that_is_on_its_way_when_the_service_is_told_to_stop_is_answered(monkeypatch):
    monkeypatch.setattr(connection_module, "JUST_OPENED_S", 600)
    running = Running()
    with running.connect() as opened, running.connect(GET[:9]) as begun:
        running.count(2)
        running.server.should_exit = True
        while running.listener.fileno() != -1:
            time.sleep(0.005)
        time.sleep(0.05)
        opened.sendall(GET)
        begun.sendall(GET[9:])
        for one in (opened, begun):
            assert answer(one) == (200, b"0")
            assert read(one) == b""
    running.stop()


def test_a_service_that_is_told_to_stop_does_not_wait_for_half_a_body(monkeypatch, caplog):
    monkeypatch.setattr(connection_module, "HALF_SENT_S", 0.2)
    running = Running()
    with running.connect(POST + b"half") as half, running.connect(b"GET /") as header, running.connect() as silent:
        with running.connect(POST) as honest:
            running.count(4)
            running.server.should_exit = True
            honest.sendall(b"0123456789")
            assert answer(honest) == (200, b"10")
        running.stop()
        assert [read(one) for one in (half, header, silent)] == [b""] * 3
    assert "Traceback" not in caplog.text
