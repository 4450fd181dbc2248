"""An address, a token file, allowed names -> a listening socket, and who may speak to it.

One idea: a service that only this machine can reach is open, and checks the name that it is called by, so that no web
page can point a name of its own at it; one that others can reach answers those who know a token.
"""

from __future__ import annotations

import hmac
import os
import re
import socket
import stat
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from thawline.core.errors import UsageError
from thawline.use.service.refusal import RefusedError

__all__ = ["BACKLOG", "Access", "host_name", "is_loopback", "listen", "read_token"]

BACKLOG = 1024
MAX_TOKEN_BYTES = 4096
HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?")
"""`Host` and what follows `//` in `Origin`: a name or an address, and perhaps a port."""


@dataclass(frozen=True)
class Access:
    """Who is answered.

    Attributes:
        hosts: Names and addresses, in small letters, that a request may call the service by, besides those of this
            machine's loopback and the address that the connection arrived at.
        token: What requests must show as `Authorization: Bearer …`; None: nothing.
    """

    hosts: frozenset[str] = frozenset()
    token: str | None = None

    def __repr__(self) -> str:
        return f"Access(hosts={sorted(self.hosts)}, token={'set' if self.token else None})"

    def check_names(self, hosts: Collection[str], origin: str | None, *, version: str, arrived_at: str) -> None:
        """Return if the request calls the service by a name of its own, and comes from no other site's page.

        Args:
            hosts: Every `Host` header.
            origin: The `Origin` header, which browsers add.
            version: Of HTTP; 1.0 needs no `Host`, and no browser speaks it.
            arrived_at: The address of this end of the connection.

        Raises:
            RefusedError: Status 400 or 403.
        """
        if hosts or version != "1.0":
            host = next(iter(hosts)) if len(hosts) == 1 else ""
            if not self._is_ours(host, arrived_at):
                raise RefusedError(
                    400,
                    "the Host header names no host of this service; `thawline serve --allowed-host NAME` allows one",
                )
        if origin is not None and not self._is_ours(re.sub(r"^https?://", "", origin), arrived_at):
            raise RefusedError(403, "the request comes from another site's page")

    def check_token(self, authorization: str | None) -> None:
        """Return if the token is right, or none is needed; how far a wrong one is right does not show in the time.

        Raises:
            RefusedError: Status 401.
        """
        if self.token is None:
            return
        scheme, _, shown = (authorization or "").partition(" ")
        is_right = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), self.token.encode())
        if scheme.lower() != "bearer" or not is_right:
            needed = "the token is wrong" if authorization else "a token is needed: Authorization: Bearer TOKEN"
            raise RefusedError(401, needed, {"www-authenticate": "Bearer"})

    def _is_ours(self, host: str, arrived_at: str) -> bool:
        """Whether a name or an address, with or without a port, is one of this service."""
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = (match["v6"] or match["name"]).lower().removesuffix(".")
        return name in self.hosts or name == "localhost" or name == arrived_at or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether a text is an address of this machine's loopback; a name is not."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def host_name(text: str) -> str:
    """Return the name or address in a text that a person gives as a host to allow, in small letters, without its port.

    Raises:
        UsageError: It is neither.
    """
    match = HOST.fullmatch(text) or HOST.fullmatch(f"[{text}]")
    if match is None:
        raise UsageError(
            f"serve: --allowed-host {text!r} is neither a name nor an address. Give each name that the service is "
            "called by, such as pictures.example.org, without http:// and without wildcards."
        )
    return (match["v6"] or match["name"]).lower().removesuffix(".")


def read_token(file: Path) -> str:
    """Return the token in a file.

    A file of our own must be closed to others; that of somebody else, as containers mount secrets, is taken as it is.

    Raises:
        UsageError: It cannot be read, is open to others, is empty, or holds no token.
    """
    what = f"serve: the token file {file}"
    try:
        with file.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UsageError(f"{what} is not a file. Name one that holds the token on a line.")
            data = stream.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be read: {error.strerror}. Write a token of your own into it: "
            f"`(umask 077; openssl rand -hex 32 > {file})`."
        ) from None
    if hasattr(os, "geteuid") and facts.st_uid == os.geteuid() and facts.st_mode & 0o077:
        raise UsageError(f"{what} is open to others (mode {facts.st_mode & 0o777:o}). Run `chmod 600 {file}`.")
    token = data.strip()
    if not token:
        raise UsageError(f"{what} is empty. Write a token into it, such as `openssl rand -hex 32` prints.")
    if len(data) > MAX_TOKEN_BYTES or not re.fullmatch(rb"[!-~]+", token):
        raise UsageError(
            f"{what} holds no token: one line of at most {MAX_TOKEN_BYTES:,} letters, digits and signs of ASCII, "
            "without spaces, is required. Write one such as `openssl rand -hex 32` prints."
        )
    return token.decode("ascii")


def listen(host: str, port: int, *, is_guarded: bool) -> socket.socket:
    """Return a listening socket; a port that is taken is an error here, not a line in a log.

    Args:
        host: Name or address to listen on.
        port: Port; 0 takes a free one.
        is_guarded: Whether requests must show a token; without one, only this machine may be let in.

    Raises:
        UsageError: The address cannot be listened on, or would let others in without a token.
    """
    try:
        if not 0 <= port < 65_536:
            raise OSError(None, "there is no such port")
        family, _, _, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if not is_guarded and not is_loopback(str(place[0])):
            raise UsageError(
                f"serve: {host or place[0]} lets other machines in, and no token is set. Pass --token-file FILE, with "
                "a token that they show as `Authorization: Bearer TOKEN`, or listen on 127.0.0.1."
            )
        return socket.create_server((str(place[0]), port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a name of a host"
        raise UsageError(
            f"serve: {host}:{port} cannot be listened on: {reason}. Choose another --port (0 takes a free one) "
            "or another --host."
        ) from None
