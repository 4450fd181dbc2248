"""A reason -> a refusal in JSON, with the headers that every reply of the service carries.

One idea: whoever refuses, the connection, the gate or the application, answers in the same form: a status and
`{"detail": …}`, with `error` where the Open Inference Protocol wants it, and no reply can be framed, sniffed, stored or
read by another site's page.
"""

from __future__ import annotations

import json

__all__ = ["CLOSING", "SAFE_HEADERS", "RefusedError", "busy"]

SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every reply carries that does not set it itself."""

CLOSING = {"connection": "close"}


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        reason: What is wrong, in one sentence.
        headers: Of the reply, besides those that every reply carries.
    """

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.headers = headers or {}

    def body(self, path: str = "") -> bytes:
        """Return the reply's body: JSON.

        Args:
            path: That was asked for; clients of the Open Inference Protocol read `error`.
        """
        facts = {"detail": self.reason}
        if path == "/v2" or path.startswith("/v2/"):
            facts["error"] = self.reason
        return json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")

    def raw_headers(self, path: str = "") -> list[tuple[bytes, bytes]]:
        """Return the reply's headers as they are sent, with a body for `path`."""
        own = {"content-type": "application/json", "content-length": str(len(self.body(path))), **self.headers}
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in {**SAFE_HEADERS, **own}.items()]


def busy(what: str, *, retry_s: int = 2) -> RefusedError:
    """Return the refusal under load, which says when to come back."""
    return RefusedError(503, f"the service is busy: {what}; try again in {retry_s} s", {"retry-after": str(retry_s)})
