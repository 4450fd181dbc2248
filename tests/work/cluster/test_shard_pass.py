"""Every shard is stored once, whatever the workers do; what cannot be stored ends the pass with a reason."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest

from thawline.core.errors import ClusterError, DataError, StoreError
from thawline.data.dataset import Sample
from thawline.work.cluster import shard_pass as module
from thawline.work.cluster.picture_reader import Answer
from thawline.work.cluster.shard_pass import ShardPass


class ActorDiedError(Exception):
    """As Ray's."""


class Picture:
    """A source whose picture is there."""

    def read(self):
        return b"picture"


def sample(number):
    import hashlib

    return Sample(f"{number}.jpg", 0, hashlib.sha256(b"picture").hexdigest(), None, number, Picture())


class Ray:
    """Answers one call after another, in the order in which they were made; `deaths` says which call kills whom."""

    exceptions = SimpleNamespace(RayActorError=ActorDiedError, OutOfMemoryError=MemoryError)

    def __init__(self, answer):
        self.answer = answer
        self.calls = deque()
        self.num_started = 0
        self.most_pending = 0

    def start(self):
        self.num_started += 1
        number = self.num_started
        actor = SimpleNamespace(number=number, dead=False)
        actor.prepare = SimpleNamespace(remote=lambda: self.call(actor, None))
        actor.read = SimpleNamespace(remote=lambda shard: self.call(actor, shard))
        return actor

    def call(self, actor, shard):
        reference = SimpleNamespace(actor=actor, shard=shard)
        self.calls.append(reference)
        return reference

    def wait(self, pending, *, num_returns, timeout):
        self.most_pending = max(self.most_pending, len(pending))
        alive = [call for call in self.calls if any(call is one for one in pending)]
        return (alive[:1], alive[1:])

    def get(self, reference):
        self.calls.remove(reference)
        if reference.actor.dead:
            raise ActorDiedError("it was killed")
        try:
            return self.answer(reference.actor.number, reference.shard)
        except ActorDiedError:
            reference.actor.dead = True
            raise

    def kill(self, actor):
        actor.dead = True


@pytest.fixture
def run(recorded_progress):
    """Return a function that has shards of two pictures stored by two workers, and returns what was stored."""

    def go(answer, num_shards=7, *, is_alive=True):
        ray = Ray(answer)
        work = ShardPass(
            ray,
            SimpleNamespace(is_alive=is_alive, address="h:1"),
            start=ray.start,
            num_workers=2,
            progress=recorded_progress,
        )
        stored = []
        work.run(((sample(2 * at), sample(2 * at + 1)) for at in range(num_shards)), stored.append)
        return sum(stored), ray

    return go


def works(number, shard):
    return Answer("one", 0 if shard is None else len(shard))


def test_every_shard_is_stored(run):
    assert run(works)[0] == 14


def test_few_shards_are_in_flight_however_many_there_are(run):
    stored, ray = run(works, 5_000)
    assert stored == 10_000
    assert ray.most_pending <= 2 * module.IN_HAND


def test_a_dead_workers_shards_are_given_to_another(run, recorded_progress):
    def dies_once(number, shard):
        if number == 1 and shard is not None:
            raise ActorDiedError("killed")
        return works(number, shard)

    stored, ray = run(dies_once)
    assert (stored, ray.num_started) == (14, 3)
    assert "cluster: a worker died" in recorded_progress.notes[0]


def test_a_shard_that_kills_every_worker_ends_the_pass(run):
    def poisoned(number, shard):
        if shard is not None and shard[0].path == "4.jpg":
            raise ActorDiedError("out of memory")
        return works(number, shard)

    with pytest.raises(ClusterError, match=r"3 workers died.*2 pictures from 4.jpg to 5.jpg: out of memory"):
        run(poisoned)


def test_workers_that_die_as_they_start_end_the_pass(run):
    def dies(number, shard):
        raise ActorDiedError("no memory")

    with pytest.raises(ClusterError, match="workers die as they start: no memory"):
        run(dies)


def test_what_a_worker_refuses_is_raised_as_it_would_be_here(run):
    with pytest.raises(StoreError, match="the disk is full"):
        run(
            lambda number, shard: (
                works(number, shard) if shard is None else Answer("one", 0, "StoreError", "the disk is full")
            )
        )
    with pytest.raises(ClusterError, match="one does not see"):
        run(lambda number, shard: Answer("one", 0, "ClusterError", "one does not see"))


def test_a_picture_that_only_the_worker_cannot_see_is_a_disk_that_is_not_shared(run):
    def blind(number, shard):
        return works(number, shard) if shard is None else Answer("two", 0, "DataError", "missing.", unreadable=1)

    with pytest.raises(ClusterError, match=r"two cannot read \d+.jpg, which can be read here: missing. All machines"):
        run(blind)


def test_a_picture_that_is_gone_here_too_is_told_as_ever(run, monkeypatch):
    def gone(self):
        raise DataError("missing")

    monkeypatch.setattr(Picture, "read", gone)
    with pytest.raises(DataError, match=r"read: \d+.jpg: missing"):
        run(lambda number, shard: works(number, shard) if shard is None else Answer("two", 0, "DataError", "x", 0))


def test_a_head_that_is_gone_ends_the_pass(run, monkeypatch):
    monkeypatch.setattr(Ray, "wait", lambda self, pending, **_: ([], pending))
    with pytest.raises(ClusterError, match=r"its head at h:1 no longer answers.*run the same command"):
        run(works, is_alive=False)
