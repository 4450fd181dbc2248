"""Dataset + Network in, filled FeatureBanks out: one resumable pass a view, which reads every cut at once.

A view of a picture (plain, mirrored, augmented) has a bank of its own, so one more view costs one more pass. A
pass runs one single-threaded stream per processor. Each stream decodes, runs and pools batches of its own, so
decoding overlaps computing without waiting. Every batch has the same shape, the last one filled up, because
kernels are chosen by shape and round differently: so a picture's numbers cannot depend on what it was extracted with.
On an accelerator the streams take turns at its lanes (`lanes.py`) and decode meanwhile. Rows are committed in
segments of fixed size in the order of the data set; a run that was cut off goes on at the segment it lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch

from thawline.core.counting import counted
from thawline.core.errors import StoreError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime, num_workers
from thawline.core.store import NoRoomError, require_space, sweep_staging
from thawline.core.types import Floats, InputSpec
from thawline.data.augment import PLAIN, checked_view, seen_as
from thawline.data.dataset import Dataset, Sample
from thawline.data.load import load_pixels, map_ordered
from thawline.features.backbone import Backbone
from thawline.features.bank import BankSpec, FeatureBank, digests_of, open_bank
from thawline.features.compaction import compact_often
from thawline.features.engines.compiled import eager_elsewhere
from thawline.features.engines.engine_choice import EngineChoice, Reader, Readers
from thawline.features.filled_bank import Extraction
from thawline.features.network import Network
from thawline.features.pooling import pooling_columns
from thawline.features.segment import SEGMENT_BYTES, write_segment
from thawline.features.weights import digest

__all__ = [
    "Elsewhere",
    "Extraction",
    "bank_spec",
    "extract",
    "extract_views",
    "in_streams",
    "map_pictures",
    "pass_name",
    "read_segment",
    "remake",
    "segment_rows",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

Elsewhere = Callable[[FeatureBank, Sequence[Sample]], FeatureBank]

SEGMENT_ROWS = 256


def bank_spec(
    backbone: Backbone,
    runtime: Runtime,
    *,
    poolings: Sequence[str] = ("mean", "std"),
    blocks: Sequence[tuple[int, str, int]] | None = None,
    view: str = PLAIN,
    storage: Literal["float16", "float32"] = "float16",
) -> BankSpec:
    """Return the identity of the bank that holds one view of every picture.

    Args:
        backbone: What reads the pictures.
        runtime: Its number format and its engine count; `auto` stands for the eager one here.
        poolings: Kept at every cut. A class token, where the network has one, is kept as well.
        blocks: Exactly what to keep instead: (cut index, pooling, columns).
        view: `plain`, or an augmented view: see `data.augment.view_names`.
        storage: Number format on disk.

    Raises:
        UsageError: There is no such view or pooling.
    """
    if blocks is None:
        token = ("token",) if backbone.has_class_token and "token" not in poolings else ()
        blocks = [
            (cut.index, pooling, pooling_columns(pooling, cut.channels))
            for cut in backbone.cuts
            for pooling in (*poolings, *token)
        ]
    return BankSpec(
        backbone_name=backbone.name,
        weights_sha256=backbone.weights_sha256,
        input=backbone.input,
        views=(checked_view(view),),
        compute=runtime.dtype,
        storage=storage,
        cuts=tuple((cut.module, cut.channels) for cut in backbone.cuts),
        poolings=tuple(dict.fromkeys(pooling for _, pooling, _ in blocks)),
        blocks=tuple(blocks),
        engine="eager" if runtime.engine == "auto" else runtime.engine,
    )


def extract(
    dataset: Dataset,
    network: Network,
    *,
    runtime: Runtime,
    cache: Path,
    poolings: Sequence[str] = ("mean", "std"),
    view: str = PLAIN,
    storage: Literal["float16", "float32"] = "float16",
    progress: Progress | None = None,
) -> Extraction:
    """Return the bank that holds one view of every picture of `dataset`: see `extract_views`."""
    (done,) = extract_views(
        dataset,
        network,
        runtime=runtime,
        views=(view,),
        cache=cache,
        poolings=poolings,
        storage=storage,
        progress=progress,
    )
    return done


def extract_views(
    dataset: Dataset,
    network: Network,
    *,
    runtime: Runtime,
    views: Sequence[str],
    cache: Path,
    poolings: Sequence[str] = ("mean", "std"),
    blocks: Sequence[tuple[int, str, int]] | None = None,
    storage: Literal["float16", "float32"] = "float16",
    budget_bytes: int | None = None,
    elsewhere: Elsewhere | None = None,
    progress: Progress | None = None,
) -> tuple[Extraction, ...]:
    """Return a bank for each view that holds every picture of `dataset`; those that it lacks take one pass.

    Exact copies run once. All views are compared with disk and budget first. Memory does not grow with the pictures.

    Args:
        dataset: Checked pictures.
        network: As loaded; a copy is prepared for inference.
        runtime: Device, number format, batch size, engine; `auto` chooses one for these pictures.
        views: From `data.augment.view_names`, each one pass.
        cache: From `core.store.cache_root`.
        poolings: What to keep at every cut: `mean`, `std`, `max`, `grid`.
        blocks: Exactly what to keep instead, as in `bank_spec`.
        storage: Number format on disk.
        budget_bytes: What the banks may take for these pictures, those already stored included; None for no limit.
        elsewhere: Fills a bank with pictures that it lacks and returns it, in place of a pass in this process.
        progress: Where to report to.

    Raises:
        NoRoomError: The disk or the budget is too small for all views; no picture has been read.
        StoreError: The disk cannot be written, or a feature exceeds the storage format; committed segments are kept.
        DataError: A picture vanished or changed since it was checked.
    """
    start = time.perf_counter()
    progress = progress or SilentProgress()
    sweep_staging(cache)
    spec_of = partial(bank_spec, network.backbone, poolings=poolings, blocks=blocks, storage=storage)
    specs = partial(_of_views, spec_of, views=views)
    readers = Readers(network, runtime, spec=specs(runtime)[0], samples=dataset.samples, cache=cache)
    sha256s = [sample.sha256 for sample in dataset.samples]
    choice = EngineChoice(readers, in_streams)
    runtime = choice.of_banks(runtime, specs, sha256s=sha256s) if elsewhere is None else eager_elsewhere(runtime)
    banks = [open_bank(cache, spec) for spec in specs(runtime)]
    missing = [bank.missing(sha256s) for bank in banks]
    _require_room(cache, banks, missing, num_pictures=len(set(sha256s)), budget_bytes=budget_bytes)
    done = []
    for bank, lacking in zip(banks, missing, strict=True):
        samples = [dataset.samples[position] for position in lacking]
        if lacking:
            fill = elsewhere or partial(_fill, reader=readers.by(runtime.engine), cache=cache, progress=progress)
            fill(bank, samples)
            compact_often(cache, bank, progress=progress)
        heal = partial(remake, bank, dataset=dataset, network=network, runtime=runtime, cache=cache)
        bank.remake = partial(heal, progress=progress)
        done.append(Extraction(bank, len(lacking), time.perf_counter() - start))
        start += done[-1].seconds
    return tuple(done)


def _of_views(spec_of: Callable[..., BankSpec], runtime: Runtime, *, views: Sequence[str]) -> list[BankSpec]:
    return [spec_of(runtime, view=view) for view in views]


def remake(
    bank: FeatureBank,
    sha256s: Sequence[str],
    *,
    dataset: Dataset,
    network: Network,
    runtime: Runtime,
    cache: Path,
    progress: Progress,
) -> None:
    """Extract pictures again whose rows were found damaged when they were read; raises as `extract_views`."""
    if digest(network.model) != network.backbone.weights_sha256:
        rows = counted(len(sha256s), "rows")
        raise StoreError(f"read features: {bank.directory} was damaged: {rows} had to be removed. Run again.")
    progress.note(f"extract: the bank was damaged, {counted(len(sha256s), 'pictures')} once more")
    samples = {sample.sha256: sample for sample in dataset.samples}
    reader = Readers(network, runtime, spec=bank.spec, samples=dataset.samples, cache=cache).by(bank.spec.engine)
    again = [samples[sha256] for sha256 in sha256s if sha256 in samples]
    _fill(bank, again, reader=reader, cache=cache, progress=SilentProgress())


def _require_room(
    cache: Path,
    banks: Sequence[FeatureBank],
    missing: Sequence[Sequence[int]],
    *,
    num_pictures: int,
    budget_bytes: int | None,
) -> None:
    """Refuse passes whose rows would fit neither the disk nor the budget, unless every row is there already."""
    if not any(missing):
        return
    whole = num_pictures * sum(bank.spec.row_bytes for bank in banks)
    if budget_bytes is not None and whole > budget_bytes:
        views = f"{len(banks)} views" if len(banks) > 1 else "1 view"
        raise NoRoomError(
            f"extract: {views} of {num_pictures:,} pictures would take {whole / 2**20:,.1f} MiB, the budget is "
            f"{budget_bytes / 2**20:,.1f} MiB. Ask for fewer --views, or raise the budget."
        )
    rows = zip(banks, missing, strict=True)
    require_space("extract", cache, needed_bytes=sum(len(lacking) * bank.spec.row_bytes for bank, lacking in rows))


def _fill(bank: FeatureBank, samples: Sequence[Sample], *, reader: Reader, cache: Path, progress: Progress) -> None:
    """Put the pictures of `samples` into the bank, by one pass over them."""
    spec = bank.spec
    name = pass_name(spec, progress, num_pictures=len(samples))
    with progress.stage(name, len(samples)) as advance:
        for segment, rows in _segments(reader, samples, spec, advance):
            digests = digests_of([sample.sha256 for sample in segment])
            write_segment(cache, bank.directory, digests=digests, rows=rows[:, None, :])


def pass_name(spec: BankSpec, progress: Progress, *, num_pictures: int) -> str:
    """Return what a pass over pictures is called, once it was told how much it will store."""
    (view,) = spec.views
    name = "extract" if view == PLAIN else f"extract {view}"
    num_cuts, size = len({cut for cut, _, _ in spec.blocks}), num_pictures * spec.row_bytes / 2**20
    depths = f"{num_cuts} cuts" if num_cuts > 1 else "1 cut"
    columns = f"{counted(num_pictures, 'pictures')} × {spec.width:,} columns at {depths}, {size:,.1f} MiB"
    progress.note(f"{name}: {columns}" + (f", read by {spec.engine}" if spec.engine != "eager" else ""))
    return name


def read_segment(reader: Reader, samples: Sequence[Sample], *, spec: BankSpec) -> Floats:
    """Return the rows of one segment's pictures: (n, width) in the storage format, bitwise those of any other pass.

    Args:
        reader: Of the network.
        samples: At most `segment_rows` of them.
        spec: Of the bank.

    Raises:
        DataError: A picture vanished or changed since it was checked.
    """
    return np.concatenate(list(_batches(reader, samples, spec.views[0], len(samples))))


def segment_rows(row_bytes: int) -> int:
    """Return how many rows a segment holds: 256, or a smaller power of two that keeps it within 64 MiB."""
    fitting = max(1, SEGMENT_BYTES // row_bytes)
    return min(SEGMENT_ROWS, 1 << (fitting.bit_length() - 1))


def _segments(
    reader: Reader, samples: Sequence[Sample], spec: BankSpec, advance: Callable[[int], None]
) -> Iterator[tuple[Sequence[Sample], Floats]]:
    """Yield (samples, rows) of whole segments in the order of `samples`; the last may be shorter."""
    size = segment_rows(spec.row_bytes)
    batches: list[Floats] = []
    done = 0
    for rows in _batches(reader, samples, spec.views[0], size):
        batches.append(rows)
        advance(len(rows))
        count = sum(map(len, batches))
        if count >= size or done + count == len(samples):
            whole, batches = np.concatenate(batches), []
            yield samples[done : done + count], whole
            done += count


def _batches(reader: Reader, samples: Sequence[Sample], view: str, at_once: int) -> Iterator[Floats]:
    """Yield the rows of consecutive batches; a batch never reaches over the end of a segment."""
    spec = reader.network.backbone.input
    size = min(reader.runtime.batch_size, at_once)

    def rows(batch: Sequence[Sample]) -> Floats:
        pixels = np.stack([seen_as(load_pixels(sample, spec), view, sha256=sample.sha256) for sample in batch])
        return reader.read(np.resize(pixels, (reader.runtime.batch_size, *pixels.shape[1:])))[: len(batch)]

    batches = [
        samples[start : min(start + size, segment + at_once)]
        for segment in range(0, len(samples), at_once)
        for start in range(segment, min(segment + at_once, len(samples)), size)
    ]
    yield from in_streams(rows, batches)


def map_pictures(
    work: Callable[..., Result], samples: Sequence[Sample], *, specs: Sequence[InputSpec], batch_size: int
) -> Iterator[Result]:
    """Yield work(pixels, …) for consecutive batches of pictures, decoded and processed in streams.

    Args:
        work: Takes one (B, H, W, 3) uint8 array for each of `specs`.
        samples: The pictures.
        specs: How each picture is prepared, in one or several ways.
        batch_size: B, but for the last batch.

    Raises:
        DataError: A picture vanished or changed since it was checked.
    """

    def on_batch(batch: Sequence[Sample]) -> Result:
        return work(*(np.stack([load_pixels(sample, spec) for sample in batch]) for spec in specs))

    yield from in_streams(on_batch, [samples[at : at + batch_size] for at in range(0, len(samples), batch_size)])


def in_streams(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) in order, computed by one thread a processor; in each torch uses a single thread."""
    threads = torch.get_num_threads()
    workers = num_workers()
    try:
        yield from map_ordered(
            work, items, num_threads=workers, ahead=2 * workers, initializer=partial(torch.set_num_threads, 1)
        )
    finally:
        torch.set_num_threads(threads)
