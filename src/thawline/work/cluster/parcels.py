"""A training run of this process <-> what travels to a worker: plain data, and references to what many of them share.

One idea: pictures, features and checkpoints do not travel. They lie where every machine sees them under one path; a
parcel carries a word that the worker must find there, so that one that sees another disk says so before it trains.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import StoreError
from thawline.core.options import Options
from thawline.core.progress import SilentProgress
from thawline.core.runtime import Runtime
from thawline.core.store import content_key, disk_errors
from thawline.core.types import Ints
from thawline.features.bank import BankSpec, open_bank
from thawline.features.extract import remake
from thawline.features.network import Network
from thawline.search.frozen import FrozenAnswers
from thawline.train.allowance import Allowance
from thawline.train.context import Context, Ground, Machine
from thawline.train.crew import Fit
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import Plan
from thawline.train.processes import Processes

__all__ = ["Parcel", "Proof", "Put", "pack", "prove", "unpack"]

Put = Callable[[Any], Any]
NO_CLASSES = np.empty((0, 0), dtype=np.int64)
NO_LOGITS = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Proof:
    """What shows a worker that it sees the folders that the command sees.

    Attributes:
        word: What the files say.
        files: Where they lie: in the run's folder and in the cache.
    """

    word: str
    files: tuple[Path, ...]

    def require(self) -> None:
        """Refuse to train on a machine that does not see them.

        Raises:
            StoreError: Names the machine and the folder.
        """
        for file in self.files:
            said = ""
            with suppress(OSError):
                said = file.read_text(encoding="utf-8")
            if said != self.word:
                raise StoreError(
                    f"cluster: {socket.gethostname()} does not see {file.parent} as the machine does that gave the "
                    "command. Run's folder (-o), cache (--cache-dir) and pictures must lie on a file system that all "
                    "machines share, under the same path."
                )

    def remove(self) -> None:
        """Remove the files."""
        for file in self.files:
            with suppress(OSError):
                file.unlink()


def prove(context: Context) -> Proof:
    """Return a proof for the folders of a run, after writing its files.

    Raises:
        StoreError: A folder cannot be written.
    """
    word, files = uuid.uuid4().hex, []
    name = f".seen-{content_key(str(context.folder.absolute()))[:12]}"  # of this run, so that a killed one leaves one
    for folder in (context.folder.absolute(), context.cache.absolute()):
        with disk_errors("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(word, encoding="utf-8")
        files.append(folder / name)
    return Proof(word, tuple(files))


@dataclass(frozen=True)
class Parcel:
    """A training run as it travels.

    Attributes:
        plan: As in `Fit`, and so `fold`, `rows`, `watched` and `part`.
        seconds: Until it must end, counted from when it was packed.
        least_s: As in `Allowance.latest_at`, counted from there.
        epochs: It may run, at most.
        least: Epochs that have until `least_s`.
        options: Of the run, with an absolute cache.
        training: Of this training run.
        runtimes: In which pictures are read, and networks trained.
        folder: Of this training run, absolute.
        bank: What the bank of pooled features is called.
        parts: References: pictures, network, folds, answers of the frozen strategies.
        proof: To be found by the worker.
    """

    plan: Plan
    fold: int | None
    rows: Ints | None
    watched: Ints | None
    part: str
    seconds: float
    least_s: float
    epochs: float
    least: float
    options: Options
    training: TrainOptions
    runtimes: tuple[Runtime, Runtime | None]
    folder: Path
    bank: BankSpec
    parts: tuple[Any, Any, Any, Any]
    proof: Proof


def pack(fit: Fit, put: Put, *, proof: Proof) -> Parcel:
    """Return a training run as it travels.

    Args:
        fit: Which.
        put: Returns a reference to an object; called with the same one for all training runs that share it.
        proof: From `prove`, of the run.
    """
    ground, allowance, now = fit.ground, fit.allowance, time.monotonic()
    context = ground.context
    return Parcel(
        plan=fit.plan,
        fold=fit.fold,
        rows=fit.rows,
        watched=fit.watched,
        part=fit.part,
        seconds=allowance.ends_at - now,
        least_s=allowance.latest_at - now,
        epochs=allowance.epochs,
        least=allowance.least,
        options=replace(context.options, cache_dir=context.cache.absolute()),
        training=context.training,
        runtimes=(context.machine.runtime, context.machine.training),
        folder=context.folder.absolute(),
        bank=ground.bank.spec,
        parts=(put(context.dataset), put(context.network), put(ground.split), put(ground.frozen)),
        proof=proof,
    )


def unpack(parcel: Parcel, get: Callable[[Any], Any], *, processes: Processes, gone_s: float = 0.0) -> Fit:
    """Return the training run that a parcel carries, on the worker that it has come to.

    Args:
        parcel: From `pack`.
        get: Returns the object of a reference.
        processes: The worker among those that train together.
        gone_s: Seconds since it was packed; clocks of two machines say nothing of each other.
    """
    dataset, network, split, frozen = map(get, parcel.parts)
    now = time.monotonic() - gone_s
    runtime, training = parcel.runtimes
    if processes.state is not None and runtime.device != "cpu":
        own = str(processes.state.device)
        runtime, training = replace(runtime, device=own), training and replace(training, device=own)
    context = Context(
        dataset=dataset,
        network=network,
        options=parcel.options,
        training=parcel.training,
        machine=Machine(runtime, processes, SilentProgress(), training=training),
        folder=parcel.folder,
    )
    bank = open_bank(context.cache, parcel.bank)
    shared = {"dataset": dataset, "network": network, "runtime": runtime, "cache": context.cache}
    bank.remake = partial(remake, bank, **shared, progress=context.machine.progress)
    return Fit(
        parcel.plan,
        Ground(context, split, bank, frozen),
        parcel.fold,
        rows=parcel.rows,
        watched=parcel.watched,
        part=parcel.part,
        allowance=Allowance(now + parcel.seconds, parcel.epochs, least=parcel.least, latest_at=now + parcel.least_s),
    )


def lightened(part: Any) -> Any:
    """Return what a worker needs of a part: no logits of frozen strategies, and of a network its weights alone."""
    if isinstance(part, FrozenAnswers):
        none: dict[str, Any] = {"logits": NO_LOGITS, "predicted": NO_CLASSES, "credit": NO_LOGITS, "every": None}
        bare = [replace(entry, **none) for entry in part.answers]
        return replace(part, answers=tuple(bare), growth=None)
    return (part.backbone, part.model) if isinstance(part, Network) else part


def restored(part: Any) -> Any:
    """Return a part as it was before `lightened`, as far as it is needed."""
    return Network(*part) if isinstance(part, tuple) else part
