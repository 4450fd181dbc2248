"""A phase reads what is frozen below it from a cache if there is room, else pictures, decoded once for all phases."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.train.batches import Activations, Pictures
from thawline.train.inputs import Inputs
from thawline.train.phases import phases
from thawline.train.pooled import PooledFeatures
from thawline.train.prefix import PrefixCache
from thawline.train.processes import Processes

ROWS = np.array([5, 2, 9, 2])


def inputs_of(job):
    """Return the inputs of a job's phases, and the phases."""
    return Inputs(job, ROWS), phases(job.plan, job.network, epochs=4)


def test_where_every_layer_trains_pictures_are_read(make_job):
    job = make_job("all")
    inputs, (phase,) = inputs_of(job)
    rows, cut = inputs.of(phase)
    assert isinstance(rows, Pictures)
    assert cut is None
    assert inputs.rows.tolist() == [2, 5, 9]
    assert rows.read(np.array([9, 2]), None).shape == (2, 3, 64, 64)


def test_where_the_upper_part_trains_the_activations_below_it_are_read(make_job):
    job = make_job("last 2 blocks")
    inputs, (phase,) = inputs_of(job)
    rows, cut = inputs.of(phase)
    assert isinstance(rows, Activations)
    assert isinstance(rows.cache, PrefixCache)
    assert cut == phase.cut == job.network.backbone.cut_removing(2).index
    pictures = Pictures(
        job.context.dataset, ROWS, job.network.backbone.input, job.context.runtime, augment="none", seed=0
    )
    live = job.network.prefix(pictures.read(np.array([9, 2]), None), cut)
    assert torch.allclose(rows.read(np.array([9, 2]), None), live, rtol=2e-3, atol=1e-3 * float(live.abs().max()))


def test_where_nothing_but_the_head_trains_its_features_are_read(make_job):
    job = make_job("head, 1 block cut")
    inputs, (phase,) = inputs_of(job)
    rows, cut = inputs.of(phase)
    assert isinstance(rows.cache, PooledFeatures)
    assert cut == job.block[0]
    assert rows.read(np.array([9, 2]), None).shape == (2, job.network.backbone.cuts[cut].channels)


def test_what_does_not_fit_the_budget_is_read_as_pictures_which_are_decoded_once(make_job):
    job = make_job("gradual last 2 blocks", disk_budget="1kB")
    inputs, parts = inputs_of(job)
    read = [inputs.of(phase) for phase in parts]
    live = [rows for rows, cut in read if cut is None]
    assert len(live) > 1
    assert all(rows is live[0] for rows in live)


@pytest.mark.parametrize("augment", ["flip", "none"])
def test_pictures_are_altered_by_the_policy_and_the_seed_of_the_run(make_job, augment):
    def read(seed):
        inputs, (phase,) = inputs_of(make_job("all", augment=augment, seed=seed))
        rows = inputs.of(phase)[0]
        return torch.stack([rows.read(np.array([2, 5, 9]), epoch) for epoch in range(4)])

    assert torch.equal(read(0), read(0))
    assert torch.equal(read(0), read(1)) is (augment == "none")


class Turns(Processes):
    """Counts how often this process waited for its turn."""

    waited = 0

    @contextmanager
    def first_alone(self):
        type(self).waited += 1
        yield


def test_of_several_processes_the_first_one_fills_the_cache(make_job, changed):
    job = changed(make_job("last 2 blocks"), processes=Turns())
    inputs, (phase,) = inputs_of(job)
    inputs.of(phase)
    assert Turns.waited == 1
    inputs.of(replace(phase, cut=None))
    assert Turns.waited == 1
