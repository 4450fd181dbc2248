"""A training run and several workers -> done, by Ray Train: a group that may lose workers, and gain some, on the way.

One idea: Ray starts the group, joins it and starts it again when a worker is lost or another machine has come; what is
trained, and from where it goes on, is ours. Gradients are sums over pictures, so a group of any size follows the same
curve, and checkpoints are those of `train/checkpoint.py`, in the run's folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from thawline.core.errors import ThawlineError, TrainingError
from thawline.train.folds import run_fit
from thawline.train.processes import join_processes
from thawline.work.cluster.parcels import Parcel, restored, unpack

__all__ = ["MOST_LOSSES", "Mailbox", "do_parcel", "train_in_group", "use_threads"]

MOST_LOSSES = 8
"""Times that a training run goes on from its checkpoint after a worker was lost, before it is given up."""
LOOK_AGAIN_S = 30.0
"""Seconds after which a group looks whether workers have come that it could use."""
GROUP_S = 300
"""Seconds that a message between workers may take before it counts as lost."""


class Mailbox:
    """What a worker of a group could not do, for whoever asked, and one clock for all of its attempts; an actor."""

    def __init__(self) -> None:
        self.error: ThawlineError | None = None
        self.began_at = time.monotonic()

    def begin(self) -> None:
        """Start the clock."""
        self.began_at = time.monotonic()

    def gone_s(self) -> float:
        """Return the seconds since the clock was started."""
        return time.monotonic() - self.began_at

    def post(self, error: ThawlineError) -> None:
        """Keep the first error."""
        self.error = self.error or error

    def read(self) -> ThawlineError | None:
        """Return the first error, or None."""
        return self.error


def use_threads(count: int) -> None:
    """Let this worker compute with so many threads: the processors that were reserved for it."""
    import torch

    os.environ["THAWLINE_THREADS"] = str(count)
    torch.set_num_threads(count)


def do_parcel(parcel: Parcel, get: Callable[[Any], Any], *, num_threads: int, gone_s: float = 0.0) -> None:
    """Do a training run in this worker, alone or with those of its group; its result lies in the run's folder then.

    Args:
        parcel: What has come.
        get: Returns the object of a reference.
        num_threads: Processors of this worker.
        gone_s: Seconds since it was packed.

    Raises:
        StoreError: This machine does not see the run's folders.
        ThawlineError: As the training run.
    """
    use_threads(num_threads)
    parcel.proof.require()
    processes = join_processes(parcel.runtimes[0].device)
    run_fit(unpack(parcel, lambda reference: restored(get(reference)), processes=processes, gone_s=gone_s))


def _in_worker(config: dict[str, Any]) -> None:
    """Do a worker's part of a training run; what a person can fix is posted, and ends the group."""
    ray: Any = import_module("ray")
    mailbox = config["mailbox"]
    if ray.get(mailbox.read.remote()) is not None:
        return
    try:
        gone_s = ray.get(mailbox.gone_s.remote())
        do_parcel(ray.get(config["parcel"]), ray.get, num_threads=config["num_threads"], gone_s=gone_s)
    except ThawlineError as error:
        ray.get(mailbox.post.remote(error))
        raise


def train_in_group(parcels: Sequence[Any], mailbox: Any, *, num_workers: int, per_worker: dict[str, float]) -> None:
    """Have a training run done by a group of one to so many workers; for a task that reserves nothing itself.

    Args:
        parcels: Reference of a `Parcel`, alone in a list: Ray would fetch what it refers to otherwise.
        mailbox: An actor of `Mailbox`, which says why, if it could not be done.
        num_workers: The most that train together; where fewer are there, these do.
        per_worker: What each reserves: `CPU`, and `GPU` where the network runs on one.

    Raises:
        TrainingError: It was begun again so many times, and a worker was lost each time.
    """
    ray, train, torch_train = (import_module(name) for name in ("ray", "ray.train", "ray.train.torch"))
    has_gpu = "GPU" in per_worker
    scratch = tempfile.mkdtemp(prefix="thawline-ray-")  # Ray Train wants one; nothing is kept in it
    trainer = torch_train.TorchTrainer(
        _in_worker,
        train_loop_config={"parcel": parcels[0], "mailbox": mailbox, "num_threads": max(1, int(per_worker["CPU"]))},
        torch_config=torch_train.TorchConfig(backend="nccl" if has_gpu else "gloo", timeout_s=GROUP_S),
        scaling_config=train.ScalingConfig(
            num_workers=(1, num_workers),
            use_gpu=has_gpu,
            resources_per_worker=per_worker,
            elastic_resize_monitor_interval_s=LOOK_AGAIN_S,
        ),
        run_config=train.RunConfig(storage_path=scratch, failure_config=train.FailureConfig(max_failures=MOST_LOSSES)),
    )
    try:
        trainer.fit()
    except train.TrainingFailedError as error:
        said = ray.get(mailbox.read.remote())
        if said is None:
            reason = str(error).strip().splitlines()[-1][:200]
            raise TrainingError(
                f"cluster: {num_workers} workers could not train together, {MOST_LOSSES + 1} attempts were made: "
                f"{reason}. Look at the workers' memory and at the network between them, then run the same command "
                "again: it goes on from the last checkpoint."
            ) from None
    finally:
        with suppress(OSError):
            shutil.rmtree(scratch)
