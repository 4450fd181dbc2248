"""A Ray cluster that this process is connected to -> its machines, and whether its head still answers."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

__all__ = ["REACH_S", "Cluster", "Node", "brief", "describe", "is_reachable"]

REACH_S = 5.0


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        key: Ray's name for it.
        name: What people call it.
        num_cpus: Processors that may work there.
        num_gpus: Accelerators likewise.
    """

    key: str
    name: str
    num_cpus: int
    num_gpus: int


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        address: HOST:PORT of its head.
        nodes: Its machines that are alive.
        is_ours: Whether it was started here and is stopped on leaving.
    """

    address: str
    nodes: tuple[Node, ...]
    is_ours: bool

    @property
    def num_workers(self) -> int:
        """Processors that may work, at least 1."""
        return max(1, sum(node.num_cpus for node in self.nodes))

    @property
    def num_gpus(self) -> int:
        """Accelerators that may work."""
        return sum(node.num_gpus for node in self.nodes)

    @property
    def is_alive(self) -> bool:
        """Whether the head still answers."""
        return is_reachable(self.address)


def is_reachable(address: str, *, timeout_s: float = REACH_S) -> bool:
    """Return whether something accepts connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def describe(ray: Any, *, is_ours: bool) -> Cluster:
    """Return the cluster that this process is connected to."""
    nodes = tuple(
        Node(
            node["NodeID"],
            node.get("NodeManagerHostname") or node["NodeManagerAddress"],
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in sorted(ray.nodes(), key=lambda node: str(node["NodeID"]))
        if node["Alive"]
    )
    return Cluster(ray.get_runtime_context().gcs_address, nodes, is_ours)


def brief(error: BaseException) -> str:
    """Return the first 200 letters of an error's text, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200].rstrip(". ")
