"""Dataset + Network in, a filled FeatureBank out: one resumable pass that reads every cut at once.

The pass runs one single-threaded stream per processor. Each stream decodes, runs and pools batches of its own, so
decoding overlaps computing with nothing to wait for. Every batch has the same shape, the last one filled up, because
kernels are chosen by shape and round differently: so a picture's numbers cannot depend on what it was extracted with.
On an accelerator the streams take turns at it and decode meanwhile. Rows are committed in segments of fixed size in the
order of the data set; a run that was cut off goes on at the segment it lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Literal, NoReturn, TypeVar

import numpy as np
import torch

from thawline.core.errors import BackboneError, StoreError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.runtime import Runtime, num_workers
from thawline.core.store import require_space, sweep_staging
from thawline.core.types import Floats, InputSpec, Pixels
from thawline.data.dataset import Dataset
from thawline.data.load import load_pixels, map_ordered
from thawline.features.backbones import Backbone, Network, frozen_for_inference
from thawline.features.bank import BankSpec, Block, FeatureBank, Segment, open_bank, write_segment
from thawline.features.pooling import pooled, pooling_columns

__all__ = ["Extraction", "FeatureReader", "bank_spec", "extract", "in_streams", "measure_pass_ms", "to_input"]

Item = TypeVar("Item")
Result = TypeVar("Result")

SEGMENT_ROWS = 256
PLAIN_VIEW = ("plain",)


@dataclass(frozen=True)
class Extraction:
    """A filled bank and what filling it took.

    Attributes:
        bank: Holds every picture of the data set.
        num_extracted: Pictures that ran through the backbone in this call.
        num_damaged: Rows whose checksum failed and that were made again.
        seconds: Wall time, opening and verifying included.
    """

    bank: FeatureBank
    num_extracted: int
    num_damaged: int
    seconds: float


def bank_spec(
    backbone: Backbone,
    runtime: Runtime,
    *,
    poolings: Sequence[str] = ("mean", "std"),
    storage: Literal["float16", "float32"] = "float16",
) -> BankSpec:
    """Return the identity of the bank that holds `poolings` at every cut of `backbone`.

    A class token, where the network has one, is kept beside the poolings asked for.
    """
    kept = (*poolings, "token") if backbone.has_class_token and "token" not in poolings else tuple(poolings)
    blocks = [(cut.index, pooling, pooling_columns(pooling, cut.channels)) for cut in backbone.cuts for pooling in kept]
    return BankSpec(
        backbone_name=backbone.name,
        weights_sha256=backbone.weights_sha256,
        input=backbone.input,
        views=PLAIN_VIEW,
        compute=runtime.dtype,
        storage=storage,
        cuts=tuple((cut.module, cut.channels) for cut in backbone.cuts),
        poolings=kept,
        blocks=tuple(blocks),
    )


def to_input(pixels: Pixels, spec: InputSpec, runtime: Runtime) -> torch.Tensor:
    """Return the network's input: (B, 3, H, W) in the runtime's format and device, channels last in memory.

    Args:
        pixels: (B, H, W, 3) uint8 RGB.
        spec: Its `mean` and `std` are applied after scaling to [0, 1].
        runtime: Where the network runs.
    """
    writable = pixels if pixels.flags.writeable else pixels.copy()  # torch shares memory and has no read-only tensors
    x = torch.from_numpy(writable).to(runtime.device).permute(0, 3, 1, 2).float()
    mean = torch.tensor(spec.mean, device=x.device).mul_(255).view(1, 3, 1, 1)
    scale = torch.tensor(spec.std, device=x.device).mul_(255).reciprocal_().view(1, 3, 1, 1)
    return x.sub_(mean).mul_(scale).to(runtime.torch_dtype)


class FeatureReader:
    """Prepared pixels in, pooled features out, exactly as a bank stores them.

    The same reader fills banks and serves predictions, so a model sees in use what it saw in training.

    Attributes:
        network: Folded, cast and placed for inference.
        runtime: Where it runs.
        blocks: (cut, pooling) pairs in the order of the columns.
    """

    def __init__(
        self, network: Network, runtime: Runtime, blocks: Sequence[Block], storage: Literal["float16", "float32"]
    ) -> None:
        self.network = frozen_for_inference(network, runtime)
        self.runtime = runtime
        self.blocks = tuple(blocks)
        self.storage = np.dtype(storage)
        self._turn = nullcontext() if runtime.device == "cpu" else Lock()
        self._poolings: dict[int, list[str]] = {}
        for cut, pooling in self.blocks:
            self._poolings.setdefault(cut, []).append(pooling)

    def read(self, pixels: Pixels) -> Floats:
        """Return (B, D) features of (B, H, W, 3) uint8 pixels in the storage format.

        One forward pass serves all cuts and stops after the deepest.

        Raises:
            BackboneError: A feature is infinite or no number.
            StoreError: A feature exceeds the range of the storage format.
        """
        spec = self.network.backbone.input
        found: dict[Block, torch.Tensor] = {}
        with self._turn, torch.inference_mode():
            x = to_input(pixels, spec, self.runtime)
            for cut, activation in self.network.features(x, sorted(self._poolings)):
                columns = pooled(activation, self._poolings[cut], self.network.num_prefix_tokens)
                found.update({(cut, pooling): values for pooling, values in columns.items()})
            features = torch.cat([found[block] for block in self.blocks], dim=1).cpu().numpy()
        with np.errstate(over="ignore"):
            rows: Floats = features.astype(self.storage)
        if not np.isfinite(rows).all():
            self._refuse(features)
        return rows

    def _refuse(self, features: Floats) -> NoReturn:
        name = self.network.backbone.name
        if not np.isfinite(features).all():
            raise BackboneError(
                f"extract: features of {name} are not finite in {self.runtime.dtype}. Pass --dtype float32, or choose "
                f"another backbone."
            )
        raise StoreError(
            f"extract: features of {name} exceed what {self.storage} can hold (65,504 for float16). "
            f"Pass --storage float32."
        )


def extract(
    dataset: Dataset,
    network: Network,
    runtime: Runtime,
    *,
    cache: Path,
    poolings: Sequence[str] = ("mean", "std"),
    storage: Literal["float16", "float32"] = "float16",
    progress: Progress | None = None,
) -> Extraction:
    """Return a bank that holds every picture of `dataset`, after running those that it lacks through the backbone.

    Exact copies run once. The bytes needed are forecast and compared with the disk before the pass. Memory does not
    grow with the number of pictures: one segment and a few batches are held.

    Args:
        dataset: Checked pictures.
        network: As loaded; a copy is prepared for inference.
        runtime: Device, number format, batch size.
        cache: From `core.store.cache_root`.
        poolings: What to keep at every cut: `mean`, `std`, `max`, `grid`.
        storage: Number format on disk.
        progress: Where to report to.

    Raises:
        StoreError: The disk is too small or cannot be written; committed segments are kept.
        DataError: A picture vanished or changed since it was checked.
    """
    start = time.perf_counter()
    progress = progress or SilentProgress()
    sweep_staging(cache)
    spec = bank_spec(network.backbone, runtime, poolings=poolings, storage=storage)
    bank = open_bank(cache, spec)
    sha256s = [sample.sha256 for sample in dataset.samples]
    missing = bank.missing(sha256s)
    segments: list[Segment] = []
    if missing:
        require_space("extract", cache, len(missing) * spec.row_bytes)
        size = len(missing) * spec.row_bytes / 2**20
        progress.note(
            f"extract: {len(missing):,} pictures × {spec.width:,} columns at {len(spec.cuts)} cuts, {size:,.1f} MiB"
        )
        reader = FeatureReader(network, runtime, list(spec.columns), storage)
        with progress.stage("extract", len(missing)) as advance:
            for positions, rows in _segments(reader, dataset, missing, advance):
                digests = np.frombuffer(b"".join(bytes.fromhex(sha256s[p]) for p in positions), dtype=np.uint8)
                segments.append(write_segment(cache, bank.directory, digests.reshape(-1, 32), rows[:, None, :]))
    filled = FeatureBank(spec, bank.directory, (*bank.segments, *segments), bank.num_damaged)
    return Extraction(filled, len(missing), bank.num_damaged, time.perf_counter() - start)


def _segments(
    reader: FeatureReader, dataset: Dataset, positions: Sequence[int], advance: Callable[[int], None]
) -> Iterator[tuple[list[int], Floats]]:
    """Yield (positions, rows) of whole segments in the order of `positions`; the last may be shorter."""
    held: list[Floats] = []
    done = 0
    for rows in _batches(reader, dataset, positions):
        held.append(rows)
        advance(len(rows))
        count = sum(map(len, held))
        if count >= SEGMENT_ROWS or done + count == len(positions):
            yield list(positions[done : done + count]), np.concatenate(held)
            done += count
            held = []


def _batches(reader: FeatureReader, dataset: Dataset, positions: Sequence[int]) -> Iterator[Floats]:
    """Yield the rows of consecutive batches; a batch never reaches over the end of a segment."""
    spec = reader.network.backbone.input
    size = min(reader.runtime.batch_size, SEGMENT_ROWS)

    def rows(batch: Sequence[int]) -> Floats:
        pixels = np.stack([load_pixels(dataset.samples[position], spec) for position in batch])
        return reader.read(np.resize(pixels, (reader.runtime.batch_size, *pixels.shape[1:])))[: len(batch)]

    batches = [
        positions[start : min(start + size, segment + SEGMENT_ROWS)]
        for segment in range(0, len(positions), SEGMENT_ROWS)
        for start in range(segment, min(segment + SEGMENT_ROWS, len(positions)), size)
    ]
    yield from in_streams(rows, batches)


def in_streams(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) in order, computed by one thread a processor in which torch itself uses a single thread."""
    threads = torch.get_num_threads()
    workers = num_workers()
    try:
        yield from map_ordered(
            work, items, num_threads=workers, ahead=2 * workers, initializer=partial(torch.set_num_threads, 1)
        )
    finally:
        torch.set_num_threads(threads)


def measure_pass_ms(network: Network, runtime: Runtime) -> float:
    """Return the milliseconds that a picture takes through the whole network here: one stream, median of five."""
    frozen = frozen_for_inference(network, runtime)
    spec = network.backbone.input
    pixels = np.zeros((1, spec.size_px, spec.size_px, 3), dtype=np.uint8)
    last = network.backbone.cuts[-1].index
    seconds = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            frozen.prefix(to_input(pixels, spec, runtime), last).sum().item()
            seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[1:]))
