"""A phase reads pooled features where the head trains alone, cached activations above a cut, else the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.train.batches import Activations, Pictures
from thawline.train.inputs import Inputs
from thawline.train.phases import Phase, phases


@pytest.mark.parametrize(
    ("plan", "kind", "is_cached"),
    [("head", Activations, True), ("last 1 block", Activations, True), ("all", Pictures, False)],
)
def test_what_is_frozen_is_run_once(plan, kind, is_cached, make_job):
    job = make_job(plan)
    (phase,) = phases(job.plan, job.network, epochs=1)
    rows, cut = Inputs(job, job.train).of(phase)
    assert isinstance(rows, kind)
    assert (cut is not None) == is_cached
    assert cut == phase.cut


def test_activations_beyond_the_budget_of_the_disk_leave_the_pictures(make_job):
    job = make_job("last 1 block", disk_budget="1kB")
    (phase,) = phases(job.plan, job.network, epochs=1)
    rows, cut = Inputs(job, job.train).of(phase)
    assert isinstance(rows, Pictures)
    assert cut is None


def test_pictures_are_decoded_once_for_all_phases(make_job):
    job = make_job("all")
    inputs = Inputs(job, np.concatenate([job.train, job.train[:3]]))
    assert inputs.rows.tolist() == sorted(job.train.tolist())
    phase = Phase(("a",), None, 1)
    assert inputs.of(phase)[0] is inputs.of(phase)[0]
