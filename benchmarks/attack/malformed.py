"""A seed -> malformed requests as bytes: shapes that are known to confuse servers, and mutations of a sound request."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["form", "malformed", "request"]

EDGE = b"edge-of-a-part"
METHODS = [
    b"GET",
    b"HEAD",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"PRI",
    b"get",
    b"G\0T",
    b"",
    b"A" * 900,
]
TARGETS = [
    b"/predict/",
    b"//predict",
    b"//evil.example/predict",
    b"/../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/%",
    b"/%zz",
    b"/%00",
    b"/%ff%fe",
    b"/predict?" + b"a=b&" * 500,
    b"/" + b"a" * 15_000,
    b"/" + b"a" * 70_000,
    b"http://evil.example/health",
    b"https://evil.example:99999/",
    b"*",
    b"evil.example:443",
    b"predict",
    b"\\predict",
    b"/predict#x",
    b"/pre dict",
    b"/\x80\xff",
    b"/openapi.json",
    b"/docs",
    b"/health/",
    b"/predict;x=1",
    b"",
    b"/\t",
    b"/a\rb",
    b"/.well-known/x",
    b"/static/../predict",
]
HEADERS = [
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 10",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: identity",
    b"Content-Length: 10\r\nContent-Length: 11",
    b"Content-Length: 10, 11",
    b"Content-Length: -1",
    b"Content-Length: +5",
    b"Content-Length: 1e3",
    b"Content-Length: 0x10",
    b"Content-Length: " + b"9" * 25,
    b"Content-Length: " + b"9" * 5000,
    b"Content-Length:",
    b"Content-Length: 99999999999",
    b"Content-Length: \xb2",
    b"Host: evil.example",
    b"Host: a\r\nHost: b",
    b"Host:",
    b"Host: 127.0.0.1:x",
    b"Host: [::1",
    b"Host: user@127.0.0.1",
    b"Host: 127.0.0.1\0.evil.example",
    b"Host: localhost.evil.example",
    b"Expect: 100-continue",
    b"Expect: nonsense",
    (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    ),
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    b"Connection: close, keep-alive, transfer-encoding",
    b"X: " + b"y" * 15_000,
    b"X: " + b"y" * 70_000,
    b"\r\n".join([b"A: b"] * 3000),
    b": no name",
    b"no colon",
    b"Na me: x",
    b"X: a\r\n folded",
    b"X: \0",
    b"X: \x7f\x80\xff",
    b"\xff\xfe: x",
    b"Origin: https://evil.example",
    b"Origin: null",
    b"Origin: \xff",
    b"Range: bytes=0-0,1-1,2-2",
    b"Accept-Encoding: " + b"gzip;q=0." + b"1" * 3000,
    b"Cookie: " + b"a=b; " * 1000,
    b"X-Forwarded-For: 1.2.3.4",
    b"X-Forwarded-Host: evil.example",
    b"Authorization: Bearer \xff",
    b"Authorization: " + b"A" * 9000,
    b"Content-Encoding: gzip",
    b"X-HTTP-Method-Override: DELETE",
    b"Referer: \xed\xa0\x80",
]
KINDS = [
    b"",
    b"multipart/form-data",
    b"multipart/form-data; boundary=",
    b'multipart/form-data; boundary="',
    b"multipart/form-data; boundary=\xff",
    b"multipart/form-data; boundary=" + b"b" * 300,
    b"multipart/mixed; boundary=" + EDGE,
    b"application/json",
    b"image/jpeg",
    b"application/x-www-form-urlencoded",
    b"text/plain; charset=utf-7",
    b"multipart/form-data; boundary=a; boundary=" + EDGE,
    b";;;=",
    b"multipart/form-data; " + b"x;" * 3000 + b" boundary=" + EDGE,
    b'multipart/form-data; boundary="' + b'\\"' * 100 + b'"',
    *(
        b"multipart/form-data; boundary=" + EDGE + b"; charset=" + name
        for name in (
            b"unicode_escape",
            b"raw_unicode_escape",
            b"utf-7",
            b"utf-16",
            b"utf-32",
            b"utf_8_sig",
            b"idna",
            b"punycode",
            b"base64",
            b"hex",
            b"zlib",
            b"rot13",
            b"undefined",
            b"mbcs",
            b"charmap",
            b"\xff",
            b"\0",
            b"x" * 300,
            b"../../x",
            b"hz",
            b"iso2022_jp",
            b"cp037",
        )
    ),
]
DISPOSITIONS = [
    b"",
    b"Content-Disposition: form-data",
    b"Content-Disposition: form-data; name=",
    b'Content-Disposition: form-data; name="pictures',
    b'Content-Disposition: form-data; name="pictures"',
    b'Content-Disposition: attachment; name="pictures"; filename="a"',
    b'Content-Disposition: form-data; name="pictures"; filename="' + b"a" * 3900 + b'"',
    b'Content-Disposition: form-data; name="x"; filename="a"',
    b'Content-Disposition: form-data; name="pictures"; filename="' + b"a" * 20_000 + b'"',
    b"Content-Disposition: form-data; name=\"pictures\"; filename*=utf-7''%2B2AA-",
    b"content-disposition:form-data;name=pictures;filename=a",
    b'Content-Disposition: form-data; name="pictures"; filename="\\ud800+2AA-"',
    b'Content-Disposition: form-data; name="pictures"; filename="\xff\xfe"',
    b'Content-Disposition: form-data; name="pictures"; filename="\0\x01\x7f"',
    b'Content-Disposition: form-data; name="pictures"; filename="a"\r\nX: y' * 9,
    b'Content-Disposition: form-data; name="pictures"; filename="a"\r\nContent-Transfer-Encoding: base64',
    b"Content-Disposition:",
    b"\0: \0",
    b"x",
    b'Content-Disposition: form-data; name="pictures"; filename="a"; filename="b"; name="c"',
    b"Content-Disposition: form-data; " + b"a=b;" * 900,
]


def form(
    parts: list[bytes], disposition: bytes = b'Content-Disposition: form-data; name="pictures"; filename="a.jpg"'
) -> bytes:
    """Return a form of one part a content."""
    pieces = [b"--" + EDGE + b"\r\n" + disposition + b"\r\n\r\n" + part + b"\r\n" for part in parts]
    return b"".join(pieces) + b"--" + EDGE + b"--\r\n"


def request(
    body: bytes,
    *,
    method: bytes = b"POST",
    target: bytes = b"/predict",
    version: bytes = b"HTTP/1.1",
    host: bytes = b"Host: 127.0.0.1\r\n",
    kind: bytes = b"multipart/form-data; boundary=" + EDGE,
    headers: tuple[bytes, ...] = (),
    length: bytes | None = None,
) -> bytes:
    """Return a request; by default a sound one."""
    lines = [method + b" " + target + b" " + version + b"\r\n" + host]
    if kind:
        lines.append(b"Content-Type: " + kind + b"\r\n")
    lines.append(b"Content-Length: %d\r\n" % len(body) if length is None else length)
    return b"".join([*lines, *(header + b"\r\n" for header in headers), b"\r\n", body])


def malformed(seed: int, picture: bytes, count: int) -> Iterator[bytes]:
    """Yield `count` malformed requests, the same for the same seed."""
    rng = random.Random(seed)
    makers = [_head, _framing, _kind, _parts, _mutated, _chunks, _pipelined, _noise]
    for _ in range(count):
        yield rng.choice(makers)(rng, picture)


def _head(rng: random.Random, picture: bytes) -> bytes:
    version = rng.choice(
        [b"HTTP/1.1"] * 6
        + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1.1 ", b"http/1.1", b"", b"HTTP/" + b"1" * 50]
    )
    body = rng.choice([b"", form([picture])])
    return request(
        body,
        method=rng.choice([b"GET", b"POST", *METHODS]),
        target=rng.choice([b"/predict", b"/health", b"/", *TARGETS]),
        version=version,
    )


def _framing(rng: random.Random, picture: bytes) -> bytes:
    chosen = tuple(rng.sample(HEADERS, rng.randint(1, 3)))
    length = None if rng.random() < 0.3 else b""
    host = (
        b"" if any(header.startswith(b"Host") for header in chosen) and rng.random() < 0.7 else b"Host: 127.0.0.1\r\n"
    )
    return request(form([picture]), headers=chosen, length=length, host=host)


def _kind(rng: random.Random, picture: bytes) -> bytes:
    return request(form([picture] * rng.randint(0, 2), rng.choice(DISPOSITIONS)), kind=rng.choice(KINDS))


def _parts(rng: random.Random, picture: bytes) -> bytes:
    num_parts = rng.choice([0, 1, 2, 33, 40, 999, 1001, 3000])
    part = picture if num_parts < 3 else rng.choice([b"", b"x", b"--", b"\r\n--" + EDGE[:-1]])
    body = form([part] * num_parts, rng.choice([DISPOSITIONS[4], DISPOSITIONS[5], rng.choice(DISPOSITIONS)]))
    cut = rng.choice([None, None, len(body) // 2, len(body) - 4, len(body) - 2, 5])
    return request(rng.choice([b"", b"preamble\r\n", b"\r\n" * 9]) + body[:cut] + rng.choice([b"", b"epilogue" * 50]))


def _mutated(rng: random.Random, picture: bytes) -> bytes:
    data = bytearray(request(form([picture])))
    head_end = data.index(b"\r\n\r\n") + 150
    for _ in range(rng.randint(1, 8)):
        at, kind = rng.randrange(head_end), rng.random()
        if kind < 0.5:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 0.7:
            del data[at : at + rng.randint(1, 9)]
        elif kind < 0.9:
            data[at:at] = rng.choice([b"\r\n", b"\0", b"\r", b"\n", b" ", b":", b";", b'"', b"%", rng.randbytes(5)])
        else:
            data[at:at] = data[at : at + rng.randint(1, 200)]
    return bytes(data[: rng.choice([None, None, rng.randrange(len(data))])])


def _chunks(rng: random.Random, picture: bytes) -> bytes:
    pieces = [
        b"5\r\nabcde\r\n",
        b"5;x=y\r\nabcde\r\n",
        b"5" + b";x" * 20_000,
        b"-5\r\nabcde\r\n",
        b"0x5\r\nabcde\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"5\nabcde\n",
        b"\r\n",
        b"zz\r\n",
        b"5\r\nabcdefgh\r\n",
        b"1\r\nx\r\n" * 5000,
        b"00000000000000000005\r\nabcde\r\n",
    ]
    end = rng.choice([b"0\r\n\r\n", b"0\r\nHost: x\r\n\r\n", b""])
    body = b"".join(rng.choices(pieces, k=rng.randint(1, 4))) + end
    target = rng.choice([b"/predict", b"/health", b"/nowhere"])
    return request(
        body,
        target=target,
        length=rng.choice([b"", b"Content-Length: 10\r\n"]),
        headers=(b"Transfer-Encoding: chunked",),
    )


def _pipelined(rng: random.Random, picture: bytes) -> bytes:
    requests = [
        request(b"", method=b"GET", target=b"/health", kind=b""),
        request(form([picture])),
        request(b"", method=b"HEAD", target=b"/"),
        request(b"x" * 5000, method=b"GET"),
        request(b"", target=b"/predict"),
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
    ]
    return b"".join(rng.choice(requests) for _ in range(rng.randint(2, 20)))


def _noise(rng: random.Random, picture: bytes) -> bytes:
    tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500)
    h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x12\x04\0\0\0\0\0" + rng.randbytes(18)
    socks, other = b"\x05\x01\x00", rng.randbytes(rng.choice([1, 20, 400, 20_000]))
    return rng.choice(
        [
            tls,
            h2,
            socks,
            b"SSH-2.0-x\r\n",
            b"\n" * 5000,
            b"\0" * 5000,
            b"GET\r\n\r\n",
            b"GET /\r\n\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            other,
        ]
    )
