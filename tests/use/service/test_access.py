"""Who may speak to the service: the names it is called by, the token, and the address it listens on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from thawline.core.errors import UsageError
from thawline.use.service.access import Access, host_name, is_loopback, listen, read_token
from thawline.use.service.refusal import RefusedError

OURS = Access(frozenset({"pictures.example.org", "fe80::1"}))


def status(*hosts, origin=None, version="1.1", arrived_at="192.0.2.5"):
    """Return the status of a refusal by names; None for none."""
    try:
        OURS.check_names(hosts, origin, version=version, arrived_at=arrived_at)
    except RefusedError as refusal:
        return refusal.status
    return None


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8000", "localhost.:1", "127.0.0.1:8000", "127.8.9.1", "[::1]", "[::1]:8000",
     "192.0.2.5:8000", "pictures.example.org", "PICTURES.example.org.:443", "[fe80::1]:80"],
)  # fmt: skip
def test_names_of_this_machine_and_allowed_ones_are_ours(host):
    assert status(host) is None
    assert status("localhost", origin=f"http://{host}") is None
    assert status("localhost", origin=f"https://{host}") is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", " ", "127.0.0.1:x",
     "[::1", "::1", "127.1", "user@127.0.0.1", "127.0.0.1/x", "127.0.0.1\0", "localhost, evil.example", "192.0.2.6",
     "0.0.0.0", "x.pictures.example.org", "localhost:999999"],
)  # fmt: skip
def test_other_names_are_refused_as_host_and_as_origin(host):
    assert status(host) == 400
    assert status("localhost", origin=f"http://{host}") == 403


def test_a_page_without_an_origin_of_its_own_is_another_sites_page():
    assert status("localhost", origin="null") == 403
    assert status("localhost", origin="file://") == 403


def test_one_host_is_required_but_in_http_1_0():
    assert status() == 400
    assert status("localhost", "evil.example") == 400
    assert status(version="1.0") is None
    assert status("evil.example", version="1.0") == 400


def test_a_token_is_compared_whole():
    access = Access(token="träne-42")
    access.check_token("Bearer träne-42")
    access.check_token("bearer  träne-42 ")
    for shown in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer träne-4",
        "Bearer träne-422",
        "Basic träne-42",
        "träne-42",
        "Bearer \udcff",
    ):
        with pytest.raises(RefusedError) as refusal:
            access.check_token(shown)
        assert (refusal.value.status, refusal.value.headers) == (401, {"www-authenticate": "Bearer"})
    Access().check_token(None)
    assert "42" not in repr(access)


def test_hosts_to_allow_lose_port_and_capitals_and_wildcards_are_refused():
    assert [host_name(text) for text in ("Example.ORG:8000", "::1", "[fe80::1]:9", "a_b.lan.")] == [
        "example.org",
        "::1",
        "fe80::1",
        "a_b.lan",
    ]
    for text in ("*", "*.example.org", "http://example.org", "", "a b"):
        with pytest.raises(UsageError, match=r"^serve: --allowed-host .* is neither a name nor an address\. Give"):
            host_name(text)


def test_only_addresses_of_the_loopback_are_loopback():
    assert [is_loopback(text) for text in ("127.0.0.1", "127.3.4.5", "::1")] == [True] * 3
    assert [is_loopback(text) for text in ("localhost", "0.0.0.0", "::", "10.0.0.1", "", "::ffff:10.0.0.1")] == [
        False
    ] * 6


def test_a_token_file_is_read_without_what_editors_add(tmp_path):
    file = tmp_path / "token"
    file.write_bytes(b"\n  a-Token_42+/=  \r\n")
    file.chmod(0o600)
    assert read_token(file) == "a-Token_42+/="


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is empty\. Write a token into it"),
        (b" \n\t\n", r"is empty\. Write a token into it"),
        (b"two words", r"holds no token: one line of at most 4,096"),
        (b"two\nlines", r"holds no token"),
        ("träne".encode(), r"holds no token"),
        (b"a\0b", r"holds no token"),
        (b"a" * 4097, r"holds no token"),
    ],
)
def test_a_file_without_a_token_is_refused_in_a_sentence(tmp_path, content, reason):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UsageError, match=rf"^serve: the token file .*token {reason}") as refusal:
        read_token(file)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602, 0o604])
def test_a_file_of_ours_that_others_can_read_or_write_is_refused(tmp_path, mode, monkeypatch):
    file = tmp_path / "token"
    file.write_bytes(b"secret")
    file.chmod(mode)
    with pytest.raises(UsageError, match=rf"is open to others \(mode {mode:o}\)\. Run `chmod 600 "):
        read_token(file)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert read_token(file) == "secret"  # a container's secret, which belongs to somebody else


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"^serve: the token file .*none cannot be read: No such file.*openssl rand -hex 32"
    ):
        read_token(tmp_path / "none")
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_token(tmp_path)
    with pytest.raises(UsageError, match=r"/dev/null is not a file"):
        read_token(Path("/dev/null"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_this_machine_alone_may_be_let_in_without_a_token(host):
    with listen(host, 0, is_guarded=False) as listener:
        assert is_loopback(listener.getsockname()[0])
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "0"])
def test_others_are_let_in_with_a_token_only(host):
    with pytest.raises(
        UsageError, match=r"^serve: \S+ lets other machines in, and no token is set\. Pass --token-file"
    ):
        listen(host, 0, is_guarded=False)
    with listen(host, 0, is_guarded=True) as listener:
        assert listener.getsockname()[0] in {"0.0.0.0", "::"}


def test_an_address_that_cannot_be_listened_on_is_told():
    with listen("127.0.0.1", 0, is_guarded=False) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} cannot be listened on: .*Choose another --port"):
            listen("127.0.0.1", port, is_guarded=False)
    with pytest.raises(UsageError, match=r"203\.0\.113\.7:0 cannot be listened on"):
        listen("203.0.113.7", 0, is_guarded=True)
    for host in ("a" * 70 + ".example", "no such name", "a\0b"):
        with pytest.raises(UsageError, match=r"cannot be listened on: "):
            listen(host, 0, is_guarded=True)
    for port in (-1, 65_536):
        with pytest.raises(UsageError, match=rf"{port} cannot be listened on: there is no such port\. Choose"):
            listen("127.0.0.1", port, is_guarded=False)
