"""Options, a data set and a network -> its filled banks: by this process, or by the workers of a cluster.

The one idea: what is missing is asked of the bank, then of the shared place, and only the rest is computed. So a pass
that was killed anywhere goes on by the same command, and its rows are those of a pass in one process, bit by bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.progress import Progress, SilentProgress
from thawline.core.remote_files import absolute_place
from thawline.core.runtime import Runtime
from thawline.core.store import disk_errors
from thawline.data.dataset import Dataset, Sample
from thawline.features.bank import FeatureBank, open_bank
from thawline.features.extract import Extraction, bank_spec, extract_views, pass_name, segment_rows
from thawline.features.network import Network
from thawline.features.remote_bank import RemoteBank, fetch_rows, send_rows
from thawline.work.cluster.machines import Cluster
from thawline.work.cluster.picture_reader import Job, PictureReader
from thawline.work.cluster.ray_connection import connected, require_ray
from thawline.work.cluster.shard_pass import ShardPass

__all__ = ["extract_by", "fill_on"]


def extract_by(
    options: Options,
    dataset: Dataset,
    *,
    network: Network,
    runtime: Runtime,
    cache: Path,
    views: Sequence[str] = ("plain",),
    progress: Progress | None = None,
) -> tuple[Extraction, ...]:
    """Return a bank for each view that holds every picture, wherever the options say that it is filled.

    Args:
        options: `cluster` and `store` say where; `pooling` and `storage` what is kept.
        dataset: Checked pictures.
        network: As loaded.
        runtime: Device, number format, batch size; of the workers too.
        cache: Root of the local banks.
        views: Each one pass.
        progress: Where to report to.

    Raises:
        ThawlineError: As `extract_views`, `connected`, `ShardPass` and `RemoteBank`; what is stored is kept.
    """
    progress = progress or SilentProgress()
    store = options.store and absolute_place(options.store)
    remotes = _remotes(options, network, runtime=runtime, views=views)
    sha256s = [sample.sha256 for sample in dataset.samples]
    for remote in remotes:
        _, num_damaged = fetch_rows(remote, sha256s, cache=cache, progress=progress)
        if num_damaged:
            progress.note(f"store: {num_damaged} damaged segments in {remote.place} are made again")
    with ExitStack() as stack:

        def elsewhere(bank: FeatureBank, samples: Sequence[Sample]) -> FeatureBank:
            cluster = stack.enter_context(connected(str(options.cluster), progress=progress))
            job = Job(bank.spec, runtime, cache.absolute(), store, Path.cwd(), _threads_of(cluster, runtime))
            fill_on(cluster, samples, job=job, network=network, progress=progress)
            if store is not None:
                fetch_rows(RemoteBank(store, bank.spec), sha256s, cache=cache, progress=progress)
            return open_bank(cache, bank.spec)

        done = extract_views(
            dataset,
            network,
            runtime=runtime,
            views=views,
            cache=cache,
            poolings=options.pooling,
            storage=options.storage,
            elsewhere=elsewhere if options.cluster is not None else None,
            progress=progress,
        )
    if options.cluster is None:
        for remote, extraction in zip(remotes, done, strict=bool(remotes)):
            send_rows(remote, sha256s, bank=extraction.bank, progress=progress)
    return done


def fill_on(cluster: Cluster, samples: Sequence[Sample], *, job: Job, network: Network, progress: Progress) -> None:
    """Have the workers of a cluster store the rows of pictures, in segments as one process would make them.

    Args:
        cluster: Connected.
        samples: What the bank lacks, in the order of the data set.
        job: What all workers share.
        network: As loaded; it is handed to each machine once.
        progress: Counts the pictures of all workers.

    Raises:
        ThawlineError: As `ShardPass.run`; or the pictures cannot be handed to another process.
    """
    ray = require_ray("extract")
    _require_portable(samples[0])
    size = segment_rows(job.spec.row_bytes)
    num_shards = -(-len(samples) // size)
    is_gpu = job.runtime.device.startswith("cuda")
    num_workers = min(num_shards, cluster.num_gpus if is_gpu else cluster.num_workers)
    reader = ray.remote(PictureReader).options(
        num_cpus=job.num_threads, num_gpus=1 if is_gpu else 0, max_restarts=0, max_task_retries=0
    )
    handed = ray.put(network)
    name = pass_name(job.spec, progress, num_pictures=len(samples))
    shards = (samples[start : start + size] for start in range(0, len(samples), size))
    work = ShardPass(
        ray, cluster, start=partial(reader.remote, job, handed), num_workers=max(1, num_workers), progress=progress
    )
    with progress.stage(name, len(samples)) as advance:
        work.run(shards, advance)


def _remotes(options: Options, network: Network, *, runtime: Runtime, views: Sequence[str]) -> list[RemoteBank]:
    """Return the shared place of every view's bank; none where no place is named."""
    if options.store is None:
        return []
    if "://" not in options.store:
        with disk_errors("store", Path(options.store)):
            Path(options.store).mkdir(parents=True, exist_ok=True)
    spec = partial(bank_spec, network.backbone, runtime, poolings=options.pooling, storage=options.storage)
    return [RemoteBank(options.store, spec(view=view)) for view in views]


def _threads_of(cluster: Cluster, runtime: Runtime) -> int:
    """Return the processors of one worker: one, or those that each accelerator has for decoding."""
    if not runtime.device.startswith("cuda"):
        return 1
    return max(1, cluster.num_workers // max(1, cluster.num_gpus))


def _require_portable(sample: Sample) -> None:
    """Refuse pictures that no other process can read: of an open archive, or of a library's own object."""
    try:
        pickle.dumps(sample)
    except Exception as error:
        raise UsageError(
            f"--cluster: pictures of this kind cannot be read by other processes ({error}). Unpack them, or write them "
            "as Parquet: thawline export-data PICTURES -o FOLDER --format parquet."
        ) from None
