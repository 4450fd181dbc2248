"""A cluster is joined as it is found, and one that is started here serves this machine alone."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from thawline.core.errors import ClusterError, UsageError
from thawline.work.cluster import ray_connection
from thawline.work.cluster.machines import is_reachable
from thawline.work.cluster.ray_connection import connected, require_ray


@pytest.fixture
def no_ray(monkeypatch):
    """Pretend that Ray is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)


def test_without_ray_the_extra_is_named(no_ray):
    with (
        pytest.raises(UsageError, match=r"--cluster local: Ray is needed .*pip install 'thawline\[cluster\]'"),
        connected("local"),
    ):
        pass


def test_usage_statistics_are_off_and_a_token_is_asked_for(monkeypatch):
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    require_ray("a test")
    assert (os.environ["RAY_USAGE_STATS_ENABLED"], os.environ["RAY_AUTH_MODE"]) == ("0", "token")


def test_what_a_person_set_stays(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    require_ray("a test")
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.parametrize("address", ["nonsense", "ray://host:10001", "host:port"])
def test_what_is_no_address_is_refused(address):
    with (
        pytest.raises(UsageError, match=rf"--cluster {re.escape(address)}: no address of a head.*HOST:PORT"),
        connected(address),
    ):
        pass


def test_nothing_at_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # bound, not listening
        with (
            pytest.raises(ClusterError, match=rf"--cluster {address}: nothing answers at {address}.*--cluster local"),
            connected(address),
        ):
            pass
        assert not is_reachable(address)


def test_nothing_at_the_address_of_the_environment(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with (
        pytest.raises(ClusterError, match=r"RAY_ADDRESS 127\.0\.0\.1:1: nothing answers at"),
        connected("auto"),
    ):
        pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("Version mismatch: The cluster was started with: Python: 3.12.1"), "runs other versions: .*3.12"),
        (RuntimeError("InvalidAuthToken: authentication failed"), "another token.*RAY_AUTH_TOKEN"),
        (ValueError("Can't find a `node_ip_address.json` file"), "none of the cluster's.*ray start --address"),
        (
            ConnectionError("Could not find any running Ray instance"),
            "no cluster runs on this machine.*--cluster local",
        ),
        (OSError("odd"), "cannot be joined: odd. Check its state with `ray status`"),
    ],
)
def test_a_cluster_that_refuses_says_what_to_do(error, message):
    refusal = ray_connection._refusal(require_ray("a test"), error, "--cluster h:1")
    assert re.search(f"^--cluster h:1: .*{message}", str(refusal))


@pytest.mark.slow
def test_a_local_cluster_listens_on_the_loopback_address_and_leaves_nothing(monkeypatch, recorded_progress):
    monkeypatch.setenv("THAWLINE_THREADS", "1")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with connected("local", progress=recorded_progress) as cluster:
        assert cluster.is_ours
        assert cluster.is_alive
        assert (cluster.num_workers, len(cluster.nodes)) == (1, 1)
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
        children = psutil.Process().children(recursive=True)
        listening = [
            at.laddr.ip
            for process in children
            for at in process.net_connections("tcp")
            if at.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
        with connected("auto") as same:  # what is there is used, and kept
            assert same.address == cluster.address
        assert cluster.is_alive
        theirs = Path(ray_connection.require_ray("a test")._private.worker._global_node.get_session_dir_path())
        assert theirs.is_dir()
        refused = subprocess.run(
            [sys.executable, "-c", _STRANGER.format(address=cluster.address)],
            env={**os.environ, "RAY_AUTH_TOKEN": "0" * 64},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "asks for another token" in refused.stdout, refused.stdout + refused.stderr[-2000:]
    psutil.wait_procs(children, timeout=600)
    assert not [process for process in children if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not theirs.exists()
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert recorded_progress.notes == ["cluster: started here, 1 processor"]


_STRANGER = """
from thawline.core.errors import ThawlineError
from thawline.work.cluster.ray_connection import connected
try:
    with connected("{address}"):
        print("let in")
except ThawlineError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_notebook_that_has_ray_already_starts_a_cluster_with_a_token():
    program = (
        "import ray\n"
        "from thawline.core.progress import SilentProgress\n"
        "from thawline.work.cluster.ray_connection import connected\n"
        "with connected('local', progress=SilentProgress()) as cluster: print(cluster.is_ours)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout.strip() == "True", done.stderr[-2000:]
