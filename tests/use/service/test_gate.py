"""The gate: what a request says is checked, what it sends is counted and timed, all replies have the same headers."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import ClientDisconnect

from thawline.use.service import gate as gate_module
from thawline.use.service.access import Access
from thawline.use.service.gate import Gate, Limits
from thawline.use.service.refusal import SAFE_HEADERS, RefusedError

LIMITS = Limits(max_request_bytes=1000)


async def reading(scope, receive, send):
    """Read a body to its end and return its length."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-security-policy", b"own")]})
    await send({"type": "http.response.body", "body": str(length).encode()})


def ask(gate, pieces=(b"",), *, headers=(), method="POST", path="/predict", pause_s=0.0, version="1.1"):
    """Send one request to a gate; return status, headers and body of the reply."""
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "path": path,
        "headers": [(b"host", b"localhost"), *headers],
        "server": ("127.0.0.1", 8000),
    }
    left, sent = list(pieces), []

    async def receive():
        await asyncio.sleep(pause_s)
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    if not sent:
        return None
    start, body = sent
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"]


def length(number):
    return [(b"content-length", str(number).encode())]


def detail(reply):
    return reply[0], json.loads(reply[2])["detail"]


def test_a_reply_keeps_its_own_headers_and_gains_the_safe_ones():
    status, headers, body = ask(Gate(reading, Access(), limits=LIMITS), [b"x" * 600, b"x" * 400], headers=length(1000))
    assert (status, body) == (200, b"1000")
    assert len(headers.pop("x-request-id")) == 32
    assert headers == {**SAFE_HEADERS, "content-security-policy": "own"}


def test_a_request_has_the_name_that_its_client_gave_it_where_that_is_plain():
    ended = []
    gate = Gate(reading, Access(token="right"), limits=LIMITS, end=ended.append)
    for sent, status in ((b"order-7", 401), (b"a b", 401), (b"x" * 65, 401)):
        name = [(b"x-request-id", sent)]
        found, headers, _ = ask(gate, headers=[*length(0), *name])
        assert found == status
        assert (headers["x-request-id"] == sent.decode()) == (sent == b"order-7")
    right = [(b"authorization", b"Bearer right")]
    ask(gate, [b"1234"], headers=[*length(4), *right])
    assert [(one.path, one.method, one.status, one.num_pictures) for one in ended] == [
        *[("/predict", "POST", 401, 0)] * 3,
        ("/predict", "POST", 200, 0),
    ]
    assert ended[0].request_id == "order-7"
    assert all(one.seconds >= 0 for one in ended)


def test_a_client_that_leaves_is_noted_as_that():
    async def leaving(scope, receive, send):
        raise ClientDisconnect

    ended = []
    assert ask(Gate(leaving, Access(), limits=LIMITS, end=ended.append), headers=length(0)) is None
    assert [one.status for one in ended] == [499]


def test_a_refusal_below_v2_is_an_error_of_that_protocol():
    gate = Gate(reading, Access(token="right"), limits=LIMITS)
    for path in ("/v2", "/v2/models/a"):
        assert "error" in json.loads(ask(gate, headers=length(0), path=path)[2])
    assert "error" not in json.loads(ask(gate, headers=length(0), path="/v2x")[2])


def test_a_body_is_counted_as_it_arrives_whatever_it_says():
    gate = Gate(reading, Access(), limits=LIMITS)
    chunked = [(b"transfer-encoding", b"chunked")]
    said = detail(ask(gate, [b"x" * 600, b"x" * 401, b"x" * 9000], headers=[*length(10), *chunked]))
    assert said == (413, "1,001 bytes are more than the 1,000 allowed in a request")
    assert detail(ask(gate, [b"x" * 2000], headers=length(10), method="GET"))[0] == 413
    assert gate.held_bytes == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_of_unknown_or_stated_length_is_refused_before_it_is_read(method):
    gate = Gate(None, Access(), limits=LIMITS)
    unknown = (411, "the request must state its length (Content-Length)")
    for headers in (
        [],
        [(b"transfer-encoding", b"chunked")],
        length("+5"),
        length("5 "),
        length(""),
        length("²"),
        [*length(5), *length(5)],
    ):
        assert detail(ask(gate, headers=headers, method=method)) == unknown
    assert detail(ask(gate, headers=length(1001), method=method))[0] == 413
    assert detail(ask(gate, headers=length("9" * 6000), method=method))[0] == 413
    assert detail(ask(gate, headers=[(b"transfer-encoding", b"chunked")], method="GET")) == unknown


