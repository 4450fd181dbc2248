"""The machines of a cluster count together."""

from __future__ import annotations

from thawline.work.cluster.machines import Cluster, Node, brief, is_reachable


def test_processors_and_accelerators_of_all_machines_count():
    cluster = Cluster("h:1", (Node("a", "one", 8, 0), Node("b", "two", 4, 2)), is_ours=False)
    assert (cluster.num_workers, cluster.num_gpus) == (12, 2)
    assert Cluster("h:1", (), is_ours=False).num_workers == 1


def test_what_is_no_address_is_not_reachable():
    assert not is_reachable("nonsense")
    assert not is_reachable("127.0.0.1:99999")


def test_an_error_is_told_in_one_short_line():
    assert brief(ValueError("one\n  two. ")) == "one two"
    assert brief(ValueError()) == "ValueError"
    assert len(brief(ValueError("x" * 999))) == 200
