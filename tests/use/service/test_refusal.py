"""A refusal says why in JSON, whatever it says, and carries what every reply does."""

from __future__ import annotations

import json

from thawline.use.service.refusal import SAFE_HEADERS, RefusedError, busy


def test_a_refusal_is_json_with_the_headers_of_every_reply():
    refusal = RefusedError(413, 'too "long" – träne 🦜', {"x-more": "1", "cache-control": "max-age=1"})
    headers = {name.decode(): value.decode() for name, value in refusal.raw_headers()}
    assert json.loads(refusal.body()) == {"detail": 'too "long" – träne 🦜'}
    assert json.loads(refusal.body("/v2/models/a")) == dict.fromkeys(("detail", "error"), refusal.reason)
    length = dict(refusal.raw_headers("/v2"))[b"content-length"]
    assert int(length) == len(refusal.body("/v2")) > len(refusal.body())
    assert headers == {
        **SAFE_HEADERS,
        "content-type": "application/json",
        "content-length": str(len(refusal.body())),
        "x-more": "1",
        "cache-control": "max-age=1",
    }
    assert (refusal.status, str(refusal)) == (413, 'too "long" – träne 🦜')


def test_who_is_turned_away_under_load_learns_when_to_come_back():
    refusal = busy("too many wait", retry_s=7)
    assert (refusal.status, refusal.headers) == (503, {"retry-after": "7"})
    assert refusal.reason == "the service is busy: too many wait; try again in 7 s"
