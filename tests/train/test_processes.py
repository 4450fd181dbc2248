"""Several processes add up to one: shares, sums, rows in order, and the loss curve of a training run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from thawline.train.loop import train
from thawline.train.processes import Processes, join_processes

WORKER = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import save_file
from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.features.network import load_backbone
from thawline.train.checkpoint import Checkpoints
from thawline.train.context import Context, Machine
from thawline.train.job import Job
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import parse_plan
from thawline.train.processes import join_processes
from thawline.train.loop import train

asked = json.loads(sys.argv[1])
processes = join_processes("cpu")
out = Path(asked["out"])
dataset, rows = check(Path(asked["photos"]))[0], np.arange(36)
machine = Machine(Runtime("cpu", "float32", 8), processes)
jobs = {}
for name, (plan, backbone, size_px, held_out, options) in asked["jobs"].items():
    network = load_backbone(backbone, pretrained=False, size_px=size_px, seed=1)
    context = Context(dataset, network, Options(cache_dir=out / "cache"), TrainOptions(**options), machine, out)
    jobs[name] = Job(context, parse_plan(plan), network, rows[rows % 4 > 0], rows[rows % 4 == 0][:held_out],
                     np.ones(3, np.float32))
said = {"rank": processes.rank, "count": processes.count, "is_first": processes.is_first}
said["share"] = processes.share(np.arange(5)).tolist()
a, b = torch.full((2, 3), 1.0 + processes.rank), torch.tensor(10.0 * processes.rank)
processes.add_up([a, b])
said["sums"] = [a.tolist(), b.item()]
whole = np.arange(10, dtype=np.float32).reshape(5, 2)
said["gathered"] = processes.gather(whole[processes.rank :: 2], 5).tolist()
said["of one"] = processes.gather(np.ones((1 - processes.rank, 2), np.float32), 1).tolist()
said["agreed"] = processes.agree(0.1 + processes.rank)
with processes.first_alone():
    said["found"] = (out / "first").exists()
    (out / "first").touch()
said["curves"] = {}
for name, job in jobs.items():
    trained = train(job, checkpoints=Checkpoints(out / name, job.identity()))
    said["curves"][name] = [trained.curve.train_loss, trained.curve.validation_loss]
    save_file({key: tensor.contiguous() for key, tensor in trained.tensors.items()}, out / f"{name}-{processes.rank}")
(out / f"{processes.rank}.json").write_text(json.dumps(said))
torch.distributed.destroy_process_group()
"""

OPTIONS = {"epochs": 3, "batch_size": 13, "augment": "flip", "checkpoint_every": "0s", "optimizer": "sgd"}
OPTIONS |= {"learning_rate": 0.05, "warmup": 0.2}
JOBS = {  # 27 rows by 13: the last step has one picture, and nothing for the second process
    "partial": ("last 2 blocks", "test_resnet", 64, 9, OPTIONS | {"dropout": 0.2, "mixup": 0.4, "ema": 0.8}),
    "watched": ("all", "test_resnet", 64, 1, OPTIONS | {"keep": "best", "clip_norm": 0.5}),
    "nothing": ("simple_cnn from nothing", "simple_cnn", 32, 9, OPTIONS | {"augment": "none"}),
}


def test_one_process_has_everything_and_sends_nothing():
    alone, rows = Processes(), np.arange(5)
    assert alone.is_first
    assert alone.share(rows).tolist() == [0, 1, 2, 3, 4]
    tensors = [torch.ones(2), torch.zeros(3)]
    alone.add_up(iter(tensors))
    assert [tensor.tolist() for tensor in tensors] == [[1, 1], [0, 0, 0]]
    assert alone.gather(np.ones((5, 2), np.float32), 5).shape == (5, 2)
    assert alone.agree(0.25) == 0.25
    with alone.first_alone():
        pass


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_are_disjoint_and_whole(count):
    rows = np.array([5, 3, 8, 1, 9])
    shares = [Processes(rank, count).share(rows) for rank in range(count)]
    assert sorted(np.concatenate(shares)) == sorted(rows)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [rank for rank in range(count) if Processes(rank, count).is_first] == [0]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_what_is_rounded_together_stays_together(count):
    rows = np.arange(29) * 3
    shares = [Processes(rank, count).share(rows, together=8) for rank in range(count)]
    assert sorted(np.concatenate(shares)) == sorted(rows)
    parts = [rows[start : start + 8].tolist() for start in range(0, 29, 8)]
    for share in shares:
        assert all(set(part) <= set(share.tolist()) or not set(part) & set(share.tolist()) for part in parts)
    assert [len(share) for share in shares[:4]] == {1: [29], 2: [16, 13], 3: [13, 8, 8], 7: [8, 8, 8, 5]}[count]


@pytest.mark.parametrize("size", [None, "1"])
def test_without_a_launcher_there_is_one_process(monkeypatch, size):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size:
        monkeypatch.setenv("WORLD_SIZE", size)
    assert join_processes("cpu") == Processes()


@pytest.fixture(scope="module")
def pair(photos, tmp_path_factory):
    """Return what two processes said that ran together as a launcher would have them run, and where they wrote."""
    out = tmp_path_factory.mktemp("pair")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (out / "worker.py").write_text(WORKER)
    asked = json.dumps({"out": str(out), "photos": str(photos), "jobs": JOBS})
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "THAWLINE_THREADS": "1"}
    common |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            [sys.executable, str(out / "worker.py"), asked],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=600)[1] for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(2)], out


@pytest.mark.slow
def test_two_processes_find_each_other(pair):
    first, second = pair[0]
    assert [(one["rank"], one["count"], one["is_first"]) for one in (first, second)] == [(0, 2, True), (1, 2, False)]
    assert (first["share"], second["share"]) == ([0, 2, 4], [1, 3])
    for one in (first, second):
        assert one["sums"] == [[[3, 3, 3], [3, 3, 3]], 10]
        assert one["gathered"] == np.arange(10).reshape(5, 2).tolist()
        assert one["of one"] == [[1, 1]]
        assert one["agreed"] == 0.1
    assert (first["found"], second["found"]) == (False, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["partial", "watched"])
def test_two_processes_follow_the_curve_of_one(pair, make_job, name):
    said, out = pair
    plan, backbone, _, held_out, options = JOBS[name]
    job = make_job(plan, backbone=backbone, **options)
    alone = train(replace(job, held_out=job.held_out[:held_out]))
    assert said[0]["curves"] == said[1]["curves"]
    np.testing.assert_allclose(said[0]["curves"][name][0], alone.curve.train_loss, rtol=1e-3)
    np.testing.assert_allclose(said[0]["curves"][name][1], alone.curve.validation_loss, rtol=1e-3)
    for key, tensor in load_file(out / f"{name}-0").items():
        assert torch.allclose(tensor, alone.tensors[key], rtol=1e-2, atol=1e-3), key


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_two_processes_end_with_the_same_weights_and_one_of_them_wrote(pair, name):
    out = pair[1]
    one, other = (load_file(out / f"{name}-{rank}") for rank in range(2))
    assert one.keys() == other.keys()
    differing = [key for key, tensor in one.items() if not torch.equal(other[key], tensor)]
    assert not [key for key in differing if not key.endswith("num_batches_tracked")]  # no norm looks at the count
    assert len(list((out / name).glob("step-*"))) == 2


@pytest.mark.slow
def test_norms_that_learn_in_two_processes_learn(pair):
    losses = pair[0][0]["curves"]["nothing"][0]
    assert losses[-1] < 0.7 * losses[0]
