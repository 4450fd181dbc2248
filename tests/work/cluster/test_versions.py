"""Machines of other versions are named before they compute anything."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from thawline.core.errors import ClusterError
from thawline.work.cluster import versions
from thawline.work.cluster.machines import Cluster, Node
from thawline.work.cluster.versions import require_same_versions, versions_here


def test_versions_name_python_and_what_changes_a_row():
    versions = versions_here()
    assert versions["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert all(versions.values())


def pretended_ray(*answers):
    """Return a Ray whose machines answer these, in order."""
    left = iter(answers)

    def get(_, *, timeout):
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: None))
    return SimpleNamespace(remote=lambda **_: lambda _: task, get=get)


TWO = Cluster("h:1", (Node("a" * 56, "one", 8, 0), Node("b" * 56, "two", 4, 2)), is_ours=False)


def test_the_same_versions_pass():
    assert require_same_versions(pretended_ray(versions_here(), versions_here()), TWO) is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({**versions_here(), "torch": "1.0"}, "two has torch 1.0, here "),
        ({**versions_here(), "timm": ""}, "two has timm none, here "),
        (RuntimeError("No module named 'thawline'"), "two has no Thawline"),
        (TimeoutError(), "two fails: TimeoutError"),
    ],
)
def test_others_are_named(answer, message):
    with pytest.raises(ClusterError, match=rf"1 of 2 machines .*{message}.*Install the same on all"):
        require_same_versions(pretended_ray(versions_here(), answer), TWO)


def test_every_decisive_package_has_a_version():
    assert set(versions_here()) == set(versions.DECISIVE)
