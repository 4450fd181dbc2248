"""Shards of pictures, and workers that may die -> every shard stored once, or an error that says why not.

The one idea: Ray starts the workers and brings the messages; who reads what is decided here. A worker has two shards in
hand, so that it never waits. When it dies, the older one is held against it, both are given to others, and a shard that
three workers died over ends the pass, so nothing goes round for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from thawline.core import errors
from thawline.core.errors import ClusterError, StoreError, ThawlineError
from thawline.core.progress import Progress
from thawline.data.dataset import Sample
from thawline.data.load import read_checked
from thawline.work.cluster.machines import Cluster, brief
from thawline.work.cluster.picture_reader import Answer

__all__ = ["ShardPass"]

Shard = Sequence[Sample]

IN_HAND = 2
MAX_DEATHS = 3
LOOK_S = 5.0
NO_PLACE_S = 30.0


@dataclass
class _Worker:
    """An actor and the shards that it has in hand, oldest first; not ready until its first answer came."""

    actor: Any
    starting: Any
    in_hand: deque[tuple[Any, Shard]] = field(default_factory=deque)


class ShardPass:
    """One pass over shards.

    Args:
        ray: The module, connected.
        cluster: Where it works.
        start: Starts a worker.
        num_workers: How many to have at once.
        progress: Where waiting is told.
    """

    def __init__(
        self, ray: Any, cluster: Cluster, *, start: Callable[[], Any], num_workers: int, progress: Progress
    ) -> None:
        self._ray = ray
        self._cluster = cluster
        self._start = start
        self._num_workers = num_workers
        self._progress = progress
        self._workers: list[_Worker] = []
        self._again: deque[Shard] = deque()
        self._deaths: dict[str, int] = {}
        self._failed_starts = 0

    def run(self, shards: Iterable[Shard], advance: Callable[[int], None]) -> None:
        """Have every shard stored; memory does not grow with their number.

        Args:
            shards: In the order of the data set.
            advance: Called with the number of rows of every shard that is stored.

        Raises:
            ThawlineError: What a worker refused, a shard over which three died, or the head is gone.
        """
        waiting = iter(shards)
        idle_s = 0.0
        try:
            self._hire()
            while self._hand_out(waiting):
                ready = self._wait()
                idle_s = 0.0 if ready else idle_s + LOOK_S
                if idle_s == NO_PLACE_S and not any(worker.in_hand for worker in self._workers):
                    self._progress.note("cluster: no worker has been placed yet; others may be using its processors")
                for reference in ready:
                    advance(self._settle(reference))
        finally:
            for worker in self._workers:
                self._dismiss(worker)

    def _hire(self) -> None:
        while len(self._workers) < self._num_workers:
            actor = self._start()
            self._workers.append(_Worker(actor, actor.prepare.remote()))

    def _hand_out(self, waiting: Iterator[Shard]) -> bool:
        """Give shards to workers that are ready; return whether anything is still to be stored."""
        more = True
        for turn in range(IN_HAND):
            for worker in self._workers:
                if worker.starting is not None or len(worker.in_hand) > turn:
                    continue
                shard = self._again.popleft() if self._again else next(waiting, None)
                if shard is None:
                    more = False
                    break
                worker.in_hand.append((worker.actor.read.remote(list(shard)), shard))
        is_starting = any(worker.starting is not None for worker in self._workers)
        return bool(self._again) or any(worker.in_hand for worker in self._workers) or (more and is_starting)

    def _wait(self) -> list[Any]:
        """Return what has been answered; look now and then whether the head is still there."""
        pending = [reference for worker in self._workers for reference, _ in worker.in_hand]
        pending += [worker.starting for worker in self._workers if worker.starting is not None]
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=LOOK_S)
        if not ready and not self._cluster.is_alive:
            raise ClusterError(
                f"cluster: its head at {self._cluster.address} no longer answers. What is stored is kept: start it "
                "again, and run the same command."
            )
        return list(ready)

    def _settle(self, reference: Any) -> int:
        """Return the rows that an answer says are stored; 0 where a worker has started or died."""
        worker = next(
            worker
            for worker in self._workers
            if worker.starting is reference or any(mine is reference for mine, _ in worker.in_hand)
        )
        starts = worker.starting is reference
        try:
            answer: Answer = self._ray.get(reference)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            self._bury(worker, error)
            return 0
        if starts:
            worker.starting = None
            if answer.kind:
                raise _error(answer.kind, answer.text)
            self._failed_starts = 0
            return 0
        shard = next(shard for mine, shard in worker.in_hand if mine is reference)
        worker.in_hand = deque(item for item in worker.in_hand if item[0] is not reference)
        if answer.kind:
            raise _refused(answer, shard)
        return answer.num_stored

    def _bury(self, worker: _Worker, error: Exception) -> None:
        """Give what a dead worker had in hand to others, and hire another one."""
        self._workers.remove(worker)
        self._dismiss(worker)
        if worker.starting is not None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_DEATHS * self._num_workers:
                raise ClusterError(
                    f"cluster: workers die as they start: {brief(error)}. Look at the logs of its machines."
                )
        elif worker.in_hand:
            _, blamed = worker.in_hand[0]
            key = blamed[0].sha256
            self._deaths[key] = self._deaths.get(key, 0) + 1
            if self._deaths[key] >= MAX_DEATHS:
                raise ClusterError(
                    f"cluster: {MAX_DEATHS} workers died, one after another, over the {len(blamed)} pictures from "
                    f"{blamed[0].path} to {blamed[-1].path}: {brief(error)}. What is stored is kept. Look whether "
                    "memory runs out, or take pictures out until the same command ends."
                )
        self._again.extend(shard for _, shard in worker.in_hand)
        self._progress.note(f"cluster: a worker died ({brief(error)[:80]}); another takes its pictures")
        self._hire()

    def _dismiss(self, worker: _Worker) -> None:
        try:
            self._ray.kill(worker.actor)
        except Exception:  # it is dead, or the head is
            return


def _error(kind: str, text: str) -> ThawlineError:
    """Return the error that a worker met, of the same class."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, ThawlineError):
        return found(text)
    return StoreError(text)


def _refused(answer: Answer, shard: Shard) -> ThawlineError:
    """Return why a shard was refused: a picture that is here, and not there, is a disk that is not shared."""
    if answer.unreadable is not None:
        sample = shard[answer.unreadable]
        try:
            read_checked(sample)
        except ThawlineError as error:
            return error
        return ClusterError(
            f"cluster: {answer.machine} cannot read {sample.path}, which can be read here: {answer.text} All machines "
            "must see the pictures under the same path: on a shared disk, or in shards or Parquet at an address such "
            "as s3://bucket/train-*.tar."
        )
    return _error(answer.kind, answer.text)
