"""What a plan costs is reckoned from the layers that run; what is cached is counted by the byte."""

from __future__ import annotations

import pytest

from thawline.train.phases import phases
from thawline.train.reckoning import FEATURES_S, TRAINING_SHARE, reckoned_s, store_of


def stores(job):
    return [store_of(job, phase, num_rows=36) for phase in phases(job.plan, job.network, epochs=4)]


def test_what_is_frozen_below_is_cached_and_does_not_cost_again(make_job):
    job = make_job("last 2 blocks")
    cut = job.network.backbone.cut_removing(2)
    (store,) = stores(job)
    assert (store.cut, store.passes) == (cut.index, pytest.approx(36 * cut.cost_fraction))
    assert store.disk_bytes > 0
    assert reckoned_s(job, store.cut, whole_s=1.0) == pytest.approx(TRAINING_SHARE * (1 - cut.cost_fraction))


def test_a_plan_of_all_layers_reads_the_pictures(make_job):
    job = make_job("all")
    (store,) = stores(job)
    assert (store.cut, store.passes, store.disk_bytes) == (None, 0, 0)
    assert reckoned_s(job, None, whole_s=1.0) == TRAINING_SHARE


def test_without_room_on_the_disk_the_prefix_runs_live(make_job):
    assert [store.cut for store in stores(make_job("last 2 blocks", disk_budget="1kB"))] == [None]


def test_a_head_alone_costs_hardly_anything(make_job):
    job = make_job("head")
    (store,) = stores(job)
    assert reckoned_s(job, store.cut, whole_s=1.0) == FEATURES_S


def test_every_phase_has_a_store_of_its_own(make_job):
    cuts = [store.cut for store in stores(make_job("gradual last 2 blocks"))]
    assert len(set(cuts)) == 2
