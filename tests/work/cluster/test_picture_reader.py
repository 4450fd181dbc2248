"""A worker stores what it was told to, and says in words what it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.data.digits import write_digits
from thawline.features.bank import open_bank
from thawline.features.extract import bank_spec
from thawline.work.cluster import picture_reader
from thawline.work.cluster.picture_reader import Job, PictureReader
from thawline.work.networks import load_networks

RUNTIME = Runtime("cpu", "float32", 4)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return what workers of a small network share, and the network."""
    monkeypatch.setenv("THAWLINE_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(picture_reader, "keep_freed_memory", lambda: None)
    (network,) = load_networks(Options(backbone="simple_cnn", size=32))
    spec = bank_spec(network.backbone, RUNTIME)
    return Job(spec, RUNTIME, tmp_path / "cache", None, tmp_path, 1), network


@pytest.fixture
def samples(tmp_path):
    """Return six pictures in a folder that is named by a relative path."""
    write_digits(tmp_path / "digits")
    return check(Path("digits"))[0].samples[:6]


def test_a_shard_is_one_segment(job, samples):
    job, network = job
    open_bank(job.cache, job.spec)
    reader = PictureReader(job, network)
    assert not reader.prepare().kind
    assert reader.read(samples).num_stored == 6
    bank = open_bank(job.cache, job.spec)
    assert bank.missing([sample.sha256 for sample in samples]) == []
    assert len(list((bank.directory / "segments").iterdir())) == 1


def test_a_cache_that_the_worker_does_not_see_is_named(job):
    job, network = job
    answer = PictureReader(job, network).prepare()
    assert answer.kind == "ClusterError"
    assert f"{answer.machine} does not see {job.cache}" in answer.text
    assert "--store" in answer.text


def test_a_store_that_the_worker_does_not_see_is_named(job, tmp_path):
    job, network = job
    answer = PictureReader(replace(job, store=str(tmp_path / "gone")), network).prepare()
    assert f"does not see {tmp_path / 'gone'}" in answer.text


def test_the_picture_that_cannot_be_read_is_pointed_at(job, samples):
    job, network = job
    open_bank(job.cache, job.spec)
    reader = PictureReader(job, network)
    reader.prepare()
    samples[2].source.path.unlink()
    answer = reader.read(samples)
    assert (answer.kind, answer.unreadable, answer.num_stored) == ("DataError", 2, 0)
    assert samples[2].path in answer.text