def test_bodies_of_all_requests_together_are_bounded(monkeypatch):
    monkeypatch.setattr(gate_module, "MAX_BODIES_BYTES", 1500)
    gate = Gate(reading, Access(), limits=LIMITS)
    gate.held_bytes = 600
    stated = ask(gate, [b""], headers=length(901))
    arrived = ask(gate, [b"x" * 500, b"x" * 401], headers=length(900))
    for reply in (stated, arrived):
        assert detail(reply) == (503, "the service is busy: other requests fill its memory; try again in 2 s")
        assert reply[1]["retry-after"] == "2"
    assert ask(gate, [b"x" * 900], headers=length(900))[0] == 200
    assert gate.held_bytes == 600


def test_a_body_that_stops_is_refused_and_its_connection_closed(monkeypatch):
    monkeypatch.setattr(gate_module, "BODY_S", 0.05)
    gate = Gate(reading, Access(), limits=LIMITS)
    reply = ask(gate, [b"x"] * 100_000, headers=length(1000), pause_s=0.001)
    assert detail(reply)[0] == 408
    assert "the request's body stopped after " in detail(reply)[1]
    assert reply[1]["connection"] == "close"
    assert gate.held_bytes == 0


def test_a_body_that_comes_fast_enough_has_more_time(monkeypatch):
    monkeypatch.setattr(gate_module, "BODY_S", 0.0)
    monkeypatch.setattr(gate_module, "MIN_BYTES_PER_S", 1e-3)
    assert ask(Gate(reading, Access(), limits=LIMITS), [b"x"], headers=length(1))[0] == 408  # nothing had arrived
    monkeypatch.setattr(gate_module, "BODY_S", 30.0)
    assert ask(Gate(reading, Access(), limits=LIMITS), [b"x", b"y"], headers=length(2), pause_s=0.01)[0] == 200


def test_a_host_that_is_not_ours_a_foreign_page_and_a_target_that_is_no_path_are_refused():
    gate = Gate(reading, Access(), limits=LIMITS)
    assert ask(gate, method="GET", headers=[(b"host", b"evil.example")])[0] == 400
    assert ask(gate, method="GET", headers=[(b"origin", b"https://evil.example")])[0] == 403
    for path in ("http://localhost/health", "*", "", "localhost:80"):
        assert detail(ask(gate, method="GET", path=path)) == (
            400,
            "the request's target must be a path, such as /predict",
        )


def test_only_the_page_is_open_without_the_token():
    gate = Gate(reading, Access(token="right"), limits=LIMITS)
    right = [(b"authorization", b"Bearer right")]
    assert [ask(gate, method="GET", path=path)[0] for path in ("/", "//", "/health", "/predict")] == [
        200,
        401,
        401,
        401,
    ]
    assert ask(gate, method="GET", headers=right)[0] == 200


def test_who_hangs_up_gets_nothing_and_a_refusal_after_the_reply_began_is_not_sent():
    async def gone(scope, receive, send):
        raise ClientDisconnect

    async def late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun"})
        raise RefusedError(400, "too late")

    assert ask(Gate(gone, Access(), limits=LIMITS), method="GET") is None
    assert ask(Gate(late, Access(), limits=LIMITS), method="GET")[2] == b"begun"


def test_web_sockets_are_closed_and_the_life_of_the_application_is_its_own():
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    gate = Gate(app, Access(), limits=LIMITS)
    asyncio.run(gate({"type": "lifespan"}, None, send))
    asyncio.run(gate({"type": "websocket"}, None, send))
    assert (seen, sent) == (["lifespan"], [{"type": "websocket.close", "code": 1008}])
