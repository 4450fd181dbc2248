"""Machines of a cluster -> a crew that has training runs done: side by side, or one over several machines.

One idea: a run that fits on a machine is done there by one worker, on as many of its processors as are its share, and
sends no message until it has ended; only a run whose share is more than a machine is done by Ray Train. Either way
checkpoints and result lie in the run's folder, so a worker that is lost costs what came after its last checkpoint, and
the command that was killed goes on when it is given again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from thawline.core.errors import StoreError, ThawlineError, TrainingError
from thawline.core.runtime import num_workers as num_processors
from thawline.train.context import Context
from thawline.train.crew import Fit
from thawline.train.engine import STREAM_ROWS
from thawline.train.folds import is_kept
from thawline.work.cluster.elastic import MOST_LOSSES, Mailbox, do_parcel, train_in_group
from thawline.work.cluster.machines import Node, describe
from thawline.work.cluster.parcels import Parcel, Proof, lightened, pack, prove
from thawline.work.cluster.ray_connection import connected
from thawline.work.session import Session

__all__ = ["ClusterCrew", "Team", "team_for", "with_crew"]

SEEN_S = 60.0
"""Seconds that a result may take until this machine sees what a worker has written."""


class _Trainer:
    """A worker that does one training run after the other; an actor."""

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads

    def arrive(self) -> None:
        """Do nothing, which ends once the worker is there."""

    def do(self, parcel: Any) -> None:
        """Do a training run."""
        ray: Any = import_module("ray")
        do_parcel(parcel, ray.get, num_threads=self.num_threads)


@dataclass(frozen=True)
class Team:
    """Workers of one training run.

    Attributes:
        num_workers: How many, on a machine each where they compute on processors.
        num_cpus: Processors of each.
        num_gpus: Accelerators of each.
    """

    num_workers: int
    num_cpus: int
    num_gpus: int = 0

    @property
    def per_worker(self) -> dict[str, float]:
        """What each reserves, as Ray calls it."""
        needed = {"CPU": float(self.num_cpus), "GPU": float(self.num_gpus)}
        return {name: count for name, count in needed.items() if count}


def team_for(share: int, nodes: Sequence[Node], *, on_gpu: bool, most: int) -> Team:
    """Return the workers of a training run: one on a machine, unless its share is more than any machine has.

    Args:
        share: Processors, or accelerators, that it gets.
        nodes: The machines.
        on_gpu: Whether networks run on accelerators: one a worker, with an even share of its machine's processors.
        most: Workers at most.
    """
    if on_gpu:
        having = [node for node in nodes if node.num_gpus]
        cpus = min((node.num_cpus // node.num_gpus for node in having), default=1)
        return Team(max(1, min(share, most)), max(1, cpus), 1)
    sizes = [node.num_cpus for node in nodes if node.num_cpus] or [1]
    if share <= max(sizes) or most < 2:
        return Team(1, max(1, min(share, max(sizes))))
    return Team(min(most, max(1, share // min(sizes))), min(sizes))


@dataclass
class _Errand:
    """A training run that a worker is at.

    Attributes:
        fit: Which.
        team: Who does it.
        trainer: The actor that does it; None: a group does.
        mailbox: Of the group.
        is_sent: Whether it was given to its worker; before, the worker is about to arrive.
        losses: Workers that were lost over it.
    """

    fit: Fit
    team: Team
    trainer: Any = None
    mailbox: Any = None
    is_sent: bool = False
    losses: int = 0


@dataclass(eq=False)
class ClusterCrew:
    """The machines of the cluster that this process is connected to.

    Attributes:
        context: Of the run.
    """

    context: Context
    _idle: dict[Team, list[Any]] = field(default_factory=dict)
    _errands: dict[Any, _Errand] = field(default_factory=dict)
    _ended: deque[Fit] = field(default_factory=deque)
    _put: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    _proof: Proof | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on accelerators."""
        return self.context.runtime.device.startswith("cuda")

    @property
    def count(self) -> int:
        """Processors, or accelerators, that there are now, those at work included."""
        return max(1, sum(node.num_gpus if self.on_gpu else node.num_cpus for node in nodes_now()))

    @property
    def speed(self) -> float:
        """How fast one of them is, where this process is 1: an accelerator as fast, a processor by their number."""
        return 1.0 if self.on_gpu else 1 / num_processors()

    def begin(self, fit: Fit, *, share: int = 1) -> None:
        """Give a training run to processors that are free; one whose result is kept already has ended at once.

        A network from nothing is never shared by machines: its norms learn from whole steps. Nor has a worker fewer
        pictures of a step than are rounded together.
        """
        if is_kept(fit):
            self._ended.append(fit)
            return
        most = 1 if fit.plan.from_nothing else max(1, fit.ground.context.training.batch_size // STREAM_ROWS)
        self._send(_Errand(fit, team_for(share, nodes_now(), on_gpu=self.on_gpu, most=most)))

    def wait(self) -> Fit:
        """Return a training run that has ended, as soon as there is one; workers that are lost are replaced.

        Raises:
            StoreError: A worker does not see the run's folders, or this machine does not see what it has written.
            ThawlineError: The training run could not be done.
        """
        ray: Any = import_module("ray")
        while not self._ended:
            (reference, *_), _ = ray.wait(list(self._errands), num_returns=1)
            self._take_in(self._errands.pop(reference), reference)
        return self._ended.popleft()

    def close(self) -> None:
        """Let all workers go."""
        ray: Any = import_module("ray")
        for reference, errand in self._errands.items():
            if errand.trainer is None:
                ray.cancel(reference)
            else:
                ray.kill(errand.trainer)
        self._dismiss()
        self._errands.clear()
        if self._proof is not None:
            self._proof.remove()

    def _dismiss(self, *, but: Team | None = None) -> None:
        """Let idle workers go, so that what they reserve is free; those of a size may stay."""
        ray: Any = import_module("ray")
        for team in [team for team in self._idle if team != but]:
            for trainer in self._idle.pop(team):
                ray.kill(trainer)

    def _send(self, errand: _Errand) -> None:
        """Find an actor for a training run, or form a group of workers for it."""
        ray: Any = import_module("ray")
        team = errand.team
        errand.is_sent = team.num_workers > 1
        self._dismiss(but=None if errand.is_sent else team)
        if errand.is_sent:
            errand.mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
            parcel = ray.put(self._packed(errand.fit))
            errand.mailbox.begin.remote()
            group = ray.remote(num_cpus=0, max_retries=0)(train_in_group)
            reference = group.remote([parcel], errand.mailbox, num_workers=team.num_workers, per_worker=team.per_worker)
        else:
            waiting = self._idle.setdefault(team, [])
            if not waiting:
                actor = ray.remote(num_cpus=team.num_cpus, num_gpus=team.num_gpus)(_Trainer)
                waiting.append(actor.remote(team.num_cpus))
            errand.trainer = waiting.pop()
            reference = errand.trainer.arrive.remote()
        self._errands[reference] = errand

    def _packed(self, fit: Fit) -> Parcel:
        """Return a training run as it travels, with the run's proof."""
        self._proof = self._proof or prove(self.context)
        return pack(fit, self._shared, proof=self._proof)

    def _shared(self, part: Any) -> Any:
        """Return the reference of a part, which travels once however many training runs share it."""
        ray: Any = import_module("ray")
        if id(part) not in self._put:
            self._put[id(part)] = (part, ray.put(lightened(part)))
        return self._put[id(part)][1]

    def _take_in(self, errand: _Errand, reference: Any) -> None:
        """Take in a training run that has ended, or give it to another worker where its own was lost."""
        ray: Any = import_module("ray")
        try:
            ray.get(reference)
        except ray.exceptions.RayActorError:
            self._send_again(errand)
            return
        except ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, ThawlineError) else error) from None
        if not errand.is_sent:  # its worker is there: what it took to arrive is no time of the training run
            errand.is_sent = True
            parcel = self._packed(errand.fit)
            self._errands[errand.trainer.do.remote(parcel)] = errand
            return
        if errand.trainer is not None:
            self._idle.setdefault(errand.team, []).append(errand.trainer)
        elif (said := ray.get(errand.mailbox.read.remote())) is not None:
            raise said
        self._require_seen(errand.fit)
        self.context.machine.progress.note(f"cluster: {errand.fit.name} is done; {len(self._errands)} at work")
        self._ended.append(errand.fit)

    def _send_again(self, errand: _Errand) -> None:
        """Give a training run whose worker was lost to another one, with the time that is left of its own."""
        errand.losses += 1
        if errand.losses > MOST_LOSSES:
            raise TrainingError(
                f"cluster: {errand.fit.name}: {errand.losses} workers were lost over it. Look at their memory, then "
                "run the same command again: it goes on from the last checkpoint."
            )
        self.context.machine.progress.note(f"cluster: a worker was lost; another goes on with {errand.fit.name}")
        self._send(errand)

    def _require_seen(self, fit: Fit) -> None:
        """Wait until this machine sees the result of a training run.

        Raises:
            StoreError: It does not.
        """
        until = time.monotonic() + SEEN_S
        while not is_kept(fit):
            if time.monotonic() > until:
                raise StoreError(
                    f"cluster: {fit.name} has ended, and its result is not in {fit.ground.context.folder}. The run's "
                    "folder must lie on a file system that all machines share (-o)."
                )
            time.sleep(0.2)


def nodes_now() -> tuple[Node, ...]:
    """Return the machines of the cluster that are alive now."""
    ray: Any = import_module("ray")
    return describe(ray, is_ours=False).nodes


@contextmanager
def with_crew(session: Session) -> Iterator[Session]:
    """Return the session with the cluster of its order as its crew, connected meanwhile; as it is where there is none.

    What is extracted within uses the same connection.

    Args:
        session: Of the run.

    Raises:
        ThawlineError: As `connected`; later as `ClusterCrew`.
    """
    context, address = session.context, session.order.options.cluster
    if address is None:
        yield session
        return
    with connected(address, progress=context.machine.progress):
        crew = ClusterCrew(context)
        try:
            yield replace(session, context=replace(context, machine=replace(context.machine, crew=crew)))
        finally:
            crew.close()
