"""A shard of pictures -> a segment of the bank in the shared place: what an actor of the cluster does.

The one idea: a worker decodes, runs the network and stores by itself. It is told which pictures, and says how many it
has stored; no pixel and no row goes through Ray.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thawline.core.errors import ClusterError, ThawlineError
from thawline.core.runtime import Runtime, keep_freed_memory
from thawline.data.dataset import Sample
from thawline.data.load import read_checked
from thawline.features.bank import BankSpec, digests_of
from thawline.features.extract import read_segment
from thawline.features.network import Network
from thawline.features.reader import FeatureReader
from thawline.features.remote_bank import RemoteBank
from thawline.features.segment import write_segment

__all__ = ["Answer", "Job", "PictureReader"]


@dataclass(frozen=True)
class Job:
    """What every worker of a pass needs to know; the network goes to it apart.

    Attributes:
        spec: Of the bank.
        runtime: Device, number format and batch size: the driver's.
        cache: Root of the local bank, where `store` is None: a folder that all machines share.
        store: The shared place.
        folder: Where relative paths of pictures start.
        num_threads: Processors of a worker.
    """

    spec: BankSpec
    runtime: Runtime
    cache: Path
    store: str | None
    folder: Path
    num_threads: int


@dataclass(frozen=True)
class Answer:
    """What became of a shard.

    Attributes:
        machine: Where it was read.
        num_stored: Rows that are stored; 0 where it was refused.
        kind: Name of the error's class in `core.errors`; empty where all went well.
        text: Of the error.
        unreadable: Which picture of the shard cannot be read here, or None.
    """

    machine: str
    num_stored: int = 0
    kind: str = ""
    text: str = ""
    unreadable: int | None = None


class PictureReader:
    """Reads shards, one after another, with a network that it is given once.

    Args:
        job: What all workers share.
        network: As loaded; a copy is prepared here.
    """

    def __init__(self, job: Job, network: Network) -> None:
        os.environ["THAWLINE_THREADS"] = str(job.num_threads)
        keep_freed_memory()
        self.job = job
        self._machine = socket.gethostname()
        self._network = network
        self._reader: FeatureReader | None = None
        self._remote: RemoteBank | None = None

    def prepare(self) -> Answer:
        """Return whether this worker can work: it sees the shared place, and the network runs here."""
        try:
            job = self.job
            if job.folder.is_dir():
                os.chdir(job.folder)
            self._require_place()
            self._reader = FeatureReader(self._network, job.runtime, list(job.spec.columns), job.spec.storage)
        except ThawlineError as error:
            return Answer(self._machine, kind=type(error).__name__, text=str(error))
        return Answer(self._machine)

    def read(self, samples: Sequence[Sample]) -> Answer:
        """Return how many rows were stored: those of all samples, as one segment, or none.

        Args:
            samples: At most as many as a segment holds.
        """
        spec = self.job.spec
        try:
            assert self._reader is not None
            rows = read_segment(self._reader, samples, spec=spec)[:, None, :]
            digests = digests_of([sample.sha256 for sample in samples])
            if self._remote is not None:
                self._remote.put(digests, rows)
            else:
                write_segment(self.job.cache, self._bank, digests=digests, rows=rows)
        except ThawlineError as error:
            unreadable = next((at for at, sample in enumerate(samples) if not _is_there(sample)), None)
            return Answer(self._machine, kind=type(error).__name__, text=str(error), unreadable=unreadable)
        return Answer(self._machine, len(samples))

    @property
    def _bank(self) -> Path:
        return self.job.cache / "banks" / self.job.spec.key

    def _require_place(self) -> None:
        """Refuse to work where the rows would be stored out of the others' sight."""
        job = self.job
        if job.store is not None:
            self._remote = RemoteBank(job.store, job.spec)
            if "://" not in job.store and not Path(job.store).is_dir():
                raise ClusterError(_unseen(self._machine, job.store))
        elif not (self._bank / "bank.json").is_file():
            raise ClusterError(_unseen(self._machine, job.cache))


def _unseen(machine: str, place: Any) -> str:
    return (
        f"cluster: {machine} does not see {place}, in which the features are kept. Name a place that all machines "
        "share: --cache-dir on a network disk, or --store with a folder on one or an address such as s3://bucket/features."
    )


def _is_there(sample: Sample) -> bool:
    try:
        read_checked(sample)
    except ThawlineError:
        return False
    return True
