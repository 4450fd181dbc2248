"""Forms with pictures: any character set is UTF-8, and a form that is damaged or does not end is refused as a whole."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from starlette.requests import Request

from thawline.use.service.gate import Limits
from thawline.use.service.refusal import RefusedError
from thawline.use.service.upload import read_pictures

EDGE = "multipart/form-data; boundary=edge"


def part(data=b"x", *, name=b"pictures", file=b'; filename="a.jpg"'):
    return b'--edge\r\nContent-Disposition: form-data; name="' + name + b'"' + file + b"\r\n\r\n" + data + b"\r\n"


def read(body, kind=EDGE, *, piece_bytes=7, max_pictures=3):
    """Return the pictures of a form that arrives in pieces."""
    pieces = [body[i : i + piece_bytes] for i in range(0, len(body), piece_bytes)] or [b""]

    async def receive():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"content-type", kind if isinstance(kind, bytes) else kind.encode())] if kind else []
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    return [(sent.name, sent.data) for sent in asyncio.run(read_pictures(request, Limits(max_pictures=max_pictures)))]


def refused(body, kind=EDGE, **words):
    with pytest.raises(RefusedError) as refusal:
        read(body, kind, **words)
    json.loads(refusal.value.body())
    return refusal.value.status, refusal.value.reason


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 10_000])
def test_names_and_bytes_come_in_order(piece_bytes):
    data = bytes(range(256)) * 3 + b"\r\n--edg\r\n-"
    body = (
        part(data)
        + part(b"", file=b'; filename=""')
        + part(b"z", name=b"other")
        + part(b"y", file='; filename="träne 🦜"'.encode())
    )
    assert read(body + b"--edge--\r\n", piece_bytes=piece_bytes) == [
        ("a.jpg", data),
        ("picture 2", b""),
        ("träne 🦜", b"y"),
    ]


@pytest.mark.parametrize(
    "charset",
    [
        "unicode_escape",
        "raw_unicode_escape",
        "utf-7",
        "utf-16",
        "idna",
        "punycode",
        "undefined",
        "base64",
        "rot13",
        "hex",
        "x" * 300,
        "",
        "latin-1",
    ],
)
def test_a_form_is_in_utf_8_whatever_it_claims(charset):
    names = [r"\ud800", "+2AA-", "träne", r"\N{BELL}", "xn--\u00fc"]
    for name in names:
        body = part(file=f'; filename="{name}"'.encode()) + b"--edge--"
        ((found, _),) = read(body, f"{EDGE}; charset={charset}")
        assert found == name
        json.dumps(found, ensure_ascii=False).encode()
    ((found, _),) = read(part(file=b'; filename="\xff\xfe"') + b"--edge--", f"{EDGE}; charset={charset}")
    assert found == "\xff\xfe"


def test_what_is_no_form_and_a_form_without_a_picture_are_told_apart():
    for kind in (
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=edge",
    ):
        assert refused(part() + b"--edge--", kind)[0] == 422
    assert refused(b"--edge--")[0] == 422
    assert refused(part(file=b"") + b"--edge--")[0] == 422
    assert refused(part() + part(file=b"") + b"--edge--")[0] == 422
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary"):
        assert refused(part() + b"--edge--", kind) == (400, "the form names no boundary between its parts")
    assert refused(part(), EDGE.replace("edge", "e" * 300))[0] == 400


@pytest.mark.parametrize("keep", [0, 1, 20, 70, -1, -5, -9])
def test_a_form_that_does_not_end_is_refused_as_a_whole(keep):
    whole = part(b"first") + part(b"second") + b"--edge--"
    assert refused(whole[:keep])[:1] == (400,)
    assert len(read(whole)) == 2


def test_many_pictures_are_too_many_and_many_more_parts_are_no_form():
    assert refused(part() * 4 + b"--edge--") == (413, "4 pictures are more than the 3 allowed in a request")
    assert refused(part() * 1001 + b"--edge--", piece_bytes=10_000)[0] == 400
    assert refused(part(file=b"") * 1001 + b"--edge--", piece_bytes=10_000)[0] == 400


def test_a_boundary_of_odd_signs_is_found_again():
    for edge in ('a"b', "a\\b", "a b", "é", "'", "(x)", "--"):
        quoted = edge.replace("\\", "\\\\").replace('"', '\\"')
        body = (part() + b"--edge--").replace(b"edge", edge.encode("latin-1"))
        assert read(body, f'multipart/form-data; boundary="{quoted}"'.encode("latin-1")) == [("a.jpg", b"x")]


def test_any_change_of_a_form_is_read_or_refused():
    rng = random.Random(3)
    whole = part(b"data" * 9) + part(b"more") + b"--edge--\r\n"
    outcomes = set()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 5)] = rng.choice([b"", b"\r\n", b"\0", b"--", b'"', b";", rng.randbytes(3)])
        try:
            for name, _ in read(bytes(data), piece_bytes=rng.choice([3, 50])):
                json.dumps(name, ensure_ascii=False).encode()
            outcomes.add(200)
        except RefusedError as refusal:
            outcomes.add(refusal.status)
    assert outcomes == {200, 400, 422}
