"""A training run travels as plain data and arrives as it was; a machine that sees other disks says so."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.errors import StoreError
from thawline.train.allowance import Allowance
from thawline.train.crew import Fit
from thawline.train.folds import job_of
from thawline.train.plan import parse_plan
from thawline.train.processes import Processes
from thawline.work.cluster.parcels import lightened, pack, prove, restored, unpack

PLAN = parse_plan("simple_cnn from nothing")


@pytest.fixture
def fit(compared_for, order):
    ground = compared_for(order).ground
    return Fit(PLAN, ground, 1, allowance=Allowance(time.monotonic() + 2000, 2.5, least=1.0, latest_at=math.inf))


def travelled(fit, gone_s=0.0):
    parcel = pack(fit, lightened, proof=prove(fit.ground.context))
    return unpack(pickle.loads(pickle.dumps(parcel)), restored, processes=Processes(), gone_s=gone_s)


def test_it_arrives_as_the_same_training_run(fit):
    arrived = travelled(fit)
    rows, held_out = fit.ground.split.folds[1]
    mine, its = (job_of(PLAN, one.ground, rows=rows, held_out=held_out) for one in (fit, arrived))
    assert its.identity() == mine.identity()
    assert its.context.folder == mine.context.folder.absolute()
    assert its.context.cache == mine.context.cache.absolute()
    assert (arrived.fold, arrived.plan) == (1, PLAN)
    assert arrived.ground.bank.key == fit.ground.bank.key
    assert its.context.machine.crew is None


def test_it_has_the_seconds_that_are_left_of_its_time(fit):
    arrived = travelled(fit)
    assert arrived.allowance.ends_at == pytest.approx(fit.allowance.ends_at, abs=600)
    assert (arrived.allowance.epochs, arrived.allowance.least, arrived.allowance.latest_at) == (2.5, 1.0, math.inf)
    late = travelled(fit, gone_s=1500.0)
    assert late.allowance.ends_at == pytest.approx(fit.allowance.ends_at - 1500, abs=600)


def test_a_row_that_is_damaged_is_made_again_where_it_is_read(fit):
    bank = fit.ground.bank
    sha256s = [sample.sha256 for sample in fit.ground.context.dataset.samples]
    blocks = list(bank.spec.columns)
    before = bank.read(sha256s, blocks)
    file = next(bank.directory.glob("segments/*/rows.npy"))
    data = bytearray(file.read_bytes())
    data[-5] ^= 64
    file.write_bytes(data)
    arrived = travelled(fit).ground.bank
    assert np.array_equal(arrived.read(sha256s, blocks), before)
    assert arrived.num_remade > 0


def test_answers_travel_without_their_logits(fit):
    small = lightened(fit.ground.frozen)
    assert len(small.answers) == len(fit.ground.frozen.answers)
    assert all(entry.logits.size == 0 and entry.every is None for entry in small.answers)
    assert [entry.choice for entry in small.answers] == [entry.choice for entry in fit.ground.frozen.answers]


def test_a_proof_is_found_where_the_folders_are_seen_and_leaves_nothing(fit):
    proof = prove(fit.ground.context)
    proof.require()
    assert all(file.exists() for file in proof.files)
    proof.remove()
    assert not any(file.exists() for file in proof.files)


@pytest.mark.parametrize("place", [0, 1])
def test_a_machine_with_other_disks_says_which_folder(fit, place):
    proof = prove(fit.ground.context)
    proof.files[place].write_text("of another run", encoding="utf-8")
    with pytest.raises(StoreError, match="does not see") as caught:
        proof.require()
    assert str(proof.files[place].parent) in str(caught.value)
    gone = replace(proof, files=(proof.files[0].with_name("none"),))
    with pytest.raises(StoreError, match="under the same path"):
        gone.require()
