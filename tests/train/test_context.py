"""A context says what its options say, and prints in a line however much it holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.train.context import Ground, Machine
from thawline.train.folds import FoldAnswers
from thawline.train.hyperparameters import TrainOptions

LONGEST = 200


@pytest.fixture
def context(drawn, network, make_context, tmp_path):
    return make_context(drawn(9), network("test_resnet"), cache=tmp_path / "cache", folder=tmp_path / "run", epochs=3)


def test_seed_storage_and_cache_are_those_of_the_options_and_the_runtime_that_of_the_machine(context, tmp_path):
    other = replace(
        context,
        options=Options(seed=7, storage="float32", cache_dir=tmp_path / "other"),
        machine=Machine(Runtime("cuda:1", "float16", 2)),
    )
    assert (context.seed, context.storage, context.runtime.device) == (0, "float16", "cpu")
    assert (other.seed, other.storage, other.runtime) == (7, "float32", Runtime("cuda:1", "float16", 2))
    assert (context.cache, other.cache) == (tmp_path / "cache", tmp_path / "other")
    assert other.cache.is_dir()


def test_training_has_a_number_format_of_its_own_where_the_machine_says_so(context):
    assert context.training_runtime == context.runtime
    fast = replace(context.runtime, dtype="bfloat16")
    other = replace(context, machine=replace(context.machine, training=fast))
    assert (other.runtime, other.training_runtime) == (context.runtime, fast)


def test_a_row_with_its_own_options_shares_everything_else(context, tmp_path):
    own = replace(context, training=TrainOptions(epochs=9), folder=tmp_path / "row")
    assert (context.training.epochs, own.training.epochs) == (3, 9)
    assert own.dataset is context.dataset
    assert own.machine is context.machine


def test_a_machine_is_one_silent_process_unless_it_is_told_otherwise():
    machine = Machine(Runtime("cpu", "float32", 8))
    assert (machine.processes.count, machine.log) == (1, None)
    with machine.progress.stage("anything") as advance:
        advance(1)


def test_whatever_holds_pictures_or_weights_prints_in_a_line(context, make_job):
    ground = Ground(context, SimpleNamespace(num_folds=5), bank=None, frozen=SimpleNamespace(answers=(1, 2)))
    assert repr(ground).endswith("run), 5 folds, 2 frozen strategies)")
    job = make_job("last 2 blocks")
    assert repr(job) == "Job('test_resnet · last 2 blocks', 27 pictures to learn from, 9 to watch)"
    fold = FoldAnswers(1, np.zeros((1000, 40), np.float32), None, 2.0)
    assert repr(fold) == "FoldAnswers(fold 2, 1,000 pictures, 2.0 s)"
    for printed in (context, ground, job, fold):
        assert "\n" not in repr(printed)
        assert len(repr(printed).replace(str(context.folder), "")) < LONGEST
    assert "9 pictures, test_resnet" in repr(context)
