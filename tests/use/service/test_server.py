"""The server: it knows that it is about to end, and opens as many connections as the system lets it."""

from __future__ import annotations

import signal

import pytest

from thawline.use.service import server as server_module
from thawline.use.service.connection import MAX_CONNECTIONS, GuardedProtocol
from thawline.use.service.server import DrainingServer, allow_connections, server_config, stopped_by_sigterm

resource = pytest.importorskip("resource", reason="Windows has no such limits")


class Served:
    is_draining = False


def test_a_signal_is_known_to_the_service_at_once():
    served = Served()
    server = DrainingServer(server_config(lambda: None, max_connections=7), served)
    assert not server.should_exit
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    assert served.is_draining


def test_connections_are_told_their_limit():
    config = server_config(lambda: None, max_connections=20)
    assert config.http.func is GuardedProtocol
    assert config.http.keywords == {"max_connections": 20}


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "allowed"),
    [
        (1024, 1 << 20, 2 * MAX_CONNECTIONS + 256, MAX_CONNECTIONS),
        (1024, -1, 2 * MAX_CONNECTIONS + 256, MAX_CONNECTIONS),
        (-1, -1, None, MAX_CONNECTIONS),
        (1024, 1024, None, 384),
        (1024, 2000, 2000, 872),
        (100, 100, None, 16),
        (1 << 20, 1 << 20, None, MAX_CONNECTIONS),
    ],
)
def test_files_are_allowed_as_far_as_the_system_lets_it(monkeypatch, soft, hard, raised, allowed):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert allow_connections() == allowed
    assert asked == ([] if raised is None else [(raised, hard)])


def test_where_the_system_refuses_fewer_are_promised(monkeypatch):
    def refuse(_, limits):
        raise ValueError(limits)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1 << 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert allow_connections() == 384


def test_sigterm_ends_it_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert server_module.MAX_STOP_S == 30
