"""A cluster -> whether all of its machines compute with the versions that this process has."""

from __future__ import annotations

import sys
from typing import Any

from thawline.core.counting import counted
from thawline.core.errors import ClusterError, first_few
from thawline.core.runtime import package_versions
from thawline.core.version import __version__
from thawline.work.cluster.machines import Cluster, brief

__all__ = ["require_same_versions", "versions_here"]

DECISIVE = ("python", "thawline", "torch", "timm", "numpy")
"""What can change a row, or cannot be handed from one to another."""

STARTED_S = 120.0


def versions_here() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a row, as this process has them."""
    versions = package_versions() | {"python": ".".join(map(str, sys.version_info[:2])), "thawline": __version__}
    return {name: versions.get(name, "") for name in DECISIVE}


def require_same_versions(ray: Any, cluster: Cluster) -> None:
    """Compare every machine's versions with those here.

    Raises:
        ClusterError: One has others, or has no Thawline; names the machine and both versions.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = versions_here()
    task = ray.remote(num_cpus=0, max_retries=0)(versions_here)
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.key, soft=False)).remote()
        for node in cluster.nodes
    ]
    others = []
    for node, answer in zip(cluster.nodes, asked, strict=True):
        try:
            found = ray.get(answer, timeout=STARTED_S)
        except Exception as error:
            why = "has no Thawline" if "No module named 'thawline" in str(error) else f"fails: {brief(error)}"
            others.append(f"{node.name} {why}")
            continue
        wrong = [
            f"{name} {found.get(name) or 'none'}, here {value}"
            for name, value in here.items()
            if found.get(name) != value
        ]
        if wrong:
            others.append(f"{node.name} has {first_few(wrong)}")
    if others:
        raise ClusterError(
            f"cluster: {len(others)} of {counted(len(cluster.nodes), 'machines')} would compute with other versions: "
            f"{first_few(others)}. Install the same on all of them."
        )
