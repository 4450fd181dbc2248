"""A checkpoint is whole or not there, belongs to one training, and the one before it serves where it is damaged."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from thawline.core.errors import StoreError, TrainingError
from thawline.train.checkpoint import FACTS, FINISHED, TENSORS, Checkpoints, State

IDENTITY = {"plan": "all", "seed": 0, "--ema": 0.1, "--patience": None}


def state_of(step):
    tensors = {"weights/a": torch.full((3, 2), 1.5 * step), "moments/0/step": torch.tensor(float(step))}
    return State(tensors, {"position": {"steps": step, "best_loss": math.inf}, "finder": [[0.1, math.nan]]})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "fold-1", IDENTITY)


def step_of(state):
    """Return the step of a state after checking that it is whole."""
    step = state.facts["position"]["steps"]
    expected = state_of(step)
    assert state.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(state.tensors[name], expected.tensors[name]) for name in expected.tensors)
    assert state.facts["position"]["best_loss"] == math.inf
    return step


def names(checkpoints):
    return sorted(path.name for path in checkpoints.directory.iterdir())


def test_nothing_is_there_before_the_first(checkpoints):
    assert checkpoints.latest() is None
    assert checkpoints.result() is None
    assert checkpoints.newest_path() is None
    assert not checkpoints.directory.exists()


def test_the_two_newest_are_kept_and_the_newest_is_read(checkpoints):
    for step in (1, 2, 10, 11):
        path = checkpoints.save(step, state_of(step))
        assert path == checkpoints.newest_path()
        assert step_of(checkpoints.latest()) == step
    assert names(checkpoints) == ["step-000000010", "step-000000011"]


def test_only_tensors_and_json_lie_there(checkpoints):
    folder = checkpoints.save(3, state_of(3))
    assert {path.name for path in folder.iterdir()} == {TENSORS, FACTS}
    assert (TENSORS, FACTS) == ("state.safetensors", "state.json")
    assert json.loads((folder / FACTS).read_text())["identity"] == IDENTITY
    header = int.from_bytes((folder / TENSORS).read_bytes()[:8], "little")
    assert "weights/a" in json.loads((folder / TENSORS).read_bytes()[8 : 8 + header])


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def alter(path):
    """Turn a digit of JSON into another, or a bit of a tensor over."""
    data = bytearray(path.read_bytes())
    at = data.index(b'"steps": 2') + 9 if path.name == FACTS else len(data) - 2
    data[at] ^= 1
    path.write_bytes(bytes(data))


def other_json(path):
    path.write_text("[]")


@pytest.mark.parametrize("name", [TENSORS, FACTS])
@pytest.mark.parametrize("damage", [truncate, empty, alter, other_json, Path.unlink])
def test_where_the_newest_is_damaged_the_one_before_it_serves(checkpoints, name, damage):
    checkpoints.save(1, state_of(1))
    damage(checkpoints.save(2, state_of(2)) / name)
    assert step_of(checkpoints.latest()) == 1
    checkpoints.save(2, state_of(2))  # the training comes by once more
    assert step_of(checkpoints.latest()) == 2


def test_where_both_are_damaged_the_training_starts_anew(checkpoints):
    for step in (1, 2):
        truncate(checkpoints.save(step, state_of(step)) / TENSORS)
    assert checkpoints.latest() is None


def test_one_of_another_training_is_refused_with_what_differs(checkpoints):
    folder = checkpoints.save(1, state_of(1))
    other = replace(checkpoints, identity=IDENTITY | {"--ema": 0.2, "plan": "head"})
    with pytest.raises(TrainingError) as caught:
        other.latest()
    assert str(caught.value) == (
        f"resume: the checkpoint {folder} is of another training run: --ema was 0.1 and is 0.2, plan was 'all' and is "
        "'head'. Resume with what it was started with, or start again in another folder (-o)."
    )


def test_every_fact_of_a_job_is_compared(make_job, tmp_path):
    job = make_job("last 2 blocks")
    Checkpoints(tmp_path / "job", job.identity()).save(1, state_of(1))
    assert step_of(Checkpoints(tmp_path / "job", make_job("last 2 blocks").identity()).latest()) == 1
    others = {
        "training pictures and labels was": replace(job, train=job.train[1:]),
        "backbone was 'test_resnet' and is 'resnet10t'": make_job("last 2 blocks", backbone="resnet10t"),
        "plan was 'last 2 blocks' and is 'all'": make_job("all"),
        "--optimizer was 'adamw' and is 'sgd'": make_job("last 2 blocks", optimizer="sgd"),
        "seed was 0 and is 5": make_job("last 2 blocks", seed=5),
    }
    for said, other in others.items():
        with pytest.raises(TrainingError, match="is of another training run: .*" + said):
            Checkpoints(tmp_path / "job", other.identity()).latest()
    older = job.identity() | {"thawline": "0.0.1"}
    with pytest.raises(TrainingError, match=r"thawline was '.+' and is '0\.0\.1'"):
        Checkpoints(tmp_path / "job", older).latest()


def test_an_option_that_a_version_did_not_know_differs_too(checkpoints):
    checkpoints.save(1, state_of(1))
    with pytest.raises(TrainingError, match="--new was None and is 3"):
        replace(checkpoints, identity=IDENTITY | {"--new": 3}).latest()


@pytest.mark.parametrize("failing", ["write_bytes", "write_text"])
def test_a_disk_that_fills_leaves_the_last_good_one(checkpoints, monkeypatch, failing):
    checkpoints.save(1, state_of(1))

    def full(path, *arguments, **options):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, failing, full)
        with pytest.raises(StoreError, match=r"write a checkpoint: .*: the disk is full\. Free some space"):
            checkpoints.save(2, state_of(2))
    assert names(checkpoints) == ["step-000000001"]
    assert step_of(checkpoints.latest()) == 1


def test_a_result_takes_the_place_of_all_checkpoints(checkpoints):
    for step in (1, 2):
        checkpoints.save(step, state_of(step))
        assert checkpoints.result() is None
    checkpoints.finish(state_of(7))
    assert step_of(checkpoints.result()) == 7
    assert names(checkpoints) == [f"step-{FINISHED}"]
    with pytest.raises(TrainingError, match="seed was 0 and is 1"):
        replace(checkpoints, identity=IDENTITY | {"seed": 1}).result()


def test_a_damaged_result_is_none_and_is_made_again_from_what_is_left(checkpoints):
    """A kill between the result and the removal of the checkpoint before it leaves both."""
    checkpoints.save(FINISHED, state_of(7))
    truncate(checkpoints.newest_path() / TENSORS)
    checkpoints.save(2, state_of(2))
    assert checkpoints.result() is None
    assert step_of(checkpoints.latest()) == 2
    checkpoints.finish(state_of(7))
    assert step_of(checkpoints.result()) == 7


def test_what_a_killed_process_left_half_written_is_swept_away(checkpoints):
    checkpoints.save(1, state_of(1))
    dying = (
        "import os, sys; from pathlib import Path; from thawline.core.store import staging_directory\n"
        "with staging_directory(Path(sys.argv[1])) as staged: (staged / 'half').touch(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", dying, str(checkpoints.directory)], check=True, timeout=600)
    assert len(list(checkpoints.directory.glob(".thawline-staging/*"))) == 1
    assert step_of(checkpoints.latest()) == 1
    assert names(checkpoints) == ["step-000000001"]
