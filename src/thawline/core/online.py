"""Whether a host answers: asked once and briefly before anything waits for a network that is not there."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit
from urllib.request import getproxies

__all__ = ["is_reachable"]

CONNECT_TIMEOUT_S = 3.0


def is_reachable(address: str) -> bool:
    """Return whether the host of `address` answers a request within seconds; a proxy, where one is set, is trusted."""
    parts = urlsplit(address)
    if parts.scheme in getproxies():
        return True
    kind = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
