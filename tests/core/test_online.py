"""A host is reachable when it answers anything at all within seconds; a proxy is trusted."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from thawline.core import online
from thawline.core.online import is_reachable


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setattr(online, "getproxies", dict)


@contextmanager
def host(answer: bytes):
    """Give the address of a host that sends `answer` once and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with server.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/any/path"
        thread.join()


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "503 Busy"])
def test_any_answer_will_do(status):
    with host(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as address:
        assert is_reachable(address) is True


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_what_does_not_speak_http_does_not_answer(answer):
    with host(answer) as address:
        assert is_reachable(address) is False


def test_a_host_that_is_not_there_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert is_reachable(f"http://127.0.0.1:{port}") is False
    assert is_reachable(f"https://127.0.0.1:{port}") is False


def test_a_host_that_says_nothing_is_waited_for_only_briefly(monkeypatch):
    monkeypatch.setattr(online, "CONNECT_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert is_reachable(f"http://127.0.0.1:{server.getsockname()[1]}") is False


def test_where_a_proxy_is_set_it_is_trusted(monkeypatch):
    monkeypatch.setattr(online, "getproxies", lambda: {"https": "http://proxy"})
    assert is_reachable("https://host.invalid") is True
    assert is_reachable("http://127.0.0.1:9") is False  # no proxy for this scheme
