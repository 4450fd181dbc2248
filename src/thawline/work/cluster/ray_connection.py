"""`local`, `auto` or an address -> a Ray cluster to work on, which is left as it was found.

The one idea: what is started here serves this machine and this person alone. It listens on the loopback address, asks
for a token that is drawn at its start, tells nobody that it runs, and is stopped on leaving; a cluster that was running
before is joined and never stopped.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from thawline.core.counting import counted
from thawline.core.errors import ClusterError, UsageError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import num_workers
from thawline.work.cluster.machines import REACH_S, Cluster, brief, describe, is_reachable
from thawline.work.cluster.versions import require_same_versions

__all__ = ["Cluster", "connected", "require_ray"]

LOOPBACK = "127.0.0.1"
OBJECTS_BYTES = 1 << 30
QUIET: Any = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}


@contextmanager
def connected(address: str, *, progress: Progress | None = None) -> Iterator[Cluster]:
    """Yield the cluster at an address; what is started for it is stopped on leaving, what ran before goes on running.

    Within it, `ray` is ready for use. Where this process is connected already, that cluster is yielded and kept.

    Args:
        address: `local` starts one here with the processors that this process may use; `auto` takes the one that
            `RAY_ADDRESS` names or that runs on this machine; else HOST:PORT of a head.
        progress: Where it is told what was found.

    Raises:
        UsageError: Ray is not installed, or the address is none.
        ClusterError: Nothing answers there, the token is another, or its machines have other versions.
    """
    progress = progress or SilentProgress()
    ray = require_ray(f"--cluster {address}")
    if ray.is_initialized():
        yield describe(ray, is_ours=False)
        return
    is_ours = address == "local"
    with _safe_environment(has_own_token=is_ours), _own_folder() if is_ours else _no_folder() as folder:
        try:
            with _kept_signals():
                _start(ray, folder) if folder else _join(ray, address)
            cluster = describe(ray, is_ours=is_ours)
            if is_ours and not cluster.address.startswith((f"{LOOPBACK}:", "localhost:")):
                raise ClusterError(
                    f"cluster: Ray {ray.__version__} would listen at {cluster.address}, and {LOOPBACK} is required of "
                    "a local one. Install the version that Thawline was tested with: pip install 'ray[train]==2.60.*'."
                )
            if not is_ours:
                require_same_versions(ray, cluster)
            where = "started here" if is_ours else f"at {cluster.address}"
            machines = "" if is_ours else f" on {counted(len(cluster.nodes), 'machines')}"
            progress.note(f"cluster: {where}, {counted(cluster.num_workers, 'processors')}{machines}")
            yield cluster
        finally:
            with _kept_signals(), suppress(Exception):  # the head may be gone
                ray.shutdown()


def require_ray(doing: str) -> Any:
    """Return the module `ray`, set up to tell nobody that it runs and to ask for a token.

    Args:
        doing: What needs it, for the error.

    Raises:
        UsageError: It is not installed; names the extra.
    """
    is_late = "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault(
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
    )  # tasks without a GPU see what is there, no warning
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"{doing}: Ray is needed and cannot be loaded ({error}). Run `pip install 'thawline[cluster]'`, or leave "
            "--cluster out."
        ) from None
    if is_late:  # a notebook has imported it before: it keeps the settings that it saw then
        with suppress(ImportError, AttributeError):
            from ray import _raylet

            raylet: Any = _raylet
            raylet.Config.initialize("")
    return ray


@contextmanager
def _safe_environment(*, has_own_token: bool) -> Iterator[None]:
    """Give what is started here a token of its own, for as long as it runs."""
    before = os.environ.get("RAY_AUTH_TOKEN")
    if has_own_token:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    _forget_token()
    try:
        yield
    finally:
        if has_own_token:
            os.environ.pop("RAY_AUTH_TOKEN", None)
            if before is not None:
                os.environ["RAY_AUTH_TOKEN"] = before
            _forget_token()


def _forget_token() -> None:
    """Let Ray read the token again: it keeps the first one that it saw."""
    with suppress(ImportError, AttributeError):
        from ray import _raylet

        raylet: Any = _raylet
        raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _own_folder() -> Iterator[Path | None]:
    """Return a private folder for sockets and logs of what is started here, removed on leaving.

    In Ray's usual one it would pass for the cluster of this machine, which `auto` finds.
    """
    base = tempfile.gettempdir()
    if len(base) > 30 and sys.platform != "win32":  # the name of a socket has at most 107 letters
        base = "/tmp"  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="thawline-ray-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _no_folder() -> Iterator[Path | None]:
    yield None


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Put back the handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _loopback_as_given() -> Iterator[Any]:
    """Yield Ray's services; meanwhile the loopback address is not taken for the network's, as Ray would have it."""
    from ray._private import services

    resolve = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield services
    finally:
        services.resolve_ip_for_localhost = resolve


def _start(ray: Any, folder: Path) -> None:
    """Start a cluster on this machine that only this machine can reach."""
    try:
        with _loopback_as_given():
            ray.init(
                address="local",
                num_cpus=num_workers(),
                include_dashboard=False,
                object_store_memory=OBJECTS_BYTES,
                _node_ip_address=LOOPBACK,
                _temp_dir=str(folder),
                **QUIET,
            )
    except Exception as error:
        raise ClusterError(
            f"cluster: none could be started here: {brief(error)}. Leave --cluster out to work in this process alone."
        ) from error


def _join(ray: Any, address: str) -> None:
    """Join a cluster that runs already."""
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    shown = f"RAY_ADDRESS {named}" if address == "auto" and named else f"--cluster {address}"
    is_named = named not in {"", "auto", "local"}
    if is_named and ("://" in named or not re.fullmatch(r".+:[0-9]{1,5}", named)):
        raise UsageError(
            f"{shown}: no address of a head. Required is HOST:PORT, such as 10.0.0.5:6379, `auto` or `local`; run the "
            "command on a machine of the cluster."
        )
    try:
        with _loopback_as_given() as services:
            found = named if is_named else services.canonicalize_bootstrap_address("auto")
            if found is None:
                raise ConnectionError
            if not is_reachable(found):
                raise ClusterError(
                    f"{shown}: nothing answers at {found} within {REACH_S:g} s. Check that its head runs (`ray "
                    "status`) and that this machine may reach it, or start one here with --cluster local."
                )
            ray._raylet.GcsClient(address=found)  # says that the token is another; `init` would wait for ever
            ray.init(address=found, **QUIET)
    except ClusterError:
        raise
    except Exception as error:
        raise _refusal(ray, error, shown) from None


def _refusal(ray: Any, error: Exception, shown: str) -> ClusterError:
    """Return what a person can do about a cluster that does not let this process in."""
    text = str(error)
    if isinstance(error, ray.exceptions.AuthenticationError) or "authentication" in text.lower():
        return ClusterError(
            f"{shown}: it asks for another token than this process has ({brief(error)}). Give RAY_AUTH_TOKEN, or "
            "RAY_AUTH_TOKEN_PATH, the token that its head was started with."
        )
    if "Version mismatch" in text:
        return ClusterError(
            f"{shown}: it runs other versions: {brief(error)}. Run the command with the same Python and Ray."
        )
    if "local raylet" in text or "Can't find a" in text or "node_ip_address" in text:
        return ClusterError(
            f"{shown}: this machine is none of the cluster's. Run the command on one of them, or join it first: "
            "`ray start --address HOST:PORT`."
        )
    if isinstance(error, ConnectionError):
        return ClusterError(
            f"{shown}: no cluster runs on this machine. Start one with `ray start --head --node-ip-address HOST`, name "
            "its address in RAY_ADDRESS, or start one for this run alone with --cluster local."
        )
    return ClusterError(f"{shown}: it cannot be joined: {brief(error)}. Check its state with `ray status`.")
