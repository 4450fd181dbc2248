"""Training runs by two machines give what one process gives: side by side, together, and when a worker is killed."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

from thawline.core.errors import StoreError
from thawline.features.network import load_backbone
from thawline.train.budget import try_named
from thawline.train.folds import final_model
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.train.tried import Candidate
from thawline.work.cluster.machines import Node
from thawline.work.cluster.ray_connection import require_ray
from thawline.work.cluster.trainers import ClusterCrew, Team, team_for, with_crew
from thawline.work.recipe import rows_of_plans
from thawline.work.run import run

OPTIONS = TrainOptions(
    epochs=3, batch_size=16, augment="flip", learning_rate=0.01, checkpoint_every="0s", score_folds=2
)
ALL = parse_plan("all")


def node(num_cpus, num_gpus=0):
    return Node(f"{num_cpus}", f"n{num_cpus}", num_cpus, num_gpus)


def test_a_share_that_a_machine_has_is_one_worker_there():
    nodes = [node(0), node(4), node(16)]
    assert team_for(1, nodes, on_gpu=False, most=8) == Team(1, 1)
    assert team_for(16, nodes, on_gpu=False, most=8) == Team(1, 16)
    assert team_for(20, nodes, on_gpu=False, most=8) == Team(5, 4)
    assert team_for(20, nodes, on_gpu=False, most=2) == Team(2, 4)
    assert team_for(20, nodes, on_gpu=False, most=1) == Team(1, 16)


def test_an_accelerator_is_a_worker_with_its_share_of_processors():
    nodes = [node(2), node(32, 4), node(24, 4)]
    assert team_for(1, nodes, on_gpu=True, most=8) == Team(1, 6, 1)
    assert team_for(8, nodes, on_gpu=True, most=8) == Team(8, 6, 1)
    assert team_for(8, nodes, on_gpu=True, most=3) == Team(3, 6, 1)
    assert Team(3, 6, 1).per_worker == {"CPU": 6, "GPU": 1}
    assert Team(3, 6).per_worker == {"CPU": 6}


def test_an_order_without_a_cluster_is_done_here(compared):
    session = compared.session
    with with_crew(session) as same:
        assert same is session


@pytest.fixture(scope="module")
def machines():
    """Connect to a cluster of two machines with a processor each, both of them here."""
    pytest.importorskip("ray")
    ray = require_ray("a test")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    os.environ["RAY_AUTH_TOKEN"] = "a" * 64
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    os.environ.pop("RAY_AUTH_TOKEN")


@pytest.fixture
def ground_in(compared_for, order, monkeypatch):
    """Return what makes a ground of its own folder, of a network whose norms are folded; alone or with a crew."""
    monkeypatch.setenv("THAWLINE_THREADS", "1")
    network = load_backbone("test_resnet", pretrained=False, size_px=32, seed=1)

    def make(name, *, training=OPTIONS, crewed=False):
        ground = compared_for(order).ground
        context = replace(
            ground.context, network=network, training=training, folder=ground.context.folder / name / "work"
        )
        crew = ClusterCrew(context) if crewed else None
        return replace(ground, context=replace(context, machine=replace(context.machine, crew=crew))), crew

    return make


def assert_same_curve(ours, theirs):
    for name in ("train_loss", "train_accuracy"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-3)


@pytest.mark.slow
def test_plans_and_folds_side_by_side_are_those_of_one_process_to_the_bit(machines, ground_in):
    alone, _ = ground_in("alone")
    ground, crew = ground_in("crew", crewed=True)
    plans = [ALL, parse_plan("last 2 blocks")]
    expected = try_named([Candidate(plan, alone) for plan in plans])
    try:
        found = try_named([Candidate(plan, ground) for plan in plans])
        again = try_named([Candidate(plan, ground) for plan in plans])  # all is kept: no worker has anything to do
    finally:
        crew.close()
    for one, other, third in zip(expected, found, again, strict=True):
        assert one.outcome == other.outcome == third.outcome
        for mine, its, kept in zip(one.folds, other.folds, third.folds, strict=True):
            assert np.array_equal(mine.logits, its.logits)
            assert np.array_equal(its.logits, kept.logits)
            assert mine.trained.curve == its.trained.curve
    assert not list(ground.context.folder.rglob(".seen-*"))


@pytest.mark.slow
def test_two_machines_train_together_and_a_killed_worker_costs_no_result(machines, ground_in):
    training = replace(OPTIONS, epochs=40)
    alone, _ = ground_in("alone", training=training)
    ground, crew = ground_in("crew", training=training, crewed=True)
    expected = final_model(ALL, alone)[2]
    killed = []

    def kill():
        steps = ground.context.folder
        while not killed and threading.main_thread().is_alive():
            if any(3 <= int(path.name[5:]) < 10**6 for path in steps.rglob("step-*")):
                mine = [one for one in psutil.process_iter(["cmdline"]) if is_worker_of(one, machines)]
                mine[-1].kill()
                killed.append(mine[-1].pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        trained = final_model(ALL, ground)[2]
    finally:
        crew.close()
    assert killed
    assert_same_curve(trained.curve, expected.curve)


def is_worker_of(process, machines):
    """Return whether a process is a worker of a group on one of these machines, which this test started."""
    ours = {raylet.process.pid for node in machines.list_all_nodes() for raylet in node.all_processes["raylet"]}
    is_worker = bool(process.info["cmdline"]) and "RayTrainWorker" in process.info["cmdline"][0]
    return is_worker and process.ppid() in ours


@pytest.mark.slow
def test_a_machine_that_sees_other_disks_ends_the_run_with_a_reason(machines, ground_in):
    ground, crew = ground_in("crew", crewed=True)
    packed = crew._packed
    crew._packed = lambda fit: replace(packed(fit), proof=replace(packed(fit).proof, word="another"))
    try:
        with pytest.raises(StoreError, match="does not see"):
            try_named([Candidate(ALL, ground)])
    finally:
        crew.close()


@pytest.mark.slow
def test_a_run_by_machines_leaves_the_leaderboard_of_a_run_by_one(machines, order, tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "1")
    rows = rows_of_plans([ALL, parse_plan("simple_cnn from nothing")])
    scores = []
    for name, cluster in (("alone", None), ("machines", "auto")):
        asked = replace(order, rows=rows, options=replace(order.options, cluster=cluster))
        board = run(asked, tmp_path / name).leaderboard
        scores.append([(trial.name, trial.mean, trial.low, trial.high, trial.fold_scores) for trial in board.trials])
        assert not (tmp_path / name / ".thawline-work").exists()
    assert scores[0] == scores[1]
